"""Write the file that a job reads, and its checksum."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from tunestack.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Writer:
    """A file that is written line by line; `sha256` is that of what was written so far."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            DataError: it can't be written; so do all methods.
        """
        self._path = path
        self._digest = hashlib.sha256()
        with self._translated():
            self._file = path.open("wb")

    @property
    def sha256(self) -> str:
        """The checksum in hex."""
        return self._digest.hexdigest()

    def write(self, line: bytes) -> None:
        """Add a line, its end included."""
        self._digest.update(line)
        with self._translated():
            self._file.write(line)

    def __enter__(self) -> Self:
        """Be open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is not written yet, and close."""
        with self._translated():
            self._file.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"{str(self._path)!r} can't be written: {error}") from error
