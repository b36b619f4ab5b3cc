"""Training data, whatever it comes as, piece by piece.

A line ends at a line feed and nowhere else: str.splitlines would also cut at U+2028, form feeds and seven other characters.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tunestack.errors import ConfigError, DataError
from tunestack.records.findings import Findings, Found
from tunestack.records.jsonline import encode

if TYPE_CHECKING:
    Source = str | PathLike[str] | BinaryIO | Iterable[object]

LONGEST_LINE = 8 * 2**20
"""Bytes; far above what any model takes in text, and far below what a machine can't hold."""
PIECE = 2**20
"""Bytes of a piece; it is as long as the line that reaches over it ends."""
_NO_TEXT = 2**30
_GZIP = b"\x1f\x8b"
_UNREAD = b"\xff"
"""Stands for a line that was not kept: no line of JSON is like it."""
_RECORDS = 512
"""Records of a piece of an iterable."""


@dataclass(slots=True)
class Lines:
    """The lines of a piece, with their ends."""

    lines: list[bytes]
    offset: int | None
    """Where the first one begins, in bytes; `None` in an iterable."""
    refused: dict[int, Found] = field(default_factory=dict)
    """Why lines could not be kept, by their places."""
    long: dict[int, int] = field(default_factory=dict)
    """How long those of them were that were too long."""
    end: int | None = None
    """How far the file was read, in bytes; `None` where that says nothing."""

    def add_long(self, length: int) -> None:
        """Add a line that was too long to keep."""
        self.long[len(self.lines)] = length
        self.refuse(Found("line-length", "$", _TOO_LONG))

    def refuse(self, why: Found) -> None:
        """Add a line that could not be kept."""
        self.refused[len(self.lines)] = why
        self.lines.append(_UNREAD)

    def drop_long(self) -> Lines:
        """Replace the lines that are too long."""
        if any(len(line) > LONGEST_LINE for line in self.lines):
            lines, self.lines = self.lines, []
            for line in lines:
                if len(line) > LONGEST_LINE:
                    self.add_long(len(line))
                else:
                    self.lines.append(line)
        return self


_TOO_LONG = (
    f"the line is longer than {LONGEST_LINE // 2**20} MiB, as no model takes: "
    "name images and videos by URI"
)


class Records:
    """Data that is in memory already, or comes from an iterator."""

    size = None

    def __init__(self, records: Iterable[object]) -> None:
        """Take the records."""
        self._records = records

    def pieces(self) -> Iterator[Lines]:
        """Write the records as lines."""
        piece = Lines([], None)
        for record in self._records:
            findings = Findings()
            line = encode(record, findings)
            if line is None:
                piece.refuse(findings.problems[0])
            else:
                piece.lines.append(line)
            if len(piece.lines) == _RECORDS:
                yield piece.drop_long()
                piece = Lines([], None)
        yield piece.drop_long()


