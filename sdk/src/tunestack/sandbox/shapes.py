"""Whether a value fits a shape of botocore's service model, constraints included.

botocore itself checks types and required members; it ignores patterns, most lengths, and enums.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Iterator


def violations(value: Any, shape: Any) -> list[str]:
    """List all ways in which a value does not fit a shape; empty when it does."""
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        text: str = report.generate_report()
        return text.splitlines()
    return list(_constraints(value, shape, "$"))


def _constraints(value: Any, shape: Any, path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return  # any JSON
    if shape.type_name == "structure":
        yield from _members(value, shape, path)
    elif shape.type_name == "list":
        yield from _length(len(value), shape, path)
        for place, item in enumerate(value):
            yield from _constraints(item, shape.member, f"{path}[{place}]")
    elif shape.type_name == "map":
        yield from _length(len(value), shape, path)
        for key, item in value.items():
            yield from _constraints(key, shape.key, f"{path}.{key} (key)")
            yield from _constraints(item, shape.value, f"{path}.{key}")
    elif shape.type_name == "string":
        yield from _text(value, shape, path)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _length(value, shape, path)


def _members(value: Any, shape: Any, path: str) -> Iterator[str]:
    unknown = value.keys() - shape.members.keys()
    if unknown:
        yield f"{path}: unknown members {sorted(unknown)}"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _constraints(value[name], member, f"{path}.{name}")


def _length(size: float, shape: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"{path}: {size} is less than {least}"
    if most is not None and size > most:
        yield f"{path}: {size} is more than {most}"


def _text(value: str, shape: Any, path: str) -> Iterator[str]:
    yield from _length(len(value), shape, path)
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is not one of {shape.enum}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield f"{path}: {value!r} does not match {pattern}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Java's class names for Unicode properties, which some of the models use, are unknown to Python.
    return re.compile(pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d"))
