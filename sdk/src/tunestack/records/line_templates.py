"""The bytes around the texts of a converted line, for each sequence of roles.

They are taken from a line that the slow path wrote, so that no format is described twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.slow_path import convert_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.records.target import Target

    Roles = tuple[str, ...]

# In so few messages, a duplicate key takes more bytes than the spaces that `json.dumps` writes: a line of the expected
# length has none.
_MAX_MESSAGES_BY_LENGTH = 3
_MAX_MESSAGES = 64
"""Longer conversations get no template, because templates are cached."""
_MARK = re.compile(rb"TEXT\d+TEXT")
_QUOTED_MARK = re.compile(rb'"TEXT\d+TEXT"')


@dataclass(frozen=True, slots=True)
class LineTemplate:
    """A line template for one sequence of roles."""

    parts: list[bytes]
    """The bytes around the texts, with an empty part for each text."""
    frame_size: int
    """Bytes of the line that are not text."""
    keeps_quotes: bool
    """Whether each text is a JSON string of its own, quotes included."""
    length_differences: tuple[int, ...]
    """Source length minus converted length, for compact JSON and for `json.dumps`."""
    key_counts: tuple[tuple[bytes, int], ...]
    """How often each key is in the source."""
    key_count: int
    quote_count: int
    """Quotes in the source if no text has one."""
    has_system: bool

    def fill(self, encoded: Sequence[bytes]) -> bytes:
        """Return the line with these JSON strings."""
        self.parts[1::2] = encoded if self.keeps_quotes else [text[1:-1] for text in encoded]
        return b"".join(self.parts)


class LineTemplates:
    """The line templates of one target, created when a sequence of roles occurs first."""

    def __init__(self, target: Target) -> None:
        """Start without templates."""
        self._target = target
        self._templates: dict[Roles, LineTemplate | None] = {}

    def get(self, roles: Roles) -> LineTemplate | None:
        """Return the template for a sequence of roles; `None` if the slow path has to write it."""
        try:
            return self._templates[roles]
        except KeyError:
            if len(roles) > _MAX_MESSAGES or not _alternate(roles):
                return None
        template = self._templates[roles] = _create_template(roles, self._target)
        return template


def _create_template(roles: Roles, target: Target) -> LineTemplate | None:
    """Convert a record of these roles with the slow path and split the line at its texts."""
    marks = [f"TEXT{index}TEXT" for index in range(len(roles))]
    result = convert_record(orjson.dumps(_source_record(roles, marks, target)), target)
    line = result.line
    if line is None or result.problems or result.losses:
        return None
    if [mark.decode() for mark in _MARK.findall(line)] != marks:
        return None
    keeps_quotes = all(f':"{mark}"'.encode() in line for mark in marks)
    is_chat = target.source is RecordFormat.CHAT
    key_counts = _source_key_counts(len(roles), is_chat=is_chat)
    key_count = sum(count for _, count in key_counts)
    value_count = len(roles) * (2 if is_chat else 1)
    pieces = (_QUOTED_MARK if keeps_quotes else _MARK).split(line)
    return LineTemplate(
        parts=[part for piece in pieces for part in (piece, b"")][:-1],
        frame_size=len(line) - result.size,
        keeps_quotes=keeps_quotes,
        length_differences=_length_differences(roles, target, len(line) - len("".join(marks))),
        key_counts=key_counts,
        key_count=key_count,
        quote_count=2 * key_count + 2 * value_count,
        has_system=roles[0] == "system",
    )


def _alternate(roles: Roles) -> bool:
    """Return whether user and assistant alternate after an optional system prompt."""
    turns = roles[1:] if roles[:1] == ("system",) else roles
    return len(turns) > 0 and turns == ("user", "assistant") * (len(turns) // 2)


def _length_differences(roles: Roles, target: Target, converted: int) -> tuple[int, ...]:
    source = _source_record(roles, [""] * len(roles), target)
    layouts = [orjson.dumps(source)]
    if len(roles) <= _MAX_MESSAGES_BY_LENGTH:
        layouts.append(json.dumps(source).encode())
    return tuple(len(layout) + 1 - converted for layout in layouts)


def _source_key_counts(messages: int, *, is_chat: bool) -> tuple[tuple[bytes, int], ...]:
    if is_chat:
        return (b'"messages"', 1), (b'"role"', messages), (b'"content"', messages)
    return (b'"prompt"', 1), (b'"completion"', 1)


def _source_record(roles: Roles, texts: list[str], target: Target) -> dict[str, object]:
    if target.source is RecordFormat.CHAT:
        messages = [
            {"role": role, "content": text} for role, text in zip(roles, texts, strict=True)
        ]
        return {"messages": messages}
    prompt, completion = texts
    return {"prompt": prompt, "completion": completion}
