"""Validation of values by the shapes of botocore's service models, with all constraints and AWS's messages.

botocore itself validates types and required members, but not patterns, enums and most lengths.
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
    """Return the violations of a value against a shape; empty if the value is valid."""
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        return [_translate(line) for line in report.generate_report().splitlines()]
    return list(_check(value, shape, ""))


def build_validation_message(problems: list[str]) -> str:
    """Build the message of AWS's ValidationException for violations."""
    count = len(problems)
    return f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(problems)}"


def _translate(line: str) -> str:
    """Return AWS's message for a line of botocore's report."""
    missing = _MISSING.fullmatch(line)
    if missing is None:
        return line
    where = "" if missing["where"] == "input" else missing["where"] + "."
    return (
        f"Value null at '{where}{missing['name']}' failed to satisfy constraint: "
        "Member must not be null"
    )


def _check(value: Any, shape: Any, path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return  # any JSON
    if shape.type_name == "structure":
        yield from _check_members(value, shape, path)
    elif shape.type_name == "list":
        yield from _check_range(len(value), shape, f"Value at '{path}'", "have length")
        for number, item in enumerate(value, start=1):
            yield from _check(item, shape.member, f"{path}.{number}.member")
    elif shape.type_name == "map":
        yield from _check_range(len(value), shape, f"Value at '{path}'", "have length")
        for key, item in value.items():
            yield from _check(key, shape.key, f"{path}.{key}.key")
            yield from _check(item, shape.value, f"{path}.{key}.value")
    elif shape.type_name == "string":
        yield from _check_string(value, shape, path)
    elif shape.type_name == "blob":
        size = len(value if isinstance(value, bytes) else value.encode())
        yield from _check_range(size, shape, f"Value at '{path}'", "have length")
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _check_range(value, shape, f"Value '{value}' at '{path}'", "have value")


def _check_members(value: Any, shape: Any, path: str) -> Iterator[str]:
    unknown = value.keys() - shape.members.keys()
    if unknown:
        yield f"Unknown members {sorted(unknown)} at '{path}'"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _check(value[name], member, f"{path}.{name}" if path else name)


def _check_range(size: float, shape: Any, subject: str, verb: str) -> Iterator[str]:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    if minimum is not None and size < minimum:
        yield _build_message(subject, f"{verb} greater than or equal to {minimum}")
    if maximum is not None and size > maximum:
        yield _build_message(subject, f"{verb} less than or equal to {maximum}")


def _check_string(value: str, shape: Any, path: str) -> Iterator[str]:
    subject = f"Value '{value}' at '{path}'"
    yield from _check_range(len(value), shape, subject, "have length")
    if shape.enum and value not in shape.enum:
        yield _build_message(subject, f"satisfy enum value set: [{', '.join(shape.enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compile(pattern).fullmatch(value):
        yield _build_message(subject, f"satisfy regular expression pattern: {pattern}")


def _build_message(subject: str, constraint: str) -> str:
    return f"{subject} failed to satisfy constraint: Member must {constraint}"


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    # Python does not have Java's Unicode classes, which some service models use.
    pattern = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d")
    pattern = pattern.replace(r"\p{Z}-_", r"\s_-")
    # The pattern of job names backtracks exponentially on hyphens; this one matches the same names.
    return re.compile(pattern.replace(r"(-*[a-zA-Z0-9\+\-\.])*", r"[a-zA-Z0-9+\-.]*"))
