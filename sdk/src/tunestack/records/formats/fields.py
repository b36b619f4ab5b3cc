"""Read the fields of a record; missing, invalid and unknown fields are added to the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.records.findings import field_path
from tunestack.records.jsonline import json_type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tunestack.records.findings import Findings


def report_unknown(
    value: Mapping[str, Any],
    known: Collection[str],
    path: str,
    findings: Findings,
    *,
    is_metadata: Callable[[str], bool] = lambda _: False,
) -> None:
    """Report fields that the format does not have: as a loss, or as normalized if they are metadata."""
    for name in sorted(value.keys() - known):
        if value[name] is None:
            continue  # same as a missing field
        if is_metadata(name):
            message = "is not part of the format, and was left out as metadata"
            findings.add("normalized", field_path(path, name), message)
        else:
            findings.add_loss(field_path(path, name), "this format has no such field")


_CONTENT = frozenset(
    [
        "audio",
        "completion",
        "documents",
        "functions",
        "image",
        "images",
        "input",
        "messages",
        "output",
        "prompt",
        "response",
        "schemaVersion",
        "system",
        "toolConfig",
        "tools",
        "video",
        "videos",
    ]
)
"""Fields of records that are more than metadata: leaving them out would be a loss."""
_MESSAGE_METADATA = frozenset(
    [
        "annotations",
        "created",
        "created_at",
        "finish_reason",
        "id",
        "index",
        "logprobs",
        "metadata",
        "model",
        "status",
        "timestamp",
        "token_count",
        "type",
        "usage",
        "uuid",
    ]
)
"""Fields that programs add to messages, and that are not content."""


def report_record_fields(
    value: Mapping[str, Any], known: Collection[str], findings: Findings
) -> None:
    """Report the fields of a record that its format does not have: they are metadata, unless they may be content."""

    def is_metadata(name: str) -> bool:
        from difflib import get_close_matches  # noqa: PLC0415 - takes time to load

        return name not in _CONTENT and not get_close_matches(name, known, n=1, cutoff=0.85)

    report_unknown(value, known, "$", findings, is_metadata=is_metadata)


def report_message_fields(
    value: Mapping[str, Any], known: Collection[str], path: str, findings: Findings
) -> None:
    """Report the fields of a message that its format does not have: some names are metadata, others may be content."""
    report_unknown(value, known, path, findings, is_metadata=_MESSAGE_METADATA.__contains__)


def without_nulls(value: Mapping[str, Any], path: str, findings: Findings) -> Mapping[str, Any]:
    """Return an object without the fields that are null, which table formats and serializers add."""
    if None not in value.values():
        return value
    findings.add("normalized", path, "has fields that are null, which were removed")
    return {name: item for name, item in value.items() if item is not None}


def iterate_objects(
    value: Any, path: str, items: str, findings: Findings
) -> Iterator[tuple[str, Any]]:
    """Return the objects of an array with their paths; add a problem for other items."""
    if not isinstance(value, list):
        found = "no value" if value is None else json_type(value)
        findings.add("field", path, f"expected an array of {items}, found {found}")
        return
    for index, item in enumerate(value):
        item_path = f"{path}[{index}]"
        if isinstance(item, dict):
            yield item_path, item
        else:
            findings.add("field", item_path, f"expected an object, found {json_type(item)}")


def require_text(value: Mapping[str, Any], name: str, path: str, findings: Findings) -> str | None:
    """Return a required string field."""
    text = value.get(name)
    if isinstance(text, str):
        return text
    found = f"found {json_type(text)}" if name in value else "the field is missing"
    findings.add("field", field_path(path, name), f"expected a string, {found}")
    return None


def get_optional(
    value: Mapping[str, Any],
    name: str,
    kind: type | tuple[type, ...],
    path: str,
    findings: Findings,
) -> Any:
    """Return a field that can be missing or null."""
    found = value.get(name)
    if found is None or (isinstance(found, kind) and not (isinstance(found, bool) and kind is int)):
        return found
    findings.add(
        "field",
        field_path(path, name),
        f"unexpected {json_type(found).removeprefix('a ').removeprefix('an ')}",
    )
    return None
