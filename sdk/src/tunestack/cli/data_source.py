"""The data and the model that commands on training data are given."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO

from tunestack import catalog
from tunestack.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel


def find_base_model(name: str) -> BaseModel:
    """Return a model of the catalog.

    Raises:
        ModelError: it has no such model; the message has the nearest name.
    """
    model = catalog.find(name)
    if model is None:
        from difflib import get_close_matches  # noqa: PLC0415 - for the message only

        known = [known.key for known in catalog.CATALOG]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ModelError(
            f"{name!r} is not in the catalog: {hint}`tunestack models --all` lists all models"
        )
    return model


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
