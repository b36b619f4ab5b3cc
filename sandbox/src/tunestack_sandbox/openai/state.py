"""The state of OpenAI: a `Project` for each API key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import FaultInjector
    from tunestack_sandbox.simulated_models import AnswerIndex

ORGANIZATION = "org-sandbox"
LIST = "list"


class ApiError(Exception):
    """An error that the API returns."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        """Initialize the error.

        Args:
            message: The message.
            status: The HTTP status.
            code: The code, if there is one.
            param: The invalid parameter, if there is one.
            kind: The type.
        """
        super().__init__(message)
        self.status = status
        self.content = {"message": message, "type": kind, "param": param, "code": code}


@dataclass(kw_only=True, slots=True)
class File:
    """An uploaded file, or the result file of a job."""

    id: str
    name: str
    purpose: str
    content: bytes
    created: datetime
    expires: datetime | None = None

    def describe(self) -> dict[str, Any]:
        """Build the API's object for the file."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": int(self.created.timestamp()),
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "expires_at": None if self.expires is None else int(self.expires.timestamp()),
        }


@dataclass(kw_only=True, slots=True)
class Upload:
    """A file that is uploaded in parts."""

    id: str
    name: str
    purpose: str
    size: int
    created: datetime
    status: str = "pending"
    parts: dict[str, bytes] = field(default_factory=dict)
    file: File | None = None
    lifetime: int | None = None
    """Seconds until the file expires."""


@dataclass(kw_only=True, slots=True)
class Job:
    """A fine-tuning job."""

    id: str
    params: Mapping[str, Any]
    base: BaseModel
    created: datetime
    seed: int
    hyperparameters: dict[str, Any]
    status: str = "validating_files"
    model: str | None = None
    ended: datetime | None = None
    due: datetime | None = None
    """The time at which the current phase ends."""
    remaining_seconds: float = 0.0
    """The remaining seconds of the phase, if the job is paused."""
    run: int = 0
    """The number of times that the job was scheduled. Scheduled actions of an earlier run are ignored."""
    error: dict[str, str | None] | None = None
    trained_tokens: int | None = None
    result_files: Sequence[str] = ()
    answer_index: AnswerIndex | None = None
    pairs: list[tuple[str, str]] = field(default_factory=list)
    tokens: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)

    @property
    def method(self) -> str:
        """The fine-tuning method, `supervised` or `dpo`."""
        return str(self.params.get("method", {}).get("type", "supervised"))


@dataclass(kw_only=True, slots=True)
class Project:
    """The resources of one API key."""

    clock: Clock
    faults: FaultInjector
    files: dict[str, File] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    models: dict[str, Job] = field(default_factory=dict)
    """The job of each fine-tuned model and checkpoint, by name."""

    def delete_expired_files(self) -> None:
        """Delete the files that have expired."""
        now = self.clock.now()
        for file in [file for file in self.files.values() if file.expires and file.expires <= now]:
            del self.files[file.id]


def new_id(prefix: str) -> str:
    """Return a new random id."""
    return f"{prefix}-{secrets.token_hex(12)}"


Resource = TypeVar("Resource")


def require(table: Mapping[str, Resource], identifier: str, kind: str) -> Resource:
    """Return the resource with an id.

    Raises:
        ApiError: It does not exist.
    """
    if identifier not in table:
        raise ApiError(f"No such {kind}: {identifier}", status=404, param="id")
    return table[identifier]


def build_page(
    rows: Sequence[dict[str, Any]],
    query: Mapping[str, str],
    *,
    max_limit: int = 100,
    default_limit: int = 20,
) -> dict[str, Any]:
    """Build a page of a list, after the row that the query names.

    Raises:
        ApiError: The limit or the row is invalid.
    """
    limit = query.get("limit", str(default_limit))
    if not limit.isdecimal() or not 1 <= int(limit) <= max_limit:
        message = f"Invalid 'limit': expected 1 to {max_limit}, got {limit!r}."
        raise ApiError(message, param="limit")
    after = query.get("after")
    start = 0
    if after is not None:
        ids = [row["id"] for row in rows]
        if after not in ids:
            raise ApiError(f"Invalid 'after': no object with id {after!r}.", param="after")
        start = ids.index(after) + 1
    page = list(rows[start : start + int(limit)])
    return {
        "object": LIST,
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + int(limit) < len(rows),
    }
