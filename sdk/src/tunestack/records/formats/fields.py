"""Reading the fields of a record: what is missing, of another type, or unknown is noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.records.findings import below
from tunestack.records.jsonline import named_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tunestack.records.findings import Findings


def lose_unknown(
    value: Mapping[str, Any], known: Collection[str], path: str, findings: Findings
) -> None:
    """Note the fields that a record has and its format does not."""
    for name in sorted(value.keys() - known):
        if value[name] is None:
            continue  # says nothing
        findings.lose(below(path, name), "this format has no such field")


def objects(value: Any, path: str, what: str, findings: Findings) -> Iterator[tuple[str, Any]]:
    """Go through a list of objects with their paths; note what is none."""
    if not isinstance(value, list):
        found = "nothing" if value is None else named_type(value)
        findings.add("field", path, f"expected a list of {what}, found {found}")
        return
    for place, item in enumerate(value):
        at = f"{path}[{place}]"
        if isinstance(item, dict):
            yield at, item
        else:
            findings.add("field", at, f"expected an object, found {named_type(item)}")


def text(value: Mapping[str, Any], name: str, path: str, findings: Findings) -> str | None:
    """Take a text that must be there."""
    found = value.get(name)
    if isinstance(found, str):
        return found
    why = f"found {named_type(found)}" if name in value else "it is missing"
    findings.add("field", below(path, name), f"expected a text, {why}")
    return None


def optional(
    value: Mapping[str, Any],
    name: str,
    kind: type | tuple[type, ...],
    path: str,
    findings: Findings,
) -> Any:
    """Take a value that may be left out, or be null."""
    found = value.get(name)
    if found is None or (isinstance(found, kind) and not (isinstance(found, bool) and kind is int)):
        return found
    findings.add("field", below(path, name), f"{named_type(found)} is not possible here")
    return None
