"""Split data into training and validation data: reproducibly, with the records of a conversation in the same part."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import xxhash

from tunestack.errors import ConfigError, DataError
from tunestack.records.conversations import Conversations
from tunestack.records.findings import Findings
from tunestack.records.jsonline import BOM, decode
from tunestack.records.mapping import read_first
from tunestack.records.shapes import ShapeError, detect_shape
from tunestack.records.source import open_source, require_different_files
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from tunestack.records.chunks import Chunk
    from tunestack.records.shapes import Shape

_NAME = "data"


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a split."""

    training: Path
    validation: Path
    training_records: int
    validation_records: int
    conversations: int
    """The conversations, or the values of the field that records are grouped by."""


def split(
    source: str | PathLike[str],
    training: Path,
    validation: Path,
    *,
    fraction: float = 0.1,
    seed: int = 0,
    group_by: str | None = None,
    stratify: str | None = None,
) -> Split:
    """Write each record of a file unchanged to one of two files; empty lines are skipped.

    The part of a record depends only on its conversation (see `Conversations`) and the seed, not on its position or the machine.
    So the records of a conversation are always in the same part.

    Args:
        source: a path to the data, in any format that `prepare` reads; it is read more than once.
        training: the file for most records.
        validation: the file for the other records.
        fraction: the maximum share of records for validation. At least one conversation is used for validation.
        seed: the random seed.
        group_by: a field of the records; records with the same value are in the same part, instead of those of a conversation.
        stratify: a field of the records; the parts have the same share of each of its values, as far as possible.

    Raises:
        DataError: the file can't be read or written, or a line is not a record. Nothing is written then.
        ConfigError: an argument is invalid, or two paths are of the same file.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"invalid fraction {fraction!r}: use a number between 0 and 1")
    if not Path(source).exists() or Path(source).is_fifo():
        raise ConfigError(
            f"{str(source)!r} is not a regular file, which is required because a split reads its data more than once"
        )
    training, validation = Path(training), Path(validation)
    require_different_files(
        (("the data", source), ("training", training), ("validation", validation))
    )
    keys, strata = _read_keys(source, seed, group_by, stratify)
    if len(set(keys)) < len(("training", "validation")):
        raise DataError(
            f"{_NAME} has {len(set(keys))} different {group_by or 'conversations'}: a split needs at least two"
        )
    validation_keys = _choose_validation(keys, strata, fraction)
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
        conversations=len(set(keys)),
    )


def _read_keys(
    source: str | PathLike[str], seed: int, group_by: str | None, stratify: str | None
) -> tuple[array[int], list[str]]:
    """Return the key of the group of each record, and the value of the field to stratify by."""
    conversations = Conversations()
    keys = array("Q")
    strata: list[str] = []
    shape = _detect_shape(source) if group_by is None else None
    for number, line in _lines(source):
        record = _decode(line, number)
        for name in filter(None, (group_by, stratify)):
            if name not in record:
                raise DataError(f"{_NAME}: line {number} has no field {name!r}")
        if stratify is not None:
            strata.append(orjson.dumps(record[stratify]).decode())
        if group_by is None:
            conversations.add(_convert(record, shape))
        else:
            value = orjson.dumps(record[group_by], option=orjson.OPT_SORT_KEYS)
            keys.append(xxhash.xxh3_64_intdigest(value))
    if group_by is None:
        keys = conversations.keys()
    # With another seed, the groups have another order.
    return array("Q", (_seeded(key, seed) for key in keys)), strata


def _seeded(key: int, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(key.to_bytes(8, "big"), seed=seed)


def _detect_shape(source: str | PathLike[str]) -> Shape | None:
    """Return the shape of the records; `None` if they need no mapping, or if it is unknown: then each is a conversation."""
    with open_source(source, _NAME) as reader:
        records, _ = read_first(reader.chunks())
    try:
        return detect_shape(records, _NAME) if records else None
    except DataError:
        return None


def _decode(line: bytes, number: int) -> dict[str, Any]:
    findings = Findings()
    record = decode(line.rstrip(b"\r\n"), findings)
    if record is None:
        raise DataError(f"{_NAME}: line {number}: {findings.problems[0].message}")
    return record


def _convert(record: dict[str, Any], shape: Shape | None) -> dict[str, Any]:
    if shape is None:
        return record
    try:
        return shape.convert(record)
    except ShapeError:
        return record


def _choose_validation(keys: array[int], strata: Sequence[str], fraction: float) -> set[int]:
    """Choose groups for validation, in the order of their keys, up to a share of the records of each stratum."""
    by_stratum: dict[str, Counter[int]] = defaultdict(Counter)
    stratum_of: dict[int, str] = {}
    for index, key in enumerate(keys):
        # A group is in the stratum of its first record.
        stratum = stratum_of.setdefault(key, strata[index] if strata else "")
        by_stratum[stratum][key] += 1
    chosen: set[int] = set()
    for counts in by_stratum.values():
        remaining = max(0 if strata else 1, round(fraction * counts.total()))
        for key in sorted(counts):
            if counts[key] <= remaining:
                chosen.add(key)
                remaining -= counts[key]
    # If every group has more records than that, choose the one with the fewest.
    counts = Counter(keys)
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
