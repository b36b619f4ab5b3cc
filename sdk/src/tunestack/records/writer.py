"""Writes the file that a job reads, and takes its checksum, beside whoever makes its content."""

from __future__ import annotations

import hashlib
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tunestack.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_WAITING = 4
"""Blocks that wait to be written, at most."""
_BLOCK = 2 * 2**20
"""Bytes that are written at a time: each time costs a change of threads, twice."""


class Writer:
    """A file that is written in a thread of its own: hashing and writing need no interpreter."""

    def __init__(self, path: Path | None) -> None:
        """Open the file; without a path, only the checksum is taken.

        Raises:
            DataError: it can't be written; so do all methods.
        """
        self._path = path
        self._digest = hashlib.sha256()
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._error: OSError | None = None
        self._parts: list[bytes] = []
        self._held = 0
        self.bytes = 0
        try:
            self._file = None if path is None else path.open("wb", buffering=0)
        except OSError as error:
            raise self._refused(error) from error
        self._thread: threading.Thread | None = None

    @property
    def sha256(self) -> str:
        """The checksum in hex, of what was written when the file was closed."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add to the file."""
        self._parts.append(data)
        self._held += len(data)
        self.bytes += len(data)
        if self._held >= _BLOCK:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._error is not None:
            raise self._refused(self._error) from self._error
        if self._thread is None:
            # Not before there is something to write: a process without threads can be forked.
            self._thread = threading.Thread(target=self._work, name="tunestack-writer", daemon=True)
            self._thread.start()
        self._blocks.put(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
        self._parts, self._held = [], 0

    def _work(self) -> None:
        while (block := self._blocks.get()) is not None:
            if self._error is not None:
                continue
            self._digest.update(block)
            try:
                self._write_all(block)
            except OSError as error:
                self._error = error

    def _write_all(self, block: bytes) -> None:
        if self._file is None:
            return
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]

    def __enter__(self) -> Self:
        """Be open."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Write what is not written yet, and close."""
        try:
            if kind is None and self._parts:
                self._hand_over()
        finally:
            if self._thread is not None:
                self._blocks.put(None)
                self._thread.join()
            if self._file is not None:
                try:
                    self._file.close()
                except OSError as error:
                    self._error = self._error or error
        if self._error is not None and kind is None:
            raise self._refused(self._error) from self._error

    def discard(self) -> None:
        """Delete the file, which is not to be used."""
        if self._path is not None and self._path.is_file():
            with suppress(OSError):
                self._path.unlink()

    def _refused(self, error: OSError) -> DataError:
        return DataError(f"{str(self._path)!r} can't be written: {error}")
