"""A file that is written in parts, and continued after the process was killed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import orjson

from tunestack.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class ResumableFile:
    """Writes lines to `PATH.partial`, and after each part its progress to `PATH.progress`; `finish` creates the file.

    A kill at any moment loses at most the part that was being written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Store the arguments.

        Args:
            path: the file to create.
            settings: the values that decide on the content. With other settings than before, the file is written from the start.
        """
        self.path = path
        self.state: dict[str, Any] = {}
        """What the caller saved with the last complete part; empty at the start."""
        self.has_other_settings = False
        """Whether the progress of a call with other settings was discarded."""
        self._settings = dict(settings)
        self._partial = path.with_name(f"{path.name}.partial")
        self._progress = path.with_name(f"{path.name}.progress")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Open the file after the last complete part.

        Raises:
            ConfigError: the file can't be created.
        """
        try:
            progress = self._read_progress()
            self._file = self._partial.open("r+b" if progress else "wb")
            self._file.truncate(progress.get("bytes", 0))
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise ConfigError(f"{str(self.path)!r} can't be written: {error.strerror}") from error
        self.state = progress.get("state", {})
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; what is complete is continued next time."""
        if self._file is not None:
            self._file.close()

    def lines(self) -> Iterator[bytes]:
        """Return the lines of the complete parts."""
        with self._partial.open("rb") as file:
            yield from file

    def write_part(self, lines: list[bytes], state: dict[str, Any]) -> None:
        """Append lines, and save a state with them.

        Raises:
            DataError: the file can't be written.
        """
        assert self._file is not None  # noqa: S101 - for the type checker
        try:
            self._file.writelines(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
            progress = {"settings": self._settings, "bytes": self._file.tell(), "state": state}
            temporary = self._progress.with_name(f"{self._progress.name}.new")
            temporary.write_bytes(orjson.dumps(progress))
            temporary.replace(self._progress)
        except OSError as error:
            raise DataError(f"{str(self.path)!r} can't be written: {error.strerror}") from error

    def discard(self) -> None:
        """Delete what was written."""
        self._partial.unlink(missing_ok=True)
        self._progress.unlink(missing_ok=True)

    def finish(self) -> None:
        """Create the file, and delete the progress.

        Raises:
            DataError: the file can't be written.
        """
        try:
            self._partial.replace(self.path)
            self._progress.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{str(self.path)!r} can't be written: {error.strerror}") from error

    def _read_progress(self) -> dict[str, Any]:
        """Return the progress that was saved with the same settings; empty if there is none."""
        with suppress(FileNotFoundError, orjson.JSONDecodeError):
            progress = orjson.loads(self._progress.read_bytes())
            has_content = self._partial.stat().st_size >= progress["bytes"]
            if has_content and progress["settings"] == self._settings:
                return dict(progress)
            self.has_other_settings = progress["settings"] != self._settings
        return {}
