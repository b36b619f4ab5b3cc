"""Training files at OpenAI: named by their content, whole or in parts, and gone by themselves."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import openai

from tunestack.backends.openai.errors import translated
from tunestack.backends.openai.wire import each
from tunestack.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from openai.types import FileObject

T = TypeVar("T")

# Source: API reference, files and uploads (read 2026-11-22).
_LARGE = 512_000_000
_PART = 64 * 2**20
_EXPIRES = 30 * 86_400
"""Seconds after which an uploaded file goes by itself; the longest that OpenAI allows."""
_FRESH = timedelta(days=2)
"""For how long an uploaded file has to be there yet, for a job to be created with it."""


def upload(client: openai.OpenAI, path: Path, *, sha256: str, now: datetime) -> str:
    """Upload a training file, unless one of the same content is there, and return its id.

    Raises:
        BusyError: whether it was taken, the next look tells.
    """
    name, size = f"{sha256}.jsonl", path.stat().st_size
    with translated(f"uploading {name!r}"):
        for file in each(client.files.list(purpose="fine-tune", order="desc")):
            if file.filename == name and file.bytes == size and _is_usable(file, now):
                return file.id
        # What is sent again is another file, which the look before would have found.
        once = client.with_options(max_retries=0)
        if size <= _LARGE:
            return _expiring(partial(_whole, once, path, name))
        return _in_parts(client, path, name, size)


def _whole(client: openai.OpenAI, path: Path, name: str, **expiry: Any) -> str:
    with path.open("rb") as content:
        return client.files.create(
            file=(name, content, "application/jsonl"), purpose="fine-tune", **expiry
        ).id


def _in_parts(client: openai.OpenAI, path: Path, name: str, size: int) -> str:
    begun = _expiring(
        partial(
            client.uploads.create,
            bytes=size,
            filename=name,
            mime_type="text/jsonl",
            purpose="fine-tune",
        )
    )
    parts, whole = [], hashlib.md5(usedforsecurity=False)
    with path.open("rb") as content:
        while data := content.read(_PART):
            whole.update(data)
            parts.append(client.uploads.parts.create(begun.id, data=data).id)
    # Completing it twice is an error; a file that is there is found by the next look.
    once = client.with_options(max_retries=0)
    done = once.uploads.complete(begun.id, part_ids=parts, md5=whole.hexdigest())
    if done.file is None:
        raise ProviderError(f"uploading {name!r}: the upload is complete and has no file")
    return done.file.id


def _expiring(create: Callable[..., T]) -> T:
    """Create something that goes by itself, or, where the server does not take that, something that stays."""
    try:
        return create(expires_after={"anchor": "created_at", "seconds": _EXPIRES})
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        if "expires_after" not in str(error):
            raise
        return create()


def _is_usable(file: FileObject, now: datetime) -> bool:
    """Tell whether a file was taken, and is there for long enough."""
    if file.status == "error":
        return False
    expires = getattr(file, "expires_at", None)
    return expires is None or expires > (now + _FRESH).timestamp()
