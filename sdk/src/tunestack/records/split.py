"""Split data into training and validation data: reproducibly, with equal questions in the same part."""

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
from tunestack.records.source import Chunk, open_source, require_different_files
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

_NAME = "data"


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The files of a split."""

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
    """Write each line of a file unchanged to one of two files; empty lines are skipped.

    The part of a record depends only on its question and the seed, not on its position or the machine. So records with
    the same question are always in the same part, even if their answers differ.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file; it is read twice.
        training: the file for most records.
        validation: the file for the other records.
        fraction: the maximum share of records for validation. At least one question is used for validation.
        seed: the random seed.

    Raises:
        DataError: the file can't be read or written, or a line is not a record. Nothing is written then.
        ConfigError: the fraction is not between 0 and 1, or two paths are of the same file.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"invalid fraction {fraction!r}: use a number between 0 and 1")
    if not Path(source).is_file():
        raise ConfigError(
            f"{str(source)!r} is not a regular file, which is required because a split reads its data twice"
        )
    training, validation = Path(training), Path(validation)
    require_different_files(
        (("the data", source), ("training", training), ("validation", validation))
    )
    keys = array("Q", (_key(line, place, seed) for place, line in _lines(source)))
    if len(set(keys)) < len(("training", "validation")):
        raise DataError(
            f"{_NAME} has {len(set(keys))} different questions: a split needs at least two"
        )
    validation_keys = _choose_validation(keys, max(1, round(fraction * len(keys))))
    with Writer(training) as training_writer, Writer(validation) as validation_writer:
        validation_count = 0
        for key, (_, line) in zip(keys, _lines(source), strict=True):
            validation_count += key in validation_keys
            (validation_writer if key in validation_keys else training_writer).write(line)
        training_writer.close()
        validation_writer.close()
        training_writer.commit()
        validation_writer.commit()
    return Split(
        training=training,
        validation=validation,
        training_records=len(keys) - validation_count,
        validation_records=validation_count,
    )


def _choose_validation(keys: array[int], max_records: int) -> set[int]:
    """Choose questions for validation, in the order of their keys, up to a number of records."""
    counts = Counter(keys)
    chosen: set[int] = set()
    for key in sorted(counts):
        if counts[key] <= max_records:
            chosen.add(key)
            max_records -= counts[key]
    # If every question has more records than that, choose the one with the fewest.
    return chosen or {min(counts, key=lambda key: (counts[key], key))}


def _lines(source: str | PathLike[str]) -> Iterator[tuple[int, bytes]]:
    numbers = count(1)
    with open_source(source, _NAME) as reader:
        for chunk in reader.chunks():
            _require_no_rejected(chunk, numbers)
            # The lines first: after the last line, `zip` would take a number that is lost.
            for line, number in zip(chunk.lines, numbers, strict=False):
                if line.removeprefix(BOM).strip(b" \t\r\n"):
                    yield number, line.removeprefix(BOM)


def _require_no_rejected(chunk: Chunk, numbers: Iterator[int]) -> None:
    if chunk.rejected:
        index, problem = next(iter(chunk.rejected.items()))
        raise DataError(f"{_NAME}: line {next(numbers) + index}: {problem.message}")


def _key(line: bytes, number: int, seed: int) -> int:
    """Return a hash of the question of a record."""
    findings = Findings()
    record = decode(line.rstrip(b"\r\n"), findings)
    if record is None:
        raise DataError(f"{_NAME}: line {number}: {findings.problems[0].message}")
    question = orjson.dumps(_question(record), option=orjson.OPT_SORT_KEYS)
    return xxhash.xxh3_64_intdigest(question, seed=seed)


def _question(record: dict[str, Any]) -> Any:
    """Return the question of a record: everything except the last answer."""
    prompt = record.get("input")
    if isinstance(prompt, dict) and "preferred_output" in record:
        return _texts(prompt.get("messages"))
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
    """Replace a list with a single text by the text."""
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
