"""The fast path: convert records that need no decision.

These are records of texts (an optional system prompt, then alternating user and assistant messages), and records with tool
calls that have the same tools and structure as one before. The fast path never reports a problem: the slow path decides on
every record that may break a rule. Both write the same bytes, because the bytes around the values of a record come from the
slow path, see `line_templates`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.line_templates import LineTemplates
from tunestack.records.text_rules import (
    COMPLETED,
    DSPY,
    contains_match,
    create_searches,
    may_break_dspy_rule,
)
from tunestack.records.tokens import largest_size_below_limits
from tunestack.records.tool_records import DECODE_ERRORS, ToolRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunestack.records.line_templates import LineTemplate
    from tunestack.records.target import Target
    from tunestack.records.tool_records import ToolRecord


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Message]


class _Completion(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: str
    completion: str

    @property
    def messages(self) -> list[_Message]:
        return [_Message("user", self.prompt), _Message("assistant", self.completion)]


_RECORD_TYPES: dict[RecordFormat, type[_Chat | _Completion]] = {
    RecordFormat.CHAT: _Chat,
    RecordFormat.COMPLETION: _Completion,
}


class ConvertedLines(msgspec.Struct):
    """Lines that the fast path converted."""

    lines: list[bytes]
    """The converted line for each line; empty if the slow path has to decide."""
    remaining: list[int]
    """The indices of the lines for the slow path."""
    sizes: list[int]
    """Bytes of the text of each converted record, see `tokens`."""
    templates: Counter[LineTemplate]
    """How often each template was used."""


class _Candidates(msgspec.Struct):
    """Records of a chunk that have a template; their values are not checked yet."""

    # Flat lists, because the garbage collector would traverse a tuple for each record.
    indices: list[int] = msgspec.field(default_factory=list)
    templates: list[LineTemplate] = msgspec.field(default_factory=list)
    values: list[str] = msgspec.field(default_factory=list)
    """The values of all records: texts, and IDs and arguments of tool calls."""
    tool_records: dict[int, ToolRecord] = msgspec.field(default_factory=dict)
    """The records with tool calls, by the index of the line."""


class FastPath:
    """Converts records that need no decision, for one target."""

    def __init__(self, target: Target) -> None:
        """Compile the patterns of the target's rules."""
        record_type = _RECORD_TYPES.get(target.source) if target.source is not None else None
        self._decode: Callable[[bytes], Any] | None = (
            None if record_type is None else msgspec.json.Decoder(record_type).decode
        )
        self._templates = LineTemplates(target)
        self._tool_records = (
            ToolRecords(self._templates) if target.source is RecordFormat.CHAT else None
        )
        self._searches = create_searches(target)
        self._max_size = largest_size_below_limits(target)

    def convert(self, lines: Sequence[bytes]) -> ConvertedLines:
        """Convert the lines that need no decision; each has its line feed.

        The values of all lines are searched together, which takes less time than line by line. They are encoded by line: what
        orjson returns takes some KB of memory, however short it is.
        """
        candidates = self._read(lines)
        values, tool_records = candidates.values, candidates.tool_records
        may_break_rule = self._may_break_rule(values)
        converted = [b""] * len(lines)
        sizes: list[int] = []
        used: list[LineTemplate] = []
        end = 0
        for index, template in zip(candidates.indices, candidates.templates, strict=True):
            start, end = end, end + template.count
            if may_break_rule and self._may_break_rule(values[start:end]):
                continue
            encoded = list(map(orjson.dumps, values[start:end]))
            uncounted = template.frame_size
            if index in tool_records:
                record = tool_records[index]
                uncounted += record.uncounted
                for position, value in record.objects:
                    encoded[position] = value
            line = template.fill(encoded)
            size = len(line) - uncounted
            source = lines[index]
            if size <= self._max_size and (
                len(source) - len(line) in template.length_differences
                or template.has_unique_keys(source, line, encoded)
            ):
                converted[index] = line
                sizes.append(size)
                used.append(template)
        remaining = [index for index, line in enumerate(converted) if not line]
        return ConvertedLines(converted, remaining, sizes, Counter(used))

    def _read(self, lines: Sequence[bytes]) -> _Candidates:
        """Decode the lines, and find their templates."""
        candidates = _Candidates()
        decode = self._decode
        if decode is None:
            return candidates
        get_template = self._templates.get
        indices, templates, all_values = candidates.indices, candidates.templates, candidates.values
        expects_tools = False  # as in the record before, so that most lines are decoded once
        for index, line in enumerate(lines):
            if expects_tools and self._read_tool_record(line, index, candidates):
                continue
            try:
                messages = decode(line).messages
            except DECODE_ERRORS:
                expects_tools = not expects_tools and self._read_tool_record(
                    line, index, candidates
                )
                continue
            expects_tools = False
            template = get_template(tuple([message.role for message in messages]))
            if template is None:
                continue
            values = [message.content for message in messages]
            is_suspect = len(values) > 3 and values[-1] in values[:-1]
            if template.has_system:
                is_suspect |= COMPLETED in values[0] or DSPY in values[0]
            if is_suspect and _may_break_dspy_rule(values, has_system=template.has_system):
                continue
            indices.append(index)
            templates.append(template)
            all_values += values
        return candidates

    def _read_tool_record(self, line: bytes, index: int, candidates: _Candidates) -> bool:
        record = None if self._tool_records is None else self._tool_records.read(line)
        if record is None:
            return False
        candidates.indices.append(index)
        candidates.templates.append(record.template)
        candidates.tool_records[index] = record
        candidates.values += record.values
        return True

    def _may_break_rule(self, texts: Sequence[str]) -> bool:
        """Return whether one of the texts may break a rule on texts."""
        return (
            not all(texts) or any(map(str.isspace, texts)) or contains_match(texts, self._searches)
        )


def _may_break_dspy_rule(texts: Sequence[str], *, has_system: bool) -> bool:
    """Return whether alternating texts may break a rule of DSPy."""
    system = texts[0] if has_system else ""
    return may_break_dspy_rule(system, texts[has_system::2], texts[has_system + 1 :: 2])
