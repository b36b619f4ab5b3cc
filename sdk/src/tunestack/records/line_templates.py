"""The bytes around the values of a converted line, for each structure of records.

They are taken from a line that the slow path wrote, so that no format is described twice.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec
import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.slow_path import convert_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.records.target import Target

    Roles = tuple[str, ...]

_MAX_MESSAGES_BY_LENGTH = 3
"""In more messages, the spaces that `json.dumps` writes may take as many bytes as a duplicate key."""
MAX_MESSAGES = 64
"""Longer conversations get no template, because templates are cached."""
_MARK = re.compile(rb"TEXT\d+TEXT")
_WHOLE_VALUE = re.compile(
    rb'"TEXT\d+TEXT"|(?P<object>\{"TEXT\d+TEXT":0\})|"\{\\"TEXT\d+TEXT\\":0\}"'
)
"""A mark that is a JSON string of its own, or the arguments of a tool call, as an object or as text."""


def mark(index: int) -> str:
    """Return the text that stands for a value in the record that a template is created from."""
    return f"TEXT{index}TEXT"


class LineTemplate(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A line template for one structure of records."""

    parts: list[bytes]
    """The bytes around the values, with an empty part for each value."""
    count: int
    """The number of values."""
    frame_size: int
    """Bytes of the line that are not values."""
    keeps_quotes: bool
    """Whether each value is a JSON string or object of its own."""
    has_objects: bool
    """Whether the arguments of tool calls are written as objects, not as text."""
    length_differences: tuple[int, ...] = ()
    """Source length minus converted length, for the layouts in which the length proves that no object has a key twice."""
    spaced_difference: int | None = None
    """Source length minus converted length, for the layout of `json.dumps`."""
    source_parts: list[bytes] = msgspec.field(default_factory=list)
    """The bytes around the values in that layout."""
    quote_difference: int
    """Quotes in the source minus quotes in the converted line."""
    quote_count: int | None = None
    """Quotes in the source if no value has one; `None` if a value may have fewer than its mark."""
    has_system: bool
    content: tuple[str, ...]
    """Content other than text, as in `RecordResult`."""

    def fill(self, encoded: Sequence[bytes]) -> bytes:
        """Return the line with these JSON strings and objects."""
        values = encoded if self.keeps_quotes else [text[1:-1] for text in encoded]
        return _join(self.parts, values)

    def has_unique_keys(self, source: bytes, converted: bytes, encoded: Sequence[bytes]) -> bool:
        r"""Return whether no object of a source line has a key twice: the decoder would drop the first value.

        The line is as `json.dumps` writes it, or has the expected number of quotes: each quote of a value is in both lines,
        unless the source escapes it as `\u0022`. This may return `False` for a line with unique keys.
        """
        if len(source) - len(converted) == self.spaced_difference and source == _join(
            self.source_parts, encoded
        ):
            return True
        quotes = source.count(b'"')
        if quotes == self.quote_count:
            return True
        difference = quotes - converted.count(b'"')
        return difference == self.quote_difference and b"\\u0022" not in source


class LineTemplates:
    """The line templates of one target, created when a structure occurs."""

    def __init__(self, target: Target) -> None:
        """Start without templates."""
        self._target = target
        self._by_roles: dict[Roles, LineTemplate | None] = {}

    def get(self, roles: Roles) -> LineTemplate | None:
        """Return the template for messages of text with these roles; `None` if the slow path has to write them."""
        try:
            return self._by_roles[roles]
        except KeyError:
            if len(roles) > MAX_MESSAGES or not _alternate(roles):
                return None
        template = self._by_roles[roles] = self._create_for_texts(roles)
        return template

    def _create_for_texts(self, roles: Roles) -> LineTemplate | None:
        marks = [mark(index) for index in range(len(roles))]
        source = _source_record(roles, marks, self._target)
        compact, spaced = orjson.dumps(source) + b"\n", json.dumps(source).encode() + b"\n"
        template = self.create(compact, marks)
        if template is None:
            return None
        converted = len(template.fill([orjson.dumps(text) for text in marks]))
        # In a few messages, a duplicate key takes more bytes than all spaces.
        layouts = (compact, spaced) if len(roles) <= _MAX_MESSAGES_BY_LENGTH else (compact,)
        return msgspec.structs.replace(
            template,
            length_differences=tuple(len(layout) - converted for layout in layouts),
            spaced_difference=len(spaced) - converted,
            quote_count=compact.count(b'"'),
            source_parts=_split(spaced, list(_WHOLE_VALUE.finditer(spaced))),
        )

    def create(self, source: bytes, marks: Sequence[str]) -> LineTemplate | None:
        """Create a template by converting a record with the slow path, and splitting the line at its values.

        Args:
            source: the record, with a mark for each value.
            marks: the marks in the order of the values.

        Returns:
            The template; `None` if the slow path reports something, or writes the values in another order.
        """
        result = convert_record(source, self._target)
        line = result.line
        if line is None or result.problems or result.losses:
            return None
        if [found.decode() for found in _MARK.findall(line)] != marks:
            return None
        values = list(_WHOLE_VALUE.finditer(line))
        keeps_quotes = len(values) == len(marks)
        return LineTemplate(
            parts=_split(line, values if keeps_quotes else list(_MARK.finditer(line))),
            count=len(marks),
            frame_size=len(line) - result.size,
            keeps_quotes=keeps_quotes,
            has_objects=any(value["object"] for value in values),
            quote_difference=source.count(b'"') - line.count(b'"'),
            has_system=result.has_system,
            content=result.content,
        )


def _join(parts: list[bytes], values: Sequence[bytes]) -> bytes:
    """Return the bytes of a template with values."""
    parts = parts.copy()
    parts[1::2] = values
    return b"".join(parts)


def _split(line: bytes, values: Sequence[re.Match[bytes]]) -> list[bytes]:
    """Return the bytes before, between and after the values, with an empty part for each value."""
    parts = []
    end = 0
    for value in values:
        parts += [line[end : value.start()], b""]
        end = value.end()
    return [*parts, line[end:]]


def _alternate(roles: Roles) -> bool:
    """Return whether user and assistant alternate after an optional system prompt."""
    turns = roles[1:] if roles[:1] == ("system",) else roles
    return len(turns) > 0 and turns == ("user", "assistant") * (len(turns) // 2)


def _source_record(roles: Roles, texts: list[str], target: Target) -> dict[str, object]:
    if target.source is RecordFormat.CHAT:
        messages = [
            {"role": role, "content": text} for role, text in zip(roles, texts, strict=True)
        ]
        return {"messages": messages}
    prompt, completion = texts
    return {"prompt": prompt, "completion": completion}
