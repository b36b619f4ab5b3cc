"""Upload training files to OpenAI: named after their content, in one request or in parts, with an expiry."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import openai

from tunestack.backends.openai.errors import translate_errors
from tunestack.backends.openai.wire import iterate_rows
from tunestack.errors import BusyError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from openai.types import FileObject

T = TypeVar("T")

# Source: API reference, files and uploads (read 2026-11-22).
_MAX_FILE_BYTES = 512_000_000
"""The largest file that can be uploaded in one request."""
_PART_BYTES = 64 * 2**20
_EXPIRES_AFTER = 30 * 86_400
"""Seconds after which OpenAI deletes an uploaded file; the longest that it allows."""
_MIN_LIFETIME = timedelta(days=2)
"""A file that expires sooner is not used for a job."""


def upload_file(client: openai.OpenAI, path: Path, *, sha256: str, now: datetime) -> str:
    """Upload a training file, unless a file with the same content exists, and return its id.

    Args:
        client: a client of the openai package.
        path: the file.
        sha256: the SHA-256 of its content, in hex.
        now: the time by the server's clock.

    Raises:
        BusyError: the file may have been uploaded; the next call finds it.
    """
    name, size = f"{sha256}.jsonl", path.stat().st_size
    with translate_errors(f"uploading {name!r}"):
        for file in iterate_rows(client.files.list(purpose="fine-tune", order="desc")):
            if file.filename == name and file.bytes == size and _is_usable(file, now):
                return file.id
        # A retried request would upload the file twice; the next call finds a file that exists.
        without_retries = client.with_options(max_retries=0)
        if size <= _MAX_FILE_BYTES:
            return _create_with_expiry(partial(_create_file, without_retries, path, name))
        return _upload_in_parts(client, path, name, size)


def require_processed(
    client: openai.OpenAI, arguments: Mapping[str, Any], error: Exception
) -> None:
    """Raise an error that is retried if a job was refused because the server is still processing one of its files.

    Args:
        client: a client of the openai package.
        arguments: the arguments of the job.
        error: the error of the server.

    Raises:
        BusyError: a file is still processed.
    """
    for name in ("training_file", "validation_file"):
        if arguments.get(name) is None:
            continue
        status: str | None = None
        with suppress(openai.OpenAIError, AttributeError):
            status = client.files.retrieve(arguments[name]).status
        if status is not None and status not in ("processed", "error"):
            raise BusyError(
                f"the server is still processing {name} {arguments[name]} ({status}): {error}"
            ) from error


def open_file(client: openai.OpenAI, file_id: str) -> BinaryIO:
    """Read the content of a file into memory."""
    with translate_errors(f"reading file {file_id!r}"):
        return io.BytesIO(client.files.content(file_id).read())


def _create_file(client: openai.OpenAI, path: Path, name: str, **expiry: Any) -> str:
    with path.open("rb") as content:
        return client.files.create(
            file=(name, content, "application/jsonl"), purpose="fine-tune", **expiry
        ).id


def _upload_in_parts(client: openai.OpenAI, path: Path, name: str, size: int) -> str:
    upload = _create_with_expiry(
        partial(
            client.uploads.create,
            bytes=size,
            filename=name,
            mime_type="text/jsonl",
            purpose="fine-tune",
        )
    )
    part_ids, digest = [], hashlib.md5(usedforsecurity=False)
    with path.open("rb") as content:
        while data := content.read(_PART_BYTES):
            digest.update(data)
            part_ids.append(client.uploads.parts.create(upload.id, data=data).id)
    # Completing an upload twice is an error; the next call finds a file that exists.
    without_retries = client.with_options(max_retries=0)
    completed = without_retries.uploads.complete(
        upload.id, part_ids=part_ids, md5=digest.hexdigest()
    )
    if completed.file is None:
        raise ProviderError(
            f"uploading {name!r}: the upload is complete, but the response has no file"
        )
    return completed.file.id


def _create_with_expiry(create: Callable[..., T]) -> T:
    """Create a file or an upload that expires; without an expiry, if the server does not support it."""
    try:
        return create(expires_after={"anchor": "created_at", "seconds": _EXPIRES_AFTER})
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        if "expires_after" not in str(error):
            raise
        return create()


def _is_usable(file: FileObject, now: datetime) -> bool:
    """Return whether OpenAI accepted a file, and the file does not expire soon."""
    if file.status == "error":
        return False
    expires = getattr(file, "expires_at", None)
    return expires is None or expires > (now + _MIN_LIFETIME).timestamp()
