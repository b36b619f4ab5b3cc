"""Split data into training and validation data: the same way every time, and equal questions on the same side."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

from tunestack.errors import ConfigError, DataError
from tunestack.records.findings import Findings
from tunestack.records.jsonline import BOM, decode
from tunestack.records.source import Lines, opened, refuse_same
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

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
    """Write each line of a file, as it is, to one of two files; empty lines are left out.

    On which side a record comes depends on its question and the seed alone: not on its place, and not on the machine.
    So records with the same question are never on both sides, whatever their answers are.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file; it is read twice.
        training: the file for most of the records.
        validation: the file for the others.
        fraction: how many of the records are for validation: no more, where questions are not divided; at least one question is.
        seed: another number gives another split.

    Raises:
        DataError: the file can't be read or written, or a line is no record; then nothing is written.
        ConfigError: the fraction is not between 0 and 1, or two of the files are one.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"fraction {fraction!r} is not possible: use a number between 0 and 1")
    if not Path(source).is_file():
        raise ConfigError(
            f"{str(source)!r} is no file: a split reads its data twice, so it has to be one"
        )
    training, validation = Path(training), Path(validation)
    refuse_same((("the data", source), ("training", training), ("validation", validation)))
    keys = array("Q", (_key(line, place, seed) for place, line in _lines(source)))
    if len(set(keys)) < len(("training", "validation")):
        raise DataError(f"{_WHAT} has {len(set(keys))} different questions: a split needs two")
    held = _held_out(keys, max(1, round(fraction * len(keys))))
    with Writer(training) as most, Writer(validation) as rest:
        chosen = 0
        for key, (_, line) in zip(keys, _lines(source), strict=True):
            chosen += key in held
            (rest if key in held else most).write(line)
        most.close()
        rest.close()
        most.keep()
        rest.keep()
    return Split(
        training=training,
        validation=validation,
        training_records=len(keys) - chosen,
        validation_records=chosen,
    )


def _held_out(keys: array[int], wanted: int) -> set[int]:
    """Choose questions for validation, in the order of their keys, as long as they fit in."""
    counts = Counter(keys)
    held: set[int] = set()
    for key in sorted(counts):
        if counts[key] <= wanted:
            held.add(key)
            wanted -= counts[key]
    # Where every question has more records than are wanted, the one with the fewest.
    return held or {min(counts, key=lambda key: (counts[key], key))}


def _lines(source: str | PathLike[str]) -> Iterator[tuple[int, bytes]]:
    numbers = count(1)
    with opened(source, _WHAT) as data:
        for piece in data.pieces():
            _refuse(piece, numbers)
            # The lines first: a number that is taken for a line that isn't there would be missing later.
            for line, number in zip(piece.lines, numbers, strict=False):
                if line.removeprefix(BOM).strip(b" \t\r\n"):
                    yield number, line.removeprefix(BOM)


def _refuse(piece: Lines, numbers: Iterator[int]) -> None:
    if piece.refused:
        place, found = next(iter(piece.refused.items()))
        raise DataError(f"{_WHAT}: line {next(numbers) + place}: {found.message}")


def _key(line: bytes, number: int, seed: int) -> int:
    findings = Findings()
    record = decode(line.rstrip(b"\r\n"), findings)
    if record is None:
        raise DataError(f"{_WHAT}: line {number}: {findings.problems[0].message}")
    asked = orjson.dumps(_question(record), option=orjson.OPT_SORT_KEYS)
    return xxhash.xxh3_64_intdigest(asked, seed=seed)


def _question(record: dict[str, Any]) -> Any:
    """Take from a record what is asked: all but the last answer, whatever else it holds."""
    asked = record.get("input")
    if isinstance(asked, dict) and "preferred_output" in record:
        return _texts(asked.get("messages"))
    messages = record.get("messages")
    if isinstance(messages, list) and messages:
        last = messages[-1]
        is_answer = isinstance(last, dict) and last.get("role") == "assistant"
        return [record.get("system"), _texts(messages[:-1] if is_answer else messages)]
    for name in ("prompt", "inputText"):
        if name in record:
            return record[name]
    return record


def _texts(messages: Any) -> Any:
    """Take one text that stands alone in a list for the text itself."""
    if not isinstance(messages, list):
        return messages
    return [
        message | {"content": _text(message.get("content"))}
        if isinstance(message, dict)
        else message
        for message in messages
    ]


def _text(content: Any) -> Any:
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        return content[0].get("text", content)
    return content
