"""Sources of training data: files, streams and iterables of records, read in chunks of lines.

A line ends with a line feed only: `str.splitlines` would also split at U+2028, form feeds and seven other characters.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tunestack.errors import ConfigError, DataError, TunestackError
from tunestack.records.chunks import MAX_IMAGE_LINE_LENGTH, Chunk, batch
from tunestack.records.containers import Container, detect_container
from tunestack.records.jsonline import encode_or_explain
from tunestack.records.tables import iterate_data_frame, list_arrow_files, read_arrow

if TYPE_CHECKING:
    Source = str | PathLike[str] | BinaryIO | Iterable[object]
    """A path, a file opened with `"rb"`, a DataFrame, or an iterable of records."""

CHUNK_SIZE = 2**16
"""Bytes that are read at once. Larger chunks are slower: the C library returns their memory to the operating system after each."""
_MAX_SKIPPED_LENGTH = 2**30


class RecordReader:
    """Reads records from an iterable."""

    size = None
    kind = ""

    def __init__(self, records: Iterable[object], max_length: int) -> None:
        """Take the records, and the maximum length of a line."""
        self._records = records
        self._max_length = max_length

    def chunks(self) -> Iterator[Chunk]:
        """Encode the records as lines."""
        return batch(map(encode_or_explain, self._records), self._max_length)


class FileReader:
    """Reads lines from a file, a compressed file, a pipe or an object in S3."""

    kind = ""

    def __init__(
        self, file: BinaryIO, name: str, max_length: int, *, size: int | None = None
    ) -> None:
        """Take the open file.

        Args:
            file: the file.
            name: the name of the file in error messages.
            max_length: the maximum length of a line in bytes; longer ones are skipped and reported.
            size: the size of the file in bytes, if it is known.
        """
        self.size = size
        self._max_length = max_length
        self._file = file
        self._name = name

    def chunks(self) -> Iterator[Chunk]:
        """Read the file.

        Raises:
            DataError: it can't be read.
        """
        rest: list[bytes] = []  # pieces, because lines with images are long
        offset = 0
        data = self._read()
        while data:
            lines = _split_lines(data)
            last = b"" if data.endswith(b"\n") else lines.pop()
            if lines:
                lines[0] = b"".join((*rest, lines[0]))
                end = offset + sum(map(len, rest)) + len(data) - len(last)
                rest = []
                yield Chunk(lines, offset, end).reject_long_lines(self._max_length)
                offset = end
            if last:
                rest.append(last)
            data = b""
            if sum(map(len, rest)) > self._max_length:
                length, data = self._skip_line(sum(map(len, rest)))
                rest = []
                chunk = Chunk([], offset, offset + length)
                chunk.reject_long_line(length, self._max_length)
                yield chunk
                offset += length
            data = data or self._read()
        if rest:
            line = b"".join(rest)
            yield Chunk([line + b"\n"], offset, offset + len(line))

    def _skip_line(self, length: int) -> tuple[int, bytes]:
        """Skip the rest of a long line; return the length of the line, and the data after it."""
        while data := self._read():
            line, end, rest = data.partition(b"\n")
            length += len(line) + len(end)
            if end:
                return length, rest
            if length > _MAX_SKIPPED_LENGTH:
                raise DataError(
                    f"{self._name} has a line of more than 1 GiB: this is not a JSON Lines file"
                )
        return length, b""

    def _read(self) -> bytes:
        with _translate_read_errors(self._name):
            return self._file.read(CHUNK_SIZE)


class RegularFileReader(FileReader):
    """Reads lines from a regular file, and detects that the file changes while it is read."""

    def __init__(self, file: BinaryIO, name: str, max_length: int) -> None:
        """Take the open file."""
        self._status = os.fstat(file.fileno())
        super().__init__(file, name, max_length, size=self._status.st_size)

    def chunks(self) -> Iterator[Chunk]:
        """Read the file.

        Raises:
            DataError: it can't be read, or has changed.
        """
        yield from super().chunks()
        status = os.fstat(self._file.fileno())
        before = self._status
        if (status.st_size, status.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise DataError(
                f"{self._name} was changed while it was read: try again when it is complete"
            )


def _split_lines(data: bytes) -> list[bytes]:
    """Split at line feeds and keep them; `bytes.split` takes four times as long."""
    return io.BytesIO(data).readlines()


class ContainerReader:
    """Reads records from a container that is not JSON Lines: a JSON array, a table, a folder of Arrow files."""

    size = None

    def __init__(self, container: Container, name: str, max_length: int) -> None:
        """Take what was detected, the name of the data in error messages, and the maximum length of a line."""
        self.kind = container.kind
        self._max_length = max_length
        self._container = container
        self._name = name

    def chunks(self) -> Iterator[Chunk]:
        """Read the records.

        Raises:
            DataError: they can't be read.
        """
        container = self._container
        if container.rows is not None:
            chunks = RecordReader(container.rows, self._max_length).chunks()
        elif container.lines is not None:
            chunks = batch(container.lines, self._max_length)
        else:
            chunks = FileReader(container.file, self._name, self._max_length).chunks()
        try:
            yield from chunks
        except TunestackError:
            raise
        # The errors of pyarrow, openpyxl and zipfile have no common class.
        except Exception as error:
            raise DataError(f"{self._name} can't be read as {self.kind}: {error}") from error


Reader = FileReader | RecordReader | ContainerReader


@contextmanager
def open_source(
    source: Source, name: str, *, max_length: int = MAX_IMAGE_LINE_LENGTH
) -> Iterator[Reader]:
    """Open a source of training data; what it is is detected from its content.

    Args:
        source: a path, an open file, a DataFrame, or an iterable of records.
        name: the name of the data in error messages.
        max_length: the maximum length of a line in bytes; longer ones are not kept in memory, but reported.

    Raises:
        DataError: the source is invalid or can't be read.
    """
    if isinstance(source, str) and _is_json(source):
        raise DataError(f"{name} is JSON text, not a path: pass a path, or a list of records")
    if isinstance(source, io.IOBase) or hasattr(source, "read"):
        # A text file has split lines at characters that don't end a JSON line, and guessed the encoding.
        stream = getattr(source, "buffer", source)
        if isinstance(stream, io.TextIOBase):
            raise DataError(f"{name} is a text stream: pass a path, or a file opened with 'rb'")
        with _translate_read_errors(name):
            container = detect_container(cast("BinaryIO", stream), name)
        yield _create_reader(container, name, max_length)
        return
    if not isinstance(source, str | PathLike):
        rows = iterate_data_frame(source)
        if rows is None and (
            not isinstance(source, Iterable) or isinstance(source, bytes | Mapping)
        ):
            raise DataError(_explain_object(source, name))
        yield RecordReader(source if rows is None else rows, max_length)
        return
    path = Path(source)
    name = f"{name} {str(path)!r}"
    if path.is_dir():
        yield ContainerReader(_open_folder(path, name), name, max_length)
        return
    with _translate_read_errors(name):
        file = cast("BinaryIO", path.open("rb", buffering=0))
    with file:
        with _translate_read_errors(name):
            container = detect_container(file, name, suffix=path.suffix.lower())
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            if container.is_plain and is_regular:
                file.seek(0)
        if container.is_plain and is_regular:
            yield RegularFileReader(file, name, max_length)
        else:
            yield _create_reader(container, name, max_length)


def _create_reader(container: Container, name: str, max_length: int) -> Reader:
    if container.kind:
        return ContainerReader(container, name, max_length)
    return FileReader(container.file, name, max_length)


def _open_folder(path: Path, name: str) -> Container:
    files = list_arrow_files(path)
    if files is None:
        raise DataError(
            f"{name} is a folder: pass a file, or the folder of one split of a Hugging Face dataset"
        )
    return Container(kind="Hugging Face dataset", rows=_iterate_arrow_files(files))


def _iterate_arrow_files(files: Iterable[Path]) -> Iterator[dict[str, object]]:
    for path in files:
        with path.open("rb") as file:
            yield from read_arrow(file, is_stream=True)


def _explain_object(source: object, name: str) -> str:
    if isinstance(source, Mapping) and type(source).__name__.endswith("DatasetDict"):
        splits = ", ".join(map(repr, source))
        return f"{name} has several splits: pass one of {splits}"
    return f"{name} is of type {type(source).__name__}: pass a path, or an iterable of records"


def require_different_files(files: Iterable[tuple[str, object]]) -> None:
    """Check that no file is both read and written, or written twice.

    Args:
        files: what each file is, and its path. Values that are not paths are ignored.

    Raises:
        ConfigError: two paths are of the same file.
    """
    paths = [(what, path) for what, path in files if isinstance(path, str | PathLike)]
    for index, (what, path) in enumerate(paths):
        for other_what, other in paths[:index]:
            # Not resolve(): an invalid path gets its error when it is opened.
            if _is_same_file(Path(path), Path(other)):
                raise ConfigError(
                    f"{other_what} and {what} are the same file, {str(path)!r}: use another path"
                )


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.absolute() == other.absolute() or path.samefile(other)
    except (OSError, ValueError):
        return False


def _is_json(text: str) -> bool:
    """Return whether data was passed instead of a path."""
    if "\n" in text:
        return True
    return text.lstrip().startswith("{") and not Path(text).exists()


@contextmanager
def _translate_read_errors(name: str) -> Iterator[None]:
    """Raise a `DataError` for every error of reading."""
    try:
        yield
    except TunestackError:
        raise
    except Exception as error:
        problem = _describe_read_error(error)
        if problem is None:
            raise
        raise DataError(f"{name} {problem}") from error


def _describe_read_error(error: Exception) -> str | None:
    """Return what is wrong with the file; `None` if the error is not one of reading it."""
    import gzip  # noqa: PLC0415 - with those below, takes time to load
    import lzma  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    if isinstance(error, EOFError):
        return "is not a complete compressed file: compress or download it again"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return "is not a complete gzip file: compress or download it again"
    if isinstance(error, lzma.LZMAError):
        return "is not a complete xz file: compress or download it again"
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror or error}"
    return f"can't be read: {error}" if isinstance(error, ValueError) else None
