"""Maps the records of a shape to a format, line by line, before they are checked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson

from tunestack.records.findings import Finding, Findings
from tunestack.records.jsonline import decode, encode
from tunestack.records.shapes import ShapeError
from tunestack.records.source import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.records.shapes import Shape

_MAX_NAMES = 8


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
        findings = Findings()
        return encode(converted, findings) or findings.problems[0]

    def notices(self) -> Iterator[str]:
        """Return what was read, and the fields that were not used."""
        yield f"read as {self._shape.name}: {self._shape.mapping}"
        if self._unused:
            names = ", ".join(
                f"{name} ({count:,})" for name, count in self._unused.most_common(_MAX_NAMES)
            )
            more = len(self._unused) - _MAX_NAMES
            yield f"fields that are not used: {names}" + (f" and {more} more" if more > 0 else "")


def sample(chunk: Chunk, limit: int) -> list[dict[str, object]]:
    """Return the first records of a chunk."""
    records: list[dict[str, object]] = []
    for index, line in enumerate(chunk.lines):
        if len(records) == limit:
            break
        if index not in chunk.rejected:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict):
                records.append(record)
    return records
