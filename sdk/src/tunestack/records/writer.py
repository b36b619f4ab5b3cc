"""Writes a training file and computes its checksum in a thread."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tunestack.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hashlib import _Hash
    from pathlib import Path

_MAX_QUEUED_BLOCKS = 4
_BLOCK_SIZE = 2**19
"""Bytes. Smaller parts are joined first, as each switch between threads takes time."""


class Writer:
    """Writes a file in a thread: hashing and writing don't hold the interpreter's lock.

    The content goes to a temporary file in the same folder, which replaces the file in `commit`. Without `commit`, an
    existing file stays as it was.
    """

    def __init__(self, path: Path | None) -> None:
        """Take the path of the file, or `None` to write nothing and only count bytes."""
        self._path = path
        self._digest: _Hash | None = None
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_MAX_QUEUED_BLOCKS)
        self._error: OSError | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        self._thread: threading.Thread | None = None
        self._temporary: Path | None = None
        self._target: Path | None = None
        self._file: int | None = None
        self.bytes = 0

    def _open(self, path: Path) -> int:
        from hashlib import sha256  # noqa: PLC0415 - takes time to load

        self._digest = sha256()
        self._target = path.resolve()
        if self._target.exists() and not self._target.is_file():
            # A pipe or a device can't be replaced.
            return os.open(self._target, os.O_WRONLY)
        # The name is set before the file is created, so that Ctrl-C in between leaves no file.
        self._temporary = self._target.with_name(f".tunestack-{os.urandom(8).hex()}")
        return os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    @property
    def sha256(self) -> str:
        """SHA-256 in hex of the content that was written; complete after `close`. Empty if nothing is written."""
        return "" if self._digest is None else self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append to the file.

        Raises:
            DataError: the file can't be written.
        """
        self.bytes += len(data)
        if self._path is None:
            return
        self._parts.append(data)
        self._buffered += len(data)
        if self._buffered >= _BLOCK_SIZE:
            self._queue_parts()

    def close(self) -> None:
        """Write the remaining content and close the file.

        Raises:
            DataError: the file can't be written.
        """
        if self._parts and self._error is None:
            self._queue_parts()
        self._stop()
        self._raise_error()

    def commit(self) -> None:
        """Replace the file at the path.

        Raises:
            DataError: it can't be replaced.
        """
        if self._temporary is None or self._target is None:
            return
        try:
            mode = self._target.stat().st_mode if self._target.exists() else 0o666 & ~_umask()
            self._temporary.chmod(mode)
            self._temporary.replace(self._target)
        except OSError as error:
            raise DataError(f"{str(self._path)!r} can't be written: {_why(error)}") from error
        self._temporary = None

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ConfigError: the file can't be created.
        """
        try:
            self._file = None if self._path is None else self._open(self._path)
        except (OSError, ValueError) as error:
            self.__exit__()
            raise ConfigError(f"{str(self._path)!r} can't be written: {_why(error)}") from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the temporary file, unless it was committed."""
        self._stop()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink()

    def _queue_parts(self) -> None:
        self._raise_error()
        block = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._buffered = [], 0
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._process_blocks, name="tunestack-writer", daemon=True
            )
            self._thread.start()
        self._blocks.put(block)

    def _process_blocks(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._process(block)

    def _process(self, block: bytes) -> None:
        if self._error is None and self._digest is not None:
            self._digest.update(block)
            self._write_all(block)

    def _write_all(self, block: bytes) -> None:
        view = memoryview(block)
        try:
            while self._file is not None and view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self._error = error

    def _stop(self) -> None:
        if self._thread is not None:
            self._blocks.put(None)
            if self._thread.is_alive():  # Ctrl-C may arrive while it starts
                self._thread.join()
            self._thread = None
        if self._file is not None:
            try:
                os.close(self._file)
            except OSError as error:
                self._error = self._error or error
            self._file = None

    def _raise_error(self) -> None:
        if self._error is not None:
            why = f"{str(self._path)!r} can't be written: {_why(self._error)}"
            raise DataError(why) from self._error


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