class Stream:
    """A file that can only be read from its beginning: a compressed one, a pipe, an object in S3."""

    size = None

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Take the open file."""
        self._file = file
        self._name = name

    def pieces(self) -> Iterator[Lines]:
        """Read the file.

        Raises:
            DataError: it can't be read.
        """
        rest = b""
        offset = dropped = 0
        while True:
            with readable(self._name):
                data = self._file.read(PIECE)
            if dropped:
                # Within a line that is too long to keep: only its end matters.
                end = data.find(b"\n")
                if data and end < 0:
                    dropped += len(data)
                    if dropped > _NO_TEXT:
                        raise DataError(
                            f"{self._name} has a line of more than 1 GiB: it is no JSON Lines"
                        )
                    continue
                dropped += max(end, 0)
                long = Lines([], offset)
                long.add_long(dropped + 1)
                yield long
                offset += dropped + 1
                data, dropped = data[end + 1 :], 0
                if not data and end < 0:
                    return
            whole = rest + data
            end = whole.rfind(b"\n")
            if not data:
                if rest:
                    yield Lines([rest + b"\n"], offset).drop_long()
                return
            if end < 0:
                rest = whole
                if len(rest) > LONGEST_LINE:
                    dropped, rest = len(rest), b""
                continue
            piece, rest = whole[: end + 1], whole[end + 1 :]
            yield Lines(_split(piece), offset).drop_long()
            offset += end + 1


class File:
    """A file that can be read at any place, by several processes; as long as it was when it was opened."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Take the open file."""
        self.name = name
        self.fileno = file.fileno()
        self._file = file
        self._before = os.fstat(self.fileno)
        self.size = self._before.st_size

    def spans(self) -> Iterator[tuple[int, int]]:
        """Name the places between which pieces begin."""
        for start in range(0, self.size, PIECE):
            yield start, min(start + PIECE, self.size)

    def pieces(self) -> Iterator[Lines]:
        """Read the file.

        Raises:
            DataError: it can't be read, or was changed meanwhile.
        """
        for start, end in self.spans():
            with readable(self.name):
                lines = read_span(self.fileno, start, end, self.size)
            yield lines
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Refuse a file that somebody wrote to while it was read.

        Raises:
            DataError: somebody did.
        """
        after = os.fstat(self.fileno)
        if (after.st_size, after.st_mtime_ns) != (self.size, self._before.st_mtime_ns):
            raise DataError(f"{self.name} was changed while it was read: try again when it is done")


def read_span(fileno: int, start: int, end: int, size: int) -> Lines:
    """Read the lines that begin between two places of a file."""
    lines = _read_span(fileno, start, end, size)
    lines.end = end
    return lines


def _read_span(fileno: int, start: int, end: int, size: int) -> Lines:
    # No further than this piece: where no line begins in it, it is part of a line that began before.
    first = _next_line(fileno, start - 1, end) if start else 0
    if first >= end:
        return Lines([], first)
    data = _read(fileno, first, end - first)
    if first + len(data) < end:
        raise OSError("it became shorter while it was read")
    lines = Lines(_split(data), first)
    if end < size and not data.endswith(b"\n"):
        rest = lines.lines.pop()
        stop = _next_line(fileno, end, size)
        length = len(rest) + stop - end
        if length > LONGEST_LINE:
            lines.drop_long().add_long(length)
            return lines
        lines.lines.append(rest + _read(fileno, end, stop - end))
    if lines.lines and not lines.lines[-1].endswith(b"\n"):
        lines.lines[-1] += b"\n"
    return lines.drop_long()


def _split(data: bytes) -> list[bytes]:
    """Split at line ends, and keep them; bytes.split takes four times as long."""
    return io.BytesIO(data).readlines()


def _read(fileno: int, place: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.pread(fileno, length, place)):
        parts.append(part)
        place += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _next_line(fileno: int, place: int, size: int) -> int:
    """Find where the next line begins after a place."""
    step = 2**12
    while place < size:
        data = os.pread(fileno, min(step, size - place), place)
        if not data:
            break
        found = data.find(b"\n")
        if found >= 0:
            return place + found + 1
        place += len(data)
        step = 2**18
    return size


@contextmanager
def opened(source: Source, what: str) -> Iterator[File | Stream | Records]:
    """Open a source.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file, an open file, or any iterable of records.
        what: how to call the data in an error.

    Raises:
        DataError: it is none, or can't be read.
    """
    if isinstance(source, str) and _is_json(source):
        raise DataError(f"{what} is a text that is no path: pass a path, or a list of records")
    if isinstance(source, io.IOBase) or hasattr(source, "read"):
        # A text file has split its lines where no JSON line ends, and guessed its encoding.
        file = getattr(source, "buffer", source)
        if isinstance(file, io.TextIOBase):
            raise DataError(f"{what} is a text in memory: pass a path, or a file opened as 'rb'")
        yield Stream(_unzipped(cast("BinaryIO", file)), what)
        return
    if not isinstance(source, str | PathLike):
        if not isinstance(source, Iterable) or isinstance(source, bytes | Mapping):
            raise DataError(
                f"{what} is a {type(source).__name__}: use a path, or an iterable of records"
            )
        yield Records(source)
        return
    path = Path(source)
    name = f"{what} {str(path)!r}"
    with readable(name):
        file = path.open("rb", buffering=0)
    with file:
        with readable(name):
            kind = os.fstat(file.fileno()).st_mode
            zipped = path.suffix == ".gz" or (stat.S_ISREG(kind) and file.read(2) == _GZIP)
            if stat.S_ISREG(kind):
                file.seek(0)
        if zipped:
            yield Stream(cast("BinaryIO", gzip.GzipFile(fileobj=file)), name)
        elif stat.S_ISREG(kind):
            yield File(cast("BinaryIO", file), name)
        else:
            yield Stream(cast("BinaryIO", file), name)


def refuse_same(files: Iterable[tuple[str, object]]) -> None:
    """Refuse to write a file that is read, or written otherwise too.

    Raises:
        ConfigError: two of the files are one.
    """
    paths = [(what, file) for what, file in files if isinstance(file, str | PathLike)]
    for place, (what, file) in enumerate(paths):
        for other, same in paths[:place]:
            # Not resolve(): a path that is none is for whoever opens it to say.
            if _names_same(Path(file), Path(same)):
                raise ConfigError(
                    f"{other} and {what} are the same file, {str(file)!r}: use another"
                )


def _names_same(one: Path, other: Path) -> bool:
    try:
        return one.absolute() == other.absolute() or one.samefile(other)
    except (OSError, ValueError):
        return False


def _is_json(text: str) -> bool:
    """Tell whether somebody took data for the path of data."""
    if "\n" in text:
        return True
    return text.lstrip().startswith("{") and not Path(text).exists()


def _unzipped(file: BinaryIO) -> BinaryIO:
    """Unzip what is zipped, as far as that can be seen without taking from it."""
    peek = getattr(file, "peek", None)
    if peek is None or peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
        return file
    return cast("BinaryIO", gzip.GzipFile(fileobj=file))


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Say what can't be read, and why."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{name} is no whole gzip file: zip it, or copy it, anew") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        why = error.strerror or error if isinstance(error, OSError) else error
        raise DataError(f"{name} can't be read: {why}") from error
