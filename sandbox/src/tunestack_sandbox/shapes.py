"""Whether a value fits a shape of botocore's service model, constraints included, in the words that AWS has for it.

botocore itself checks types and required members; it ignores patterns, most lengths, and enums.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISSING = re.compile(r'Missing required parameter in (?P<where>.+): "(?P<name>\w+)"')


def violations(value: Any, shape: Any) -> list[str]:
    """List all ways in which a value does not fit a shape; empty when it does."""
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        return [_in_words(line) for line in report.generate_report().splitlines()]
    return list(_constraints(value, shape, ""))


def refusal(problems: list[str]) -> str:
    """Write the message with which AWS refuses such a request."""
    count = len(problems)
    return f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(problems)}"


def _in_words(line: str) -> str:
    missing = _MISSING.fullmatch(line)
    if missing is None:
        return line
    where = "" if missing["where"] == "input" else missing["where"] + "."
    return (
        f"Value null at '{where}{missing['name']}' failed to satisfy constraint: "
        "Member must not be null"
    )


def _constraints(value: Any, shape: Any, path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return  # any JSON
    if shape.type_name == "structure":
        yield from _members(value, shape, path)
    elif shape.type_name == "list":
        yield from _length(len(value), shape, f"Value at '{path}'", "have length")
        for place, item in enumerate(value, start=1):
            yield from _constraints(item, shape.member, f"{path}.{place}.member")
    elif shape.type_name == "map":
        yield from _length(len(value), shape, f"Value at '{path}'", "have length")
        for key, item in value.items():
            yield from _constraints(key, shape.key, f"{path}.{key}.key")
            yield from _constraints(item, shape.value, f"{path}.{key}.value")
    elif shape.type_name == "string":
        yield from _text(value, shape, path)
    elif shape.type_name == "blob":
        size = len(value if isinstance(value, bytes) else value.encode())
        yield from _length(size, shape, f"Value at '{path}'", "have length")
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _length(value, shape, f"Value '{value}' at '{path}'", "have value")


def _members(value: Any, shape: Any, path: str) -> Iterator[str]:
    unknown = value.keys() - shape.members.keys()
    if unknown:
        yield f"Unknown members {sorted(unknown)} at '{path}'"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _constraints(value[name], member, f"{path}.{name}" if path else name)


def _length(size: float, shape: Any, what: str, verb: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _failed(what, f"{verb} greater than or equal to {least}")
    if most is not None and size > most:
        yield _failed(what, f"{verb} less than or equal to {most}")


def _text(value: str, shape: Any, path: str) -> Iterator[str]:
    what = f"Value '{value}' at '{path}'"
    yield from _length(len(value), shape, what, "have length")
    if shape.enum and value not in shape.enum:
        yield _failed(what, f"satisfy enum value set: [{', '.join(shape.enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield _failed(what, f"satisfy regular expression pattern: {pattern}")


def _failed(what: str, must: str) -> str:
    return f"{what} failed to satisfy constraint: Member must {must}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Java's class names for Unicode properties, which some of the models use, are unknown to Python.
    known = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d")
    # A job's name: the same set of texts, without trying every way to share hyphens out.
    return re.compile(known.replace(r"(-*[a-zA-Z0-9\+\-\.])*", r"[a-zA-Z0-9+\-.]*"))
