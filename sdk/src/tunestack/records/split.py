"""Split data into training and validation data: the same way every time, and equal questions on the same side."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

from tunestack.errors import ConfigError, DataError
from tunestack.records.findings import Findings
from tunestack.records.jsonline import decode
from tunestack.records.source import Lines, opened
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path

_ANSWERS = ("completion", "outputText", "preferred_output", "non_preferred_output")
_WHAT = "data"


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """What a split gave."""

    training: Path
    validation: Path
    training_records: int
    validation_records: int


def split(
    source: str | PathLike[str],
    training: Path,
    validation: Path,
    *,
    fraction: float = 0.1,
    seed: int = 0,
) -> Split:
    """Write each line of a file, as it is, to one of two files.

    On which side a record comes depends on its question and the seed alone: not on its place, and not on the machine.
    So records with the same question are never on both sides, whatever their answers are.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file; it is read twice.
        training: the file for most of the records.
        validation: the file for the others.
        fraction: how many of the records are for validation, as near as whole questions allow; at least one is.
        seed: another number gives another split.

    Raises:
        DataError: the file can't be read or written, or a line is no record; both files are deleted then.
        ConfigError: the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"fraction {fraction!r} is not possible: use a number between 0 and 1")
    keys = array("Q", (_key(line, place, seed) for place, line in _lines(source)))
    held = _held_out(keys, max(1, round(fraction * len(keys)))) if keys else set()
    with Writer(training) as most, Writer(validation) as rest:
        try:
            chosen = 0
            for key, (_, line) in zip(keys, _lines(source), strict=True):
                chosen += key in held
                (rest if key in held else most).write(line + b"\n")
        except BaseException:
            most.discard()
            rest.discard()
            raise
    return Split(
        training=training,
        validation=validation,
        training_records=len(keys) - chosen,
        validation_records=chosen,
    )


def _held_out(keys: array[int], wanted: int) -> set[int]:
    """Choose questions for validation, in the order of their keys, until there are enough records."""
    counts: dict[int, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    held: set[int] = set()
    for key in sorted(counts):
        if wanted <= 0 or len(held) == len(counts) - 1:
            break
        held.add(key)
        wanted -= counts[key]
    return held


def _lines(source: str | PathLike[str]) -> Iterator[tuple[int, bytes]]:
    numbers = count(1)
    with opened(source, _WHAT) as data:
        for piece in data.pieces():
            _refuse(piece, numbers)
            # The lines first: a number that is taken for a line that isn't there would be missing later.
            for line, number in zip(piece.lines, numbers, strict=False):
                text = line.strip(b" \t\r\n")
                if text:
                    yield number, text


def _refuse(piece: Lines, numbers: Iterator[int]) -> None:
    if piece.refused:
        place, found = next(iter(piece.refused.items()))
        raise DataError(f"{_WHAT}: line {next(numbers) + place}: {found.message}")


def _key(line: bytes, number: int, seed: int) -> int:
    findings = Findings()
    record = decode(line, findings)
    if record is None:
        raise DataError(f"{_WHAT}: line {number}: {findings.problems[0].message}")
    asked = orjson.dumps(_question(record), option=orjson.OPT_SORT_KEYS)
    return xxhash.xxh3_64_intdigest(asked, seed=seed)


def _question(record: dict[str, Any]) -> Any:
    """Take from a record what is asked: all but the last answer."""
    messages = record.get("messages")
    if isinstance(messages, list) and messages:
        last = messages[-1]
        is_answer = isinstance(last, dict) and last.get("role") == "assistant"
        return [record.get("system"), messages[:-1] if is_answer else messages]
    return {name: value for name, value in record.items() if name not in _ANSWERS}
