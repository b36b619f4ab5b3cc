"""Read training data, whatever it comes as, into one record after the other."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson

from tunestack.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Source = str | Path | Iterable[object]


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


def read(source: Source) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """Read records with their line numbers; what is no JSON object comes as a problem.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts.

    Raises:
        DataError: the file can't be read.
    """
    if isinstance(source, str | Path):
        yield from _read_file(Path(source))
        return
    for line, record in enumerate(source, start=1):
        yield line, (record if isinstance(record, dict) else _no_object(line, record))


def _read_file(path: Path) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    try:
        with _open(path) as file:
            # A line ends at \n and nowhere else: str.splitlines would also cut at U+2028.
            for line, text in enumerate(file, start=1):
                yield line, _decode(line, text.rstrip(b"\r\n"))
    except (OSError, EOFError) as error:
        raise DataError(f"training data {str(path)!r} can't be read: {error}") from error


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
    return record if isinstance(record, dict) else _no_object(line, record)


def _no_object(line: int, record: object) -> Problem:
    kind = type(record).__name__
    return Problem(line=line, field="$", message=f"a {kind}, expected an object with fields")
