"""Estimate how long a job will take."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tunestack.backends.base import JobState

if TYPE_CHECKING:
    from tunestack.backends.base import JobInfo
    from tunestack.backends.protocols import Backend


def estimate_remaining(backend: Backend, info: JobInfo) -> timedelta | None:
    """Estimate the remaining time of a job; see `Job.remaining`."""
    if info.state.is_terminal:
        return timedelta(0)
    durations = sorted(
        other.ended - other.created
        for other in backend.jobs(state=JobState.SUCCEEDED)
        if other.ended and other.created and _same_base(other, info)
    )
    if not durations or info.created is None:
        return None
    return max(durations[len(durations) // 2] - (backend.now() - info.created), timedelta(0))


def _same_base(one: JobInfo, other: JobInfo) -> bool:
    # One is a base model's ARN, the other may be its id.
    return one.base_model.rsplit("/", 1)[-1] == other.base_model.rsplit("/", 1)[-1]
