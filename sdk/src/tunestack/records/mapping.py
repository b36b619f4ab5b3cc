"""Maps the records of a shape to a format, line by line, before they are checked."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from tunestack.records.chunks import Chunk
from tunestack.records.findings import Finding, Findings
from tunestack.records.jsonline import decode, encode_or_explain
from tunestack.records.shapes import ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.records.shapes import Shape

_MAX_NAMES = 8
_MAX_SEARCHED = 2**24
"""Bytes in which a first record is searched."""
_MAX_SIZE = 2**20
"""Bytes of the chunks with the first records."""
_MAX_RECORDS = 100
"""Records by which a shape is detected."""


class ShapeMapper:
    """Maps chunks of lines."""

    def __init__(self, shape: Shape) -> None:
        """Start without unused fields."""
        self._shape = shape
        self._unused: Counter[str] = Counter()

    def map(self, chunk: Chunk) -> Chunk:
        """Return a chunk with a mapped line for each line; lines that are not a record stay, so that their problem is reported."""
        mapped = Chunk([], chunk.offset, chunk.end, dict(chunk.rejected), dict(chunk.lengths))
        for index, line in enumerate(chunk.lines):
            if index in chunk.rejected:
                mapped.lines.append(line)
                continue
            mapped.lengths[index] = len(line)
            converted = self._map_line(line)
            if isinstance(converted, Finding):
                mapped.reject(converted)
            else:
                mapped.lines.append(converted)
        return mapped

    def _map_line(self, line: bytes) -> bytes | Finding:
        record = decode(line.rstrip(b"\r\n"), Findings())
        if record is None:
            return line
        try:
            converted = self._shape.convert(record)
        except ShapeError as error:
            return Finding("field", error.path, f"{error.message} (read as {self._shape.name})")
        if self._shape.fields:
            unused = record.keys() - set(self._shape.fields)
            self._unused.update(name for name in unused if record[name] is not None)
        return encode_or_explain(converted)

    def notices(self) -> Iterator[str]:
        """Return what was read, and the fields that were not used."""
        yield f"read as {self._shape.name}: {self._shape.mapping}"
        if self._unused:
            names = ", ".join(
                f"{name} ({count:,})" for name, count in self._unused.most_common(_MAX_NAMES)
            )
            more = len(self._unused) - _MAX_NAMES
            yield f"fields that are not used: {names}" + (f" and {more} more" if more > 0 else "")


def read_first(chunks: Iterator[Chunk]) -> tuple[list[dict[str, Any]], Iterator[Chunk]]:
    """Read the first records, by which a shape is detected; return them, and all chunks."""
    first: list[Chunk] = []
    records: list[dict[str, Any]] = []
    searched = size = 0
    while (
        len(records) < _MAX_RECORDS
        and searched < _MAX_SEARCHED
        and size < _MAX_SIZE
        and (chunk := next(chunks, None))
    ):
        first.append(chunk)
        lines = (line.rstrip(b"\r\n") for line in chunk.lines)
        decoded = (decode(line, Findings()) for line in lines)
        found = (record for record in decoded if record is not None)
        records += islice(found, _MAX_RECORDS - len(records))
        chunk_size = sum(map(len, chunk.lines))
        searched += chunk_size
        size += chunk_size if records else 0
    return records, chain(first, chunks)
