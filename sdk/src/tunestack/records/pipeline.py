"""Convert training data in one pass: chunks of lines from a reader, through the fast or slow path, to a writer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.fast_path import FastPath
from tunestack.records.fingerprints import Fingerprints, simplify
from tunestack.records.formats import detect_format
from tunestack.records.jsonline import BOM
from tunestack.records.mapping import ShapeMapper, read_first
from tunestack.records.shapes import Shape, detect_shape
from tunestack.records.shapes.table import is_native
from tunestack.records.slow_path import RecordResult, convert_record
from tunestack.records.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunestack.records.chunks import Chunk
    from tunestack.records.conversations import Conversations
    from tunestack.records.source import Reader
    from tunestack.records.target import Target
    from tunestack.records.writer import Writer


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of reading training data."""

    records: int
    bytes: int
    """Bytes of the (decompressed) file that were read; 0 for an iterable of records."""
    total_bytes: int | None
    """Size of the file, if it is known."""
    seconds: float

    @property
    def bytes_per_second(self) -> float:
        """The throughput."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def eta(self) -> float | None:
        """The remaining seconds, or `None` if they are unknown."""
        if self.total_bytes is None or not self.bytes:
            return None
        return (self.total_bytes - self.bytes) / self.bytes_per_second


def run(
    reader: Reader,
    target: Target,
    writer: Writer,
    *,
    max_problems: int,
    mapping: Shape | None = None,
    name: str = "the data",
    conversations: Conversations | None = None,
    find_near_duplicates: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Totals:
    """Convert all records of a reader.

    Args:
        reader: the data.
        target: the target. If it has no source format, the shape of the records is detected from the first ones.
        mapping: how the fields of the records are mapped, instead of detecting it.
        name: the name of the data in error messages.
        conversations: is filled with the conversations of the records, if they are compared with another file.
        find_near_duplicates: whether records that differ only in case, spaces and punctuation are counted.
        writer: the file to write. Nothing is written after the first error.
        max_problems: the number of errors after which only the fast path is used, and of listed problems of each rule.
        progress: called after each chunk.

    Raises:
        DataError: the data can't be read, or the file can't be written.
    """
    start = time.monotonic()
    chunks, source, mapper = read_mapped(reader, target.source, mapping, name)
    target = msgspec.structs.replace(target, source=source)
    totals = Totals(
        target,
        max_problems,
        conversations=conversations,
        simplified=Fingerprints() if find_near_duplicates else None,
    )
    converter = ChunkConverter(totals)
    for chunk in chunks:
        output = converter.convert(chunk)
        if not totals.errors:
            writer.write(output)
        if progress is not None:
            progress(
                Progress(
                    records=totals.records,
                    bytes=chunk.end,
                    total_bytes=reader.size,
                    seconds=time.monotonic() - start,
                )
            )
    if reader.kind:
        totals.notices.append(f"read as {reader.kind}")
    if mapper is not None:
        totals.notices += mapper.notices()
    return totals


def read_mapped(
    reader: Reader, source: RecordFormat | None, mapping: Shape | None, name: str
) -> tuple[Iterator[Chunk], RecordFormat, ShapeMapper | None]:
    """Read the records of a reader in one of Tunestack's formats.

    Args:
        reader: the data.
        source: the format of the data; by default, its shape is detected from the first records.
        mapping: how the fields of the records are mapped, instead of detecting it.
        name: the name of the data in error messages.

    Returns:
        The chunks, the format of their records, and the mapper, if the records are mapped.

    Raises:
        DataError: the data can't be read, or its shape is unknown.
    """
    chunks = reader.chunks()
    if source is None and mapping is None:
        mapping, source, chunks = _detect(chunks, name)
    if mapping is None:
        return chunks, source or RecordFormat.CHAT, None
    mapper = ShapeMapper(mapping)
    return map(mapper.map, chunks), mapping.format, mapper


def _detect(
    chunks: Iterator[Chunk], name: str
) -> tuple[Shape | None, RecordFormat, Iterator[Chunk]]:
    """Detect the shape of the first records, or their format if they need no mapping.

    Returns:
        The shape, the format, and all chunks.

    Raises:
        DataError: the shape is unknown.
    """
    records, chunks = read_first(chunks)
    shape = detect_shape(records, name) if records else None
    source = RecordFormat.CHAT
    if shape is None and records:
        source = detect_format(next(filter(is_native, records), records[0]))
    return shape, source, chunks


class ChunkConverter:
    """Converts chunks of lines, and adds their problems to the totals."""

    def __init__(self, totals: Totals) -> None:
        """Prepare the fast path for the target of the totals."""
        self._totals = totals
        self._fast_path = FastPath(totals.target)

    def convert(self, chunk: Chunk) -> bytes:
        """Convert the lines of the next chunk; lines with errors are left out."""
        totals = self._totals
        converted = self._fast_path.convert(chunk.lines)
        totals.add_converted(converted)
        lines = converted.lines
        offsets = _Offsets(chunk)
        for index in converted.remaining:
            line = chunk.lines[index].rstrip(b"\r\n")
            is_record = bool(line.removeprefix(BOM).strip(b" \t\r"))
            totals.records += is_record
            if totals.has_max_errors:
                totals.unchecked += is_record
                continue
            rejected = chunk.rejected.get(index)
            result = (
                convert_record(line, totals.target)
                if rejected is None
                else RecordResult(None, problems=(rejected,))
            )
            totals.add_result(result, index, offsets.of(index))
            if result.line is not None:
                lines[index] = result.line
        totals.fingerprints.add(lines)
        if totals.simplified is not None:
            totals.simplified.add(map(simplify, lines))
        if totals.conversations is not None:
            for line in filter(None, lines):
                totals.conversations.add(orjson.loads(line))
        totals.lines += len(chunk.lines)
        return b"".join(lines)


class _Offsets:
    """Computes the offsets of lines, in increasing order."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._index = 0
        self._offset = chunk.offset

    def of(self, index: int) -> int | None:
        """Return the offset of a line in the file."""
        if self._offset is None:
            return None
        for line in range(self._index, index):
            self._offset += self._chunk.lengths.get(line, len(self._chunk.lines[line]))
        self._index = index
        return self._offset
