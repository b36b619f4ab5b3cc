"""Writes a training file and computes its checksum."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tunestack.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hashlib import _Hash
    from pathlib import Path


class Writer:
    """Writes a file.

    The content goes to a temporary file in the same folder, which replaces the file in `commit`. Without `commit`, an
    existing file stays as it was.
    """

    def __init__(self, path: Path | None) -> None:
        """Take the path of the file, or `None` to write nothing and only count bytes."""
        self._path = path
        self._digest: _Hash | None = None
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
        """SHA-256 in hex of the content written so far; empty without a path."""
        return "" if self._digest is None else self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append to the file.

        Raises:
            DataError: the file can't be written.
        """
        self.bytes += len(data)
        if self._digest is None or self._file is None:
            return
        self._digest.update(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise self._create_error(error) from error

    def close(self) -> None:
        """Close the file.

        Raises:
            DataError: the file can't be closed.
        """
        file, self._file = self._file, None
        if file is not None:
            try:
                os.close(file)
            except OSError as error:
                raise self._create_error(error) from error

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
            raise self._create_error(error) from error
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
        with suppress(DataError):
            self.close()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink()

    def _create_error(self, error: OSError) -> DataError:
        return DataError(f"{str(self._path)!r} can't be written: {_why(error)}")


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
