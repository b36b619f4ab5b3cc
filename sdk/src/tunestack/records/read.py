"""Read training data, whatever it comes as, into one record after the other."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson

from tunestack.errors import DataError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    Source = str | PathLike[str] | Iterable[object]

_LONGEST_LINE = 64 * 2**20
"""Bytes; far above what any model takes, far below what a machine can't hold."""

_KEY = re.compile(rb'"\s*:')


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in one record that the job would fail on."""

    line: int
    """From 1; of an iterable, the place of the record."""
    field: str
    """Where in the record, as a path: `messages[2].content`."""
    message: str

    def __str__(self) -> str:
        """Name the place and what is wrong there."""
        return f"line {self.line}, {self.field}: {self.message}"


def read(source: Source, *, what: str) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """Read records with their line numbers; what is no JSON object comes as a problem.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts.
        what: how to call the data in an error.

    Raises:
        DataError: the file can't be read.
    """
    if isinstance(source, str) and ("\n" in source or "{" in source):
        raise DataError(f"{what} is a text that is no path: pass a path, or a list of records")
    if isinstance(source, str | PathLike):
        yield from _read_file(Path(source), what)
        return
    if not isinstance(source, Iterable) or isinstance(source, bytes | Mapping):
        raise DataError(
            f"{what} is a {type(source).__name__}: use a path, or an iterable of records"
        )
    for line, record in enumerate(source, start=1):
        yield line, (record if isinstance(record, dict) else _no_object(line, record))


def _read_file(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    line = 0
    try:
        with _open(path) as file:
            # A line ends at \n and nowhere else: str.splitlines would also cut at U+2028.
            while text := file.readline(_LONGEST_LINE + 1):
                line += 1
                if len(text) > _LONGEST_LINE:
                    raise DataError(
                        f"{what} {str(path)!r}: line {line} is longer than {_LONGEST_LINE} bytes"
                    )
                yield line, _decode(line, text.rstrip(b"\r\n"))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        why = error.strerror or error if isinstance(error, OSError) else error
        raise DataError(f"{what} {str(path)!r} can't be read: {why}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _decode(line: int, text: bytes) -> dict[str, Any] | Problem:
    if not text:
        return Problem(line=line, field="$", message="the line is empty: remove it")
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Problem(line=line, field="$", message=f"not JSON: {error.msg} at byte {error.pos}")
    if not isinstance(record, dict):
        return _no_object(line, record)
    # What reads JSON keeps the last of two equal keys and drops the first: that would be data lost.
    # A key is followed by a colon; only where there are more of those than keys can one be double.
    try:
        if len(_KEY.findall(text)) > _keys(record) and (name := _double_key(text)):
            return Problem(
                line=line, field="$", message=f"the key {shortened(name)} is there twice"
            )
    except RecursionError:
        return Problem(line=line, field="$", message="is nested too deeply for any model")
    return record


def _keys(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _double_key(text: bytes) -> str | None:
    double: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(name for name, _ in items)
        double.extend(name for name, count in counts.items() if count > 1)
        return dict(items)

    json.loads(text, object_pairs_hook=pairs)
    return double[0] if double else None


def _no_object(line: int, record: object) -> Problem:
    kind = type(record).__name__
    return Problem(line=line, field="$", message=f"expected an object with fields, found {kind}")
