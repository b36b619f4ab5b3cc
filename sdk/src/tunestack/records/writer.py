"""Writes the file that a job reads, and takes its checksum, beside whoever makes its content."""

from __future__ import annotations

import hashlib
import os
import queue
import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tunestack.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

_WAITING = 4
"""Blocks that wait to be written, at most."""
_BLOCK = 2**19
"""Bytes from which on a part is written as it is: to join parts costs time, and so does each change of threads."""


class Writer:
    """A file that is written in a thread of its own: hashing and writing need no interpreter.

    It is written beside its place, and put there by `keep`: what was there before stays whole until then, and for good
    if `keep` is not called.
    """

    def __init__(self, path: Path | None) -> None:
        """Take the file's place; without one, only the checksum is taken."""
        self._path = path
        self._digest = hashlib.sha256()
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._error: OSError | None = None
        self._parts: list[bytes] = []
        self._held = 0
        self._thread: threading.Thread | None = None
        self._here = False
        self._beside: Path | None = None
        self._place: Path | None = None
        self._file: int | None = None
        self.bytes = 0

    def _opened(self, path: Path) -> int:
        self._place = path.resolve()
        if self._place.exists() and not self._place.is_file():
            # A pipe or a device: nothing can be put in its place.
            return os.open(self._place, os.O_WRONLY)
        # Named before it is made: wherever Ctrl-C comes between, it is taken away.
        self._beside = self._place.with_name(f".tunestack-{secrets.token_hex(8)}")
        return os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    @property
    def sha256(self) -> str:
        """The checksum in hex, of what was written when the file was closed."""
        return self._digest.hexdigest()

    def stay_here(self) -> None:
        """Work in the caller's thread.

        Where helping processes do the rest, all cores are busy, and a thread would mostly wait for the interpreter.
        """
        self._here = True

    def write(self, data: bytes) -> None:
        """Add to the file.

        Raises:
            DataError: something could not be written.
        """
        self.bytes += len(data)
        if self._path is None:
            return
        self._parts.append(data)
        self._held += len(data)
        if self._held >= _BLOCK:
            self._hand_over()

    def close(self) -> None:
        """Write what is not written yet.

        Raises:
            DataError: something could not be written.
        """
        if self._parts and self._error is None:
            self._hand_over()
        self._stop()
        self._raise_error()

    def keep(self) -> None:
        """Put the file in its place.

        Raises:
            DataError: that can't be done.
        """
        if self._beside is None or self._place is None:
            return
        try:
            mode = self._place.stat().st_mode if self._place.exists() else 0o666 & ~_umask()
            self._beside.chmod(mode)
            self._beside.replace(self._place)
        except OSError as error:
            raise DataError(f"{str(self._path)!r} can't be written: {_why(error)}") from error
        self._beside = None

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ConfigError: it can't be written there.
        """
        try:
            self._file = None if self._path is None else self._opened(self._path)
        except (OSError, ValueError) as error:
            self.__exit__()
            raise ConfigError(f"{str(self._path)!r} can't be written: {_why(error)}") from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind that was not kept."""
        self._stop()
        if self._beside is not None:
            with suppress(OSError):
                self._beside.unlink()

    def _hand_over(self) -> None:
        self._raise_error()
        block = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._held = [], 0
        if self._here:
            self._take(block)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tunestack-writer", daemon=True)
            self._thread.start()
        self._blocks.put(block)

    def _work(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._take(block)

    def _take(self, block: bytes) -> None:
        if self._error is None:
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
