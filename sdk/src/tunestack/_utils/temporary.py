"""Make temporary directories.

`tempfile.TemporaryDirectory` is not used: it is removed when the process exits, before a handler that waits for the threads
that write to it, if that handler was registered first.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_processes: dict[Path, int] = {}
"""The process that made each directory."""


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Make a directory that exists for as long as this is entered.

    Raises:
        ConfigError: no directory for temporary files can be written.
    """
    try:
        directory = Path(tempfile.gettempdir()) / f"tunestack-{os.urandom(8).hex()}"
        # Before it is made and until it is removed, so that Ctrl-C at any time leaves no copy of the training data.
        _processes[directory] = os.getpid()
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"no temporary directory can be written ({error.strerror or error}): "
            "set TMPDIR to a directory with space for a copy of the training data"
        ) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        _processes.pop(directory, None)


@atexit.register
def _remove_all() -> None:
    """Remove the directories of threads that end with the process; not those of the process that this one was forked from."""
    for directory, process in list(_processes.items()):
        if process == os.getpid():
            shutil.rmtree(directory, ignore_errors=True)
