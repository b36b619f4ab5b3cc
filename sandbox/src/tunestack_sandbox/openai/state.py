"""What OpenAI remembers: one `Project` for each key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.answers import Memory
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import Faults

ORGANIZATION = "org-sandbox"
LIST = "list"


class Refusal(Exception):  # noqa: N818 - what it is
    """An error that the API answers with."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        """Take what the body of the error says, and the HTTP status."""
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": param, "code": code}


@dataclass(kw_only=True, slots=True)
class File:
    """A file."""

    id: str
    name: str
    purpose: str
    content: bytes
    created: datetime
    expires: datetime | None = None

    def answer(self) -> dict[str, Any]:
        """Write it as the API does."""
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
    """A file that is coming in parts."""

    id: str
    name: str
    purpose: str
    size: int
    created: datetime
    status: str = "pending"
    parts: dict[str, bytes] = field(default_factory=dict)
    file: File | None = None
    lives: int | None = None
    """Seconds that the file is to be kept."""


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
    """When the phase that it is in ends."""
    left: float = 0.0
    """Seconds that are left of the phase that it has paused in."""
    turn: int = 0
    """How often it was begun again: what was due of a time before is not."""
    error: dict[str, str | None] | None = None
    trained_tokens: int | None = None
    result_files: Sequence[str] = ()
    memory: Memory | None = None
    pairs: list[tuple[str, str]] = field(default_factory=list)
    tokens: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)

    @property
    def method(self) -> str:
        """How it learns."""
        return str(self.params.get("method", {}).get("type", "supervised"))


@dataclass(kw_only=True, slots=True)
class Project:
    """What belongs to one key."""

    clock: Clock
    faults: Faults
    files: dict[str, File] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    models: dict[str, Job] = field(default_factory=dict)
    """Tuned models and checkpoints, by name: the job that made them."""

    def settle(self) -> None:
        """Let go what has expired."""
        now = self.clock.now()
        for file in [file for file in self.files.values() if file.expires and file.expires <= now]:
            del self.files[file.id]


def new_id(prefix: str) -> str:
    """Make up an id."""
    return f"{prefix}-{secrets.token_hex(12)}"


Kept = TypeVar("Kept")


def found(table: Mapping[str, Kept], identifier: str, what: str) -> Kept:
    """Find something by its id.

    Raises:
        Refusal: there is none.
    """
    if identifier not in table:
        raise Refusal(f"No such {what}: {identifier}", status=404, param="id")
    return table[identifier]


def page(
    rows: Sequence[dict[str, Any]], query: Mapping[str, str], *, most: int = 100, usual: int = 20
) -> dict[str, Any]:
    """Write a page of a list, after the row that the query names.

    Raises:
        Refusal: the query asks for what no page has.
    """
    limit = query.get("limit", str(usual))
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise Refusal(f"Invalid 'limit': expected 1 to {most}, got {limit!r}.", param="limit")
    after = query.get("after")
    start = 0
    if after is not None:
        places = [place for place, row in enumerate(rows) if row["id"] == after]
        if not places:
            raise Refusal(f"Invalid 'after': no object with id {after!r}.", param="after")
        start = places[0] + 1
    shown = list(rows[start : start + int(limit)])
    return {
        "object": LIST,
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + int(limit) < len(rows),
    }
