"""Read the held-out set: the prompt and the expected answer of each record, in any format of training data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import msgspec

from tunestack.backends.base import ToolCall
from tunestack.errors import DataError
from tunestack.records.chat_templates import detect_template
from tunestack.records.conversation import Conversation, Text, ToolUse, Turn
from tunestack.records.findings import Findings, Severity
from tunestack.records.formats import FORMATS, detect_format
from tunestack.records.jsonline import BOM, decode
from tunestack.records.mapping import read_first
from tunestack.records.rules import RULES
from tunestack.records.shapes import ShapeError, create_mapping, detect_shape
from tunestack.records.source import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.records.shapes import Shape
    from tunestack.records.source import Source

_NAME = "the evaluation data"


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A record of the held-out set."""

    line: int
    """The number of its line or row, from 1."""
    record: Mapping[str, Any]
    """The record as it is in the data."""
    conversation: Conversation
    """What the models are asked: the messages before the expected answer, and the tools."""
    expected: str
    """The text of the expected answer."""
    expected_calls: tuple[ToolCall, ...] = ()

    @property
    def question(self) -> str:
        """The text of the last message."""
        turns = self.conversation.turns
        return _text(turns[-1]) if turns else ""


def read_examples(
    source: Source, *, mapping: Mapping[str, str] | None = None, limit: int | None = None
) -> list[Example]:
    """Read the records; the last message of each is the expected answer, or the preferred one of preference data.

    Args:
        source: the data, as for `Tuner.submit`.
        mapping: the fields of records in another format.
        limit: the number of records to read; all if `None`.

    Raises:
        DataError: a record is invalid, or has no answer; the message has its line.
    """
    examples = list(islice(_read(source, mapping), limit))
    if not examples:
        raise DataError(f"{_NAME} has no records")
    return examples


def _read(source: Source, mapping: Mapping[str, str] | None) -> Iterator[Example]:
    shape = None if mapping is None else create_mapping(mapping)
    with open_source(source, _NAME) as reader:
        chunks = reader.chunks()
        if shape is None:
            records, chunks = read_first(chunks)
            shape = detect_shape(records, _NAME) if records else None
        numbers = count(1)
        for chunk in chunks:
            for index, line in enumerate(chunk.lines):
                number = next(numbers)
                if index in chunk.rejected:
                    raise DataError(f"{_NAME}: line {number}: {chunk.rejected[index].message}")
                if line.removeprefix(BOM).strip(b" \t\r\n"):
                    yield _example(line.rstrip(b"\r\n"), number, shape)


def _example(line: bytes, number: int, shape: Shape | None) -> Example:
    findings = Findings()
    record = decode(line, findings)
    if record is None:
        raise DataError(f"{_NAME}: line {number}: {findings.problems[0].message}")
    conversation = _conversation(record, number, shape)
    turns = conversation.turns
    answer = conversation.preferred[-1:] or turns[-1:]
    if not answer or answer[0].role != "assistant":
        raise DataError(
            f"{_NAME}: line {number}: the last message is not an answer: each record needs the expected answer"
        )
    asked = turns if conversation.preferred else turns[:-1]
    if not any(turn.role == "user" for turn in asked):
        raise DataError(f"{_NAME}: line {number}: there is no question before the answer")
    return Example(
        line=number,
        record=record,
        conversation=msgspec.structs.replace(conversation, turns=asked, preferred=(), rejected=()),
        expected=_text(answer[0]),
        expected_calls=tuple(
            ToolCall(name=block.name, input=block.input)
            for block in answer[0].blocks
            if isinstance(block, ToolUse)
        ),
    )


def _conversation(record: dict[str, Any], number: int, shape: Shape | None) -> Conversation:
    converted: Mapping[str, Any] = record
    if shape is not None:
        try:
            converted = shape.convert(record)
        except ShapeError as error:
            raise DataError(f"{_NAME}: line {number}: {error.path}: {error.message}") from error
    form = FORMATS[detect_format(converted) if shape is None else shape.format]
    findings = Findings()
    template = detect_template(converted) if form.is_templated else None
    if template is not None:
        conversation = form.read(converted, findings, template=template)
    else:
        conversation = form.read(converted, findings)
    for problem in findings.problems:
        if RULES[problem.rule].severity is Severity.ERROR:
            raise DataError(f"{_NAME}: line {number}: {problem.path}: {problem.message}")
    return conversation


def _text(turn: Turn) -> str:
    return "".join(block.text for block in turn.blocks if isinstance(block, Text))
