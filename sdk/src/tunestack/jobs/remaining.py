"""Estimate how long a job will take, from the account's succeeded jobs of the same base model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.backends.base import JobState

if TYPE_CHECKING:
    from tunestack.backends.base import JobInfo
    from tunestack.backends.protocols import Backend


@dataclass(frozen=True, kw_only=True, slots=True)
class PastDurations:
    """How long succeeded jobs took, from their creation to their end."""

    jobs: int
    shortest: timedelta
    median: timedelta
    longest: timedelta

    @property
    def basis(self) -> str:
        """What the durations are from."""
        if self.jobs == 1:
            return "as the last job of this model"
        return f"the median of {self.jobs} jobs of this model"

    def __str__(self) -> str:
        """Describe the durations and their basis."""
        between = f": {duration_text(self.shortest)} to {duration_text(self.longest)}"
        return (
            f"about {duration_text(self.median)} ({self.basis}{between if self.jobs > 1 else ''})"
        )


def past_durations(backend: Backend, base_model: str) -> PastDurations | None:
    """Return the durations of the account's succeeded jobs of a base model; `None` if there are none."""
    durations = sorted(
        job.ended - job.created
        for job in backend.jobs(state=JobState.SUCCEEDED)
        if job.ended and job.created and _is_same(job.base_model, base_model)
    )
    if not durations:
        return None
    return PastDurations(
        jobs=len(durations),
        shortest=durations[0],
        median=durations[len(durations) // 2],
        longest=durations[-1],
    )


def estimate_remaining(backend: Backend, info: JobInfo) -> timedelta | None:
    """Estimate the remaining time of a job; see `Job.remaining`."""
    if info.state.is_terminal:
        return timedelta(0)
    durations = past_durations(backend, info.base_model)
    if durations is None or info.created is None:
        return None
    return max(durations.median - (backend.now() - info.created), timedelta(0))


def _is_same(one: str, other: str) -> bool:
    # One is a base model's ARN, the other may be its id.
    return one.rsplit("/", 1)[-1] == other.rsplit("/", 1)[-1]
