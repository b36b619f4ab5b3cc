"""The data that commands are given."""

from __future__ import annotations

import sys
from typing import BinaryIO

from tunestack.errors import ConfigError


def open_data(file: str) -> str | BinaryIO:
    """Open a path, `-` for standard input, or an S3 URI.

    Raises:
        ConfigError: standard input is closed.
    """
    if file == "-":
        if sys.stdin is None:
            raise ConfigError("standard input is closed: specify a file")
        return sys.stdin.buffer
    if file.startswith("s3://"):
        # boto3 takes a while to load, and nothing else here needs it.
        from tunestack.backends.bedrock.clients import new_session  # noqa: PLC0415
        from tunestack.backends.bedrock.s3 import open_object  # noqa: PLC0415

        return open_object(new_session().client("s3"), file)
    return file
