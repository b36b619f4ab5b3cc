"""Values for JSON schemas: the inputs of tools and the structured outputs of simulated models.

Values are taken from the model's answer where they are valid; the others are the smallest values that the schema allows.
`pattern`, `not`, `if` and dependencies are ignored.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DEPTH = 20
"""The maximum depth of values for recursive schemas."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "duration": "P1D",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "00:00:00Z",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def build_value(schema: Any, answer: str) -> Any:
    """Return a value that is valid for a schema.

    Args:
        schema: The JSON schema.
        answer: The model's answer, as text or as JSON.
    """
    try:
        hint: Any = json.loads(answer)
    except (ValueError, RecursionError):
        hint = answer
    return _ValueBuilder(schema).build(schema, hint, _MAX_DEPTH)


class _ValueBuilder:
    def __init__(self, root: Any) -> None:
        self._root = root

    def build(self, schema: Any, hint: Any, depth: int) -> Any:
        """Return a value for a part of the schema: the hint, if it is valid."""
        schema = self._resolve(schema)
        for key in ("anyOf", "oneOf"):
            if schema.get(key) and depth > 0:
                return self._build_option(schema, key, hint, depth)
        kind = _find_type(schema, hint)
        if kind == "object" and depth > 0:
            return self._build_object(schema, hint, depth)
        if kind == "array" and depth > 0:
            return self._build_array(schema, hint, depth)
        return _build_scalar(schema, kind, hint)

    def _resolve(self, schema: Any) -> dict[str, Any]:
        """Follow references in the schema and merge `allOf`."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            siblings = {name: item for name, item in schema.items() if name != "$ref"}
            schema = {**self._find_reference(reference), **siblings}
        merged = dict(schema) if isinstance(schema, Mapping) else {}
        for part in merged.pop("allOf", ()):
            other = self._resolve(part)
            if "properties" in merged and "properties" in other:
                other["properties"] = {**merged["properties"], **other["properties"]}
            if "required" in merged and "required" in other:
                other["required"] = [*merged["required"], *other["required"]]
            merged |= other
        return merged

    def _find_reference(self, reference: str) -> Mapping[str, Any]:
        part = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            part = part.get(name, {}) if name and isinstance(part, Mapping) else part
        return part if isinstance(part, Mapping) else {}

    def _build_option(self, schema: Mapping[str, Any], key: str, hint: Any, depth: int) -> Any:
        """Return the value of the first option for which the hint is valid, else the first that is not null."""
        rest = {name: item for name, item in schema.items() if name != key}
        options = [{**rest, **self._resolve(option)} for option in schema[key]]
        values = [self.build(option, hint, depth - 1) for option in options]
        for value in values:
            if value == hint and type(value) is type(hint):
                return value
        return next((value for value in values if value is not None), None)

    def _build_object(self, schema: Mapping[str, Any], hint: Any, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        hints = hint if isinstance(hint, Mapping) else None
        names = [
            name
            for name in (*properties, *schema.get("required", ()))
            if name in schema.get("required", ()) or (hints is not None and name in hints)
        ]
        return {
            name: self.build(
                properties.get(name, {}), hint if hints is None else hints.get(name), depth - 1
            )
            for name in dict.fromkeys(names)
        }

    def _build_array(self, schema: Mapping[str, Any], hint: Any, depth: int) -> list[Any]:
        hints = list(hint) if isinstance(hint, list) else [hint]
        minimum = schema.get("minItems", 0)
        maximum = schema.get("maxItems", max(minimum, len(hints)))
        prefix = schema.get("prefixItems", [])
        count = max(minimum, min(maximum, max(len(hints), len(prefix))))
        items = [
            prefix[index] if index < len(prefix) else schema.get("items", {})
            for index in range(count)
        ]
        return [
            self.build(item, hints[index] if index < len(hints) else None, depth - 1)
            for index, item in enumerate(items)
        ]


def _choose_option(options: Sequence[Any], hint: Any) -> Any:
    """Return the option that equals the hint, or that the text of the hint contains, else the first one."""
    if hint in options:
        return hint
    text = str(hint).lower()
    named = [option for option in options if str(option).lower() in text]
    return max(named, key=lambda option: len(str(option)), default=options[0])


def _find_type(schema: Mapping[str, Any], hint: Any) -> str | None:
    kind = schema.get("type")
    if isinstance(kind, list):
        if hint is None and "null" in kind:
            return "null"
        kind = next((name for name in kind if name != "null"), "null")
    if kind is None and "properties" in schema:
        kind = "object"
    if kind is None and ("items" in schema or "prefixItems" in schema):
        kind = "array"
    return kind


def _build_scalar(schema: Mapping[str, Any], kind: str | None, hint: Any) -> Any:
    if "const" in schema:
        return schema["const"]
    if options := schema.get("enum"):
        return _choose_option(options, hint)
    if hint is None and "default" in schema:
        return schema["default"]
    builders: dict[str | None, Callable[[], Any]] = {
        "boolean": lambda: _build_boolean(hint),
        "integer": lambda: _build_number(schema, hint, is_integer=True),
        "null": lambda: None,
        "number": lambda: _build_number(schema, hint, is_integer=False),
        "string": lambda: _build_string(schema, hint),
    }
    return builders.get(kind, lambda: hint)()


def _build_boolean(hint: Any) -> bool:
    return hint if isinstance(hint, bool) else str(hint).strip().lower() in ("true", "yes")


def _build_number(schema: Mapping[str, Any], hint: Any, *, is_integer: bool) -> float:
    match = _NUMBER.search(hint) if isinstance(hint, str) else None
    number: float = float(match[0]) if match else 0.0
    if isinstance(hint, int | float) and not isinstance(hint, bool):
        number = hint
    step = schema.get("multipleOf", 1 if is_integer else 0)
    margin = step or 1e-6
    minimum, maximum = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if isinstance(above := schema.get("exclusiveMinimum"), int | float):
        minimum = max(minimum, above + margin)
    if isinstance(below := schema.get("exclusiveMaximum"), int | float):
        maximum = min(maximum, below - margin)
    number = min(max(number, minimum), maximum)
    if step:
        number = step * math.floor(number / step)
        number = number if number >= minimum else number + step
    return int(number) if is_integer or float(number).is_integer() else number


def _build_string(schema: Mapping[str, Any], hint: Any) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = hint if isinstance(hint, str) else "" if hint is None else json.dumps(hint)
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
