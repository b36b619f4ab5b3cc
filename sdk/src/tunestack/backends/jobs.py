"""What only some providers can do with a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping


@runtime_checkable
class PausableJobs(Protocol):
    """A backend whose jobs can be paused."""

    def pause_job(self, job_id: str) -> None:
        """Pause a job."""
        ...

    def resume_job(self, job_id: str) -> None:
        """Resume a paused job."""
        ...


@runtime_checkable
class TaggableJobs(Protocol):
    """A backend whose jobs can get tags after their creation."""

    def tag_job(self, job_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to a job, by its id; existing tags with the same keys are replaced."""
        ...
