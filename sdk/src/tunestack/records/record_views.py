"""Look at single records of training data as the model will see them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tunestack.errors import ConfigError, DataError
from tunestack.records.pipeline import read_mapped
from tunestack.records.shapes import create_mapping
from tunestack.records.slow_path import convert_record
from tunestack.records.source import open_source
from tunestack.records.target import Target
from tunestack.records.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tunestack.catalog import BaseModel
    from tunestack.records.findings import Finding
    from tunestack.records.source import Source

_NAME = "data"
# Escape sequences in the data must not control the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class RecordView(msgspec.Struct, frozen=True, kw_only=True):
    """A record as the model will see it."""

    line: int
    """Line number, or index of the record, from 1."""
    record: Mapping[str, Any] | None
    """The record in the model's format; `None` if it has errors."""
    tokens: int
    """The number of tokens (estimate)."""
    problems: Sequence[str]

    def text(self) -> str:
        """Return the record as text: its system prompt, messages and tools, or its prompt and completion."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"line {self.line:,}, about {self.tokens:,} tokens"
        yield from (f"  {problem}" for problem in self.problems)
        for title, content in _parts(self.record or {}):
            yield f"--- {title}"
            yield _CONTROL.sub(lambda match: repr(match[0])[1:-1], content)


def _parts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if name == "messages":
            for message in value:
                yield message["role"], _message(message)
        elif name == "system":
            yield name, _content(value)
        elif name == "input":
            yield from _parts(value)
        elif name.endswith("preferred_output"):
            yield name, "\n".join(map(_message, value))
        elif name != "schemaVersion":
            yield name, value if isinstance(value, str) else orjson.dumps(value).decode()


def _message(message: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in message.items() if name not in ("role", "content")}
    parts = [_content(message.get("content"))] if message.get("content") is not None else []
    return "\n".join([*parts, *([orjson.dumps(rest).decode()] if rest else [])])


def _content(content: Any) -> str:
    """Return a text, or the texts of an array of parts; other parts as JSON."""
    if isinstance(content, str):
        return content
    return "\n".join(
        part["text"] if part.keys() <= {"type", "text"} else orjson.dumps(part).decode()
        for part in content
    )


def view(
    source: Source,
    model: BaseModel,
    *,
    lines: Collection[int] = (),
    sample: int = 0,
    seed: int = 0,
    data_format: str | None = None,
    record_format: str | None = None,
    on_loss: str = "error",
    ignore: Collection[str] = (),
    rendering: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> list[RecordView]:
    """Convert single records for a model.

    Args:
        source: the data, see `prepare`.
        model: the base model.
        lines: the numbers of the lines, from 1.
        sample: the number of records to choose at random, instead of `lines`.
        seed: the random seed.
        data_format: see `prepare`.
        record_format: see `prepare`.
        on_loss: see `prepare`.
        ignore: see `prepare`.
        rendering: see `prepare`.
        mapping: see `prepare`.

    Raises:
        DataError: the data can't be read, or does not have the lines.
        ConfigError: an argument is invalid.
    """
    if bool(lines) == bool(sample) or min(lines, default=1) < 1 or sample < 0:
        raise ConfigError("use either lines, from 1, or the size of a sample")
    target = Target.create(
        model,
        source=data_format,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        rendering=rendering,
    )
    shape = None if mapping is None else create_mapping(mapping)
    with open_source(source, _NAME, max_length=target.max_line_length) as reader:
        chunks, source_format, _ = read_mapped(reader, target.source, shape, _NAME)
        target = msgspec.structs.replace(target, source=source_format)
        numbered = _number(chunks)
        chosen = _sample(numbered, sample, seed) if sample else _choose(numbered, set(lines))
    return [_convert(number, line, rejected, target) for number, line, rejected in chosen]


_Line = tuple[int, bytes, "Finding | None"]


def _number(chunks: Iterator[Any]) -> Iterator[_Line]:
    number = 0
    for chunk in chunks:
        for index, line in enumerate(chunk.lines):
            number += 1
            yield number, line.rstrip(b"\r\n"), chunk.rejected.get(index)


def _choose(lines: Iterator[_Line], numbers: set[int]) -> list[_Line]:
    chosen = []
    last = max(numbers)
    count = 0
    for number, line, rejected in lines:
        count = number
        if number in numbers:
            chosen.append((number, line, rejected))
        if number == last:
            break
    if len(chosen) < len(numbers):
        raise DataError(f"{_NAME} has {count:,} lines: line {last:,} does not exist")
    return chosen


def _sample(lines: Iterator[_Line], size: int, seed: int) -> list[_Line]:
    """Choose records at random in one pass, each with the same probability."""
    from random import Random  # noqa: PLC0415 - takes time to load

    dice = Random(seed)  # noqa: S311 - not for security
    chosen: list[_Line] = []
    count = 0
    for item in lines:
        if not item[1].strip():
            continue
        count += 1
        if len(chosen) < size:
            chosen.append(item)
        elif (place := dice.randrange(count)) < size:
            chosen[place] = item
    return sorted(chosen, key=lambda item: item[0])


def _convert(number: int, line: bytes, rejected: Finding | None, target: Target) -> RecordView:
    if rejected is not None:
        problem = f"{rejected.path}: {rejected.message} [{rejected.rule}]"
        return RecordView(line=number, record=None, tokens=0, problems=(problem,))
    result = convert_record(line, target)
    return RecordView(
        line=number,
        record=None if result.line is None else orjson.loads(result.line),
        tokens=count_tokens(result.size),
        problems=tuple(
            f"{problem.path}: {problem.message} [{problem.rule}]" for problem in result.problems
        ),
    )
