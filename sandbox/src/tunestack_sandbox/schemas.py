"""Values for a JSON schema: what a simulated model passes to a tool, or answers where JSON is asked for.

The values come from the model's answer as far as they fit, the rest is the smallest value that the schema allows.
Patterns, `not`, `if` and dependencies are not followed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH = 20
"""How deep a schema that refers to itself is followed."""
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


def value_for(schema: Any, answer: str) -> Any:
    """Return a value that a schema allows.

    Args:
        schema: the JSON schema.
        answer: the model's answer, as text or as JSON.
    """
    try:
        hint: Any = json.loads(answer)
    except (ValueError, RecursionError):
        hint = answer
    return _Values(schema).value(schema, hint, _DEPTH)


class _Values:
    def __init__(self, root: Any) -> None:
        self._root = root

    def value(self, schema: Any, hint: Any, depth: int) -> Any:
        """Return a value that a part of the schema allows, the hint if it fits."""
        schema = self._resolved(schema)
        for key in ("anyOf", "oneOf"):
            if schema.get(key) and depth > 0:
                return self._any_of(schema, key, hint, depth)
        kind = _type(schema, hint)
        if kind == "object" and depth > 0:
            return self._object(schema, hint, depth)
        if kind == "array" and depth > 0:
            return self._array(schema, hint, depth)
        return _scalar(schema, kind, hint)

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """Follow references inside the schema and merge `allOf`."""
        for _ in range(_DEPTH):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            siblings = {name: item for name, item in schema.items() if name != "$ref"}
            schema = {**self._referred(reference), **siblings}
        merged = dict(schema) if isinstance(schema, Mapping) else {}
        for part in merged.pop("allOf", ()):
            other = self._resolved(part)
            for name, joined in (("properties", dict), ("required", list)):
                if name in merged and name in other:
                    both = (
                        {**merged[name], **other[name]}
                        if joined is dict
                        else [*merged[name], *other[name]]
                    )
                    other[name] = both
            merged |= other
        return merged

    def _referred(self, reference: str) -> Mapping[str, Any]:
        found = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name, {}) if name and isinstance(found, Mapping) else found
        return found if isinstance(found, Mapping) else {}

    def _any_of(self, schema: Mapping[str, Any], key: str, hint: Any, depth: int) -> Any:
        """Take the first option that the hint fits unchanged, else the first that is not null."""
        rest = {name: item for name, item in schema.items() if name != key}
        options = [{**rest, **self._resolved(option)} for option in schema[key]]
        values = [self.value(option, hint, depth - 1) for option in options]
        for value in values:
            if value == hint and type(value) is type(hint):
                return value
        return next((value for value in values if value is not None), None)

    def _object(self, schema: Mapping[str, Any], hint: Any, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        given = hint if isinstance(hint, Mapping) else None
        names = [
            name
            for name in (*properties, *schema.get("required", ()))
            if name in schema.get("required", ()) or (given is not None and name in given)
        ]
        return {
            name: self.value(
                properties.get(name, {}), hint if given is None else given.get(name), depth - 1
            )
            for name in dict.fromkeys(names)
        }

    def _array(self, schema: Mapping[str, Any], hint: Any, depth: int) -> list[Any]:
        hints = list(hint) if isinstance(hint, list) else [hint]
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, len(hints)))
        first = schema.get("prefixItems", [])
        count = max(least, min(most, max(len(hints), len(first))))
        items = [
            first[place] if place < len(first) else schema.get("items", {})
            for place in range(count)
        ]
        return [
            self.value(item, hints[place] if place < len(hints) else None, depth - 1)
            for place, item in enumerate(items)
        ]


def _chosen(options: Sequence[Any], hint: Any) -> Any:
    """Choose the option that the hint is, or that a text names."""
    if hint in options:
        return hint
    text = str(hint).lower()
    named = [option for option in options if str(option).lower() in text]
    return max(named, key=lambda option: len(str(option)), default=options[0])


def _type(schema: Mapping[str, Any], hint: Any) -> str | None:
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


def _scalar(schema: Mapping[str, Any], kind: str | None, hint: Any) -> Any:
    if "const" in schema:
        return schema["const"]
    if options := schema.get("enum"):
        return _chosen(options, hint)
    if hint is None and "default" in schema:
        return schema["default"]
    makers: dict[str | None, Callable[[], Any]] = {
        "boolean": lambda: _boolean(hint),
        "integer": lambda: _number(schema, hint, whole=True),
        "null": lambda: None,
        "number": lambda: _number(schema, hint, whole=False),
        "string": lambda: _string(schema, hint),
    }
    return makers.get(kind, lambda: hint)()


def _boolean(hint: Any) -> bool:
    return hint if isinstance(hint, bool) else str(hint).strip().lower() in ("true", "yes")


def _number(schema: Mapping[str, Any], hint: Any, *, whole: bool) -> float:
    found = _NUMBER.search(hint) if isinstance(hint, str) else None
    number: float = float(found[0]) if found else 0.0
    if isinstance(hint, int | float) and not isinstance(hint, bool):
        number = hint
    step = schema.get("multipleOf", 1 if whole else 0)
    margin = step or 1e-6
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if isinstance(above := schema.get("exclusiveMinimum"), int | float):
        least = max(least, above + margin)
    if isinstance(below := schema.get("exclusiveMaximum"), int | float):
        most = min(most, below - margin)
    number = min(max(number, least), most)
    if step:
        number = step * math.floor(number / step)
        number = number if number >= least else number + step
    return int(number) if whole or float(number).is_integer() else number


def _string(schema: Mapping[str, Any], hint: Any) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = hint if isinstance(hint, str) else "" if hint is None else json.dumps(hint)
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
