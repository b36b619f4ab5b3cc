"""What a file is, from its first bytes: JSON Lines, or another container of records, which is read as lines."""

from __future__ import annotations

import codecs
import io
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from tunestack._utils.extras import missing_extra
from tunestack.errors import DataError, TunestackError
from tunestack.records import tables
from tunestack.records.json_values import JsonValues
from tunestack.records.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEAD_SIZE = 2**16
"""Bytes by which a container is detected."""
_WRAPPER = re.compile(
    rb'\s*\{\s*"(?:data|train|rows|examples|records|items|instances|dataset)"\s*:\s*(?=\[)'
)
_ARRAY = re.compile(rb"\[\s*(?:\{|\]|\Z)")
_OPEN_LINE = re.compile(rb"\s*[\[{].*[\[{,]\s*|\s*[\[{]\s*", re.DOTALL)
_CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}
_UNSUPPORTED = {
    b"%PDF": "a PDF file: extract its text first",
    b"SQLite format 3": "an SQLite database: export a table as CSV first",
    b"\x80\x04\x95": "a Python pickle, which is not read because it can run code: save it as JSON Lines",
    b"\x80\x05\x95": "a Python pickle, which is not read because it can run code: save it as JSON Lines",
    b"\x93NUMPY": "a NumPy array: save it as JSON Lines",
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull` first",
    b"<!DOCTYPE": "an HTML page: the download failed, or needs a login",
    b"<!doctype": "an HTML page: the download failed, or needs a login",
    b"<html": "an HTML page: the download failed, or needs a login",
    b"<?xml": "XML: convert it to JSON Lines first",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls): save it as .xlsx or .csv",
}
"""Files that are not read, by their first bytes."""
_DATA_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".ndjson")


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What was detected."""

    file: BinaryIO = msgspec.field(default_factory=io.BytesIO)
    """The content: JSON Lines in UTF-8, unless there are `rows` or `lines`."""
    is_plain: bool = False
    """Whether the file itself is JSON Lines, without compression."""
    kind: str = ""
    """What the file is, for the notice; empty for JSON Lines."""
    rows: Iterator[dict[str, Any]] | None = None
    """The records of a table."""
    lines: Iterator[bytes] | None = None
    """The records of a JSON array, or of JSON on several lines."""


class _Peeked(io.RawIOBase):
    """A stream whose first bytes were read; it can be read once, and not be closed."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        """Put bytes in front of a stream."""
        self._head = io.BytesIO(head)
        self._file = file

    def readable(self) -> bool:
        """Return whether the stream can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; at the end, none."""
        return self._head.read(size) or self._file.read(size)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, for wrappers such as `io.TextIOWrapper`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def detect_container(file: BinaryIO, name: str, *, suffix: str = "") -> Container:
    """Detect what a stream is.

    Args:
        file: the stream, at its start.
        name: what it is called in error messages.
        suffix: the suffix of the file's name, in lower case.

    Raises:
        DataError: it is a file that is not read; the message says what it is and what to do.
        MissingExtraError: a package for this kind of file is not installed.
    """
    head = _read_head(file)
    stream = cast("BinaryIO", _Peeked(head, file))
    for start, reason in _UNSUPPORTED.items():
        if head.startswith(start):
            raise DataError(f"{name} is {reason}")
    for start, decompress in _COMPRESSED.items():
        if head.startswith(start):
            return msgspec.structs.replace(
                detect_container(decompress(stream), name), is_plain=False
            )
    if suffix == ".gz":
        raise DataError(f"{name} is not a complete gzip file: compress or download it again")
    table = _detect_table(head, stream, file, name)
    if table is not None:
        return table
    if encoding := _detect_utf16(head):
        recoded = cast("BinaryIO", codecs.EncodedFile(stream, "utf-8", encoding))
        inner = detect_container(recoded, name, suffix=suffix)
        return msgspec.structs.replace(
            inner, kind=f"{inner.kind or 'JSON Lines'} in UTF-16", is_plain=False
        )
    if b"\0" in head and b"\n" not in head:
        raise DataError(
            f"{name} is a binary file of an unknown kind: use JSON Lines, JSON, CSV or parquet"
        )
    return _detect_text(head, stream, suffix)


def _detect_table(head: bytes, stream: BinaryIO, file: BinaryIO, name: str) -> Container | None:
    if head.startswith(b"PK\x03\x04"):
        return _open_zip(_seekable(stream, file), name)
    if head.startswith(b"PAR1"):
        return Container(kind="parquet", rows=tables.read_parquet(_rewind(stream, file)))
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        is_stream = not head.startswith(b"ARROW1")
        rows = tables.read_arrow(_rewind(stream, file), is_stream=is_stream)
        return Container(kind="Arrow", rows=rows)
    return None


def _detect_text(head: bytes, stream: BinaryIO, suffix: str) -> Container:
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if suffix in _CSV_SUFFIXES or (text[:1] not in (b"{", b"[") and _has_csv_header(text)):
        delimiter = tables.find_delimiter(text) or _CSV_SUFFIXES.get(suffix, ",")
        kind = "TSV" if delimiter == "\t" else "CSV"
        return Container(kind=kind, rows=tables.read_csv(stream, delimiter))
    if wrapper := _WRAPPER.match(text):
        skipped = len(head) - len(text) + wrapper.end()
        stream.read(skipped)
        lines = JsonValues(stream, is_wrapped=True).lines()
        return Container(kind="JSON array in an object", lines=lines)
    if _ARRAY.match(text):
        return Container(kind="JSON array", lines=JsonValues(stream).lines())
    if b"\r" in head and b"\n" not in head:
        return Container(
            file=cast("BinaryIO", _CarriageReturns(stream)), kind="JSON Lines with CR line ends"
        )
    if text.startswith(b"{") and _has_values_on_several_lines(text):
        kind = "JSON with records on several lines"
        return Container(kind=kind, lines=JsonValues(stream).lines())
    return Container(file=stream, is_plain=True)


def _read_head(file: BinaryIO) -> bytes:
    """Read the first bytes; a pipe may return fewer at once."""
    head = b""
    while len(head) < _HEAD_SIZE and (data := file.read(_HEAD_SIZE - len(head))):
        head += data
    return head


def _has_csv_header(text: bytes) -> bool:
    """Return whether the first line is a header with a name that fields of training data have."""
    delimiter = tables.find_delimiter(text)
    if delimiter is None:
        return False
    known = {"messages", "prompt", "completion"}.union(*(shape.fields for shape in SHAPES))
    line = text.decode("utf-8", "replace").partition("\n")[0]
    return bool(known & {name.strip().strip('"') for name in line.split(delimiter)})


def _has_values_on_several_lines(text: bytes) -> bool:
    """Return whether the first JSON value goes over several lines."""
    line, end, _ = text.partition(b"\n")
    if not end or not _OPEN_LINE.fullmatch(line):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _detect_utf16(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) > 1 and head[:1] in (b"{", b"[") and head[1] == 0:
        return "utf-16-le"
    return None


def _rewind(stream: BinaryIO, file: BinaryIO) -> BinaryIO:
    """Return a file that can be mapped, at its start; for others, the stream, which begins with the bytes that were read."""
    if not tables.can_be_mapped(file):
        return stream
    file.seek(0)
    return file


def _seekable(stream: BinaryIO, file: BinaryIO) -> BinaryIO:
    """Return a file at its start, for libraries that read at any position; a pipe is read into memory or a temporary file."""
    # gzip says that it can seek, even if the file below can't.
    with suppress(OSError):
        if getattr(file, "seekable", lambda: False)():
            file.seek(0)
            return file
    # These modules and zipfile take time to load at each start, and few files need them.
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    copy = tempfile.SpooledTemporaryFile(max_size=2**26)  # noqa: SIM115 - closed with the last reference to it
    shutil.copyfileobj(stream, copy, 2**20)
    copy.seek(0)
    return cast("BinaryIO", copy)


def _open_zip(file: BinaryIO, name: str) -> Container:
    import zipfile  # noqa: PLC0415

    try:
        archive = zipfile.ZipFile(file)
        members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        if "xl/workbook.xml" in members:
            return Container(kind="Excel", rows=tables.read_excel(file))
        member = _choose_member(members, name)
        suffix = "." + member.rpartition(".")[2].lower()
        inner = detect_container(cast("BinaryIO", archive.open(member)), name, suffix=suffix)
    except TunestackError:
        raise
    # For a damaged archive, zipfile also raises IndexError, NotImplementedError, RuntimeError and others.
    except Exception as error:
        raise DataError(f"{name} is a zip archive that can't be read: {error}") from error
    return msgspec.structs.replace(
        inner, kind=f"{inner.kind or 'JSON Lines'} in a zip archive", is_plain=False
    )


def _choose_member(members: list[str], name: str) -> str:
    """Return the only file of data in an archive."""
    data = [member for member in members if member.lower().endswith(_DATA_SUFFIXES)]
    if len(data) == 1:
        return data[0]
    listed = ", ".join(sorted(data or members)[:5])
    raise DataError(
        f"{name} is a zip archive with {len(data)} files of data ({listed}): extract the one to use"
    )


def _open_zstandard(file: BinaryIO) -> BinaryIO:
    try:
        import zstandard  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing_extra("tables", error) from error
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return cast("BinaryIO", _Translated(reader, zstandard.ZstdError))


class _Translated(io.RawIOBase):
    """A stream whose errors become those of reading a file."""

    def __init__(self, file: Any, error: type[Exception]) -> None:
        self._file = file
        self._error = error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except self._error as error:
            raise OSError(f"it can't be decompressed ({error})") from error
        return data


# These modules take time to load, and most files are not compressed.
def _open_gzip(file: BinaryIO) -> BinaryIO:
    import gzip  # noqa: PLC0415

    return cast("BinaryIO", gzip.GzipFile(fileobj=file))


def _open_bzip2(file: BinaryIO) -> BinaryIO:
    import bz2  # noqa: PLC0415

    return cast("BinaryIO", bz2.BZ2File(file))


def _open_xz(file: BinaryIO) -> BinaryIO:
    import lzma  # noqa: PLC0415

    return cast("BinaryIO", lzma.LZMAFile(file))


_COMPRESSED: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": _open_gzip,
    b"BZh": _open_bzip2,
    b"\xfd7zXZ\x00": _open_xz,
    b"\x28\xb5\x2f\xfd": _open_zstandard,
}
"""Compressed files, by their first bytes."""


class _CarriageReturns(io.RawIOBase):
    """A stream whose lines end with a carriage return; JSON has none inside of strings."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size).replace(b"\r", b"\n")
