"""Chunks of lines, in which training data is read and converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunestack.records.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINE_LENGTH = 8 * 2**20
"""Bytes. Far above what a model accepts as text, and small enough for any machine's memory."""
MAX_IMAGE_LINE_LENGTH = 160 * 2**20
"""Bytes. OpenAI accepts ten images of 10 MB in a record, which are a third longer as base64."""
_CHUNK_RECORDS = 512
"""Records that are not lines of a file, and are read at once."""
_PLACEHOLDER = b"\xff"
"""Replaces a line that was rejected: it is never valid JSON."""


class Chunk(msgspec.Struct):
    """Consecutive lines, with their line feeds."""

    lines: list[bytes]
    offset: int | None = None
    """Bytes before the first line in the (decompressed) file; `None` for an iterable."""
    end: int = 0
    """Bytes of the (decompressed) file that were read so far."""
    rejected: dict[int, Finding] = msgspec.field(default_factory=dict)
    """Problems of lines that were not kept, by index."""
    lengths: dict[int, int] = msgspec.field(default_factory=dict)
    """Lengths in the file of lines that were replaced, by index."""

    def reject(self, problem: Finding) -> None:
        """Append a line that is not kept."""
        self.rejected[len(self.lines)] = problem
        self.lines.append(_PLACEHOLDER)

    def reject_long_line(self, length: int, limit: int) -> None:
        """Append a line that is too long."""
        self.lengths[len(self.lines)] = length
        message = (
            f"the line is longer than {limit // 2**20} MiB, the maximum for this model: "
            "reference images and videos by URI"
        )
        self.reject(Finding("line-length", "$", message))

    def reject_long_lines(self, limit: int) -> Chunk:
        """Replace the lines that are longer than a limit, and return the chunk."""
        if max(map(len, self.lines), default=0) > limit:
            lines, self.lines = self.lines, []
            for line in lines:
                if len(line) > limit:
                    self.reject_long_line(len(line), limit)
                else:
                    self.lines.append(line)
        return self


def batch(lines: Iterable[bytes | Finding], limit: int) -> Iterator[Chunk]:
    """Yield chunks of lines, of which the longest has `limit` bytes; a finding is a line that could not be read."""
    chunk = Chunk([])
    for line in lines:
        if isinstance(line, Finding):
            chunk.reject(line)
        else:
            chunk.lines.append(line)
        if len(chunk.lines) == _CHUNK_RECORDS:
            yield chunk.reject_long_lines(limit)
            chunk = Chunk([])
    yield chunk.reject_long_lines(limit)
