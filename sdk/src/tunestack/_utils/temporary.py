"""Make temporary directories."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Make a directory that exists for as long as this is entered.

    Raises:
        ConfigError: no directory for temporary files can be written.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix="tunestack-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ConfigError(
            f"no temporary directory can be written ({error.strerror or error}): "
            "set TMPDIR to a directory with space for a copy of the training data"
        ) from error
    with directory as name:
        yield Path(name)
