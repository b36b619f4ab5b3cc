"""Detect jobs whose state and phase do not change any more."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.backends.base import JobState
from tunestack.errors import ConfigError, JobStalledError
from tunestack.polling import to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunestack.backends.base import JobInfo
    from tunestack.polling import Duration

STALL_AFTER: Mapping[str, timedelta] = MappingProxyType(
    {
        "validation": timedelta(hours=3),
        "data processing": timedelta(hours=3),
        # Users reported jobs that stayed queued for days and never started (July and August 2026).
        "queued": timedelta(hours=12),
        JobState.STOPPING: timedelta(hours=3),
        JobState.UNKNOWN: timedelta(hours=1),
    }
)
"""How long a job may be in each phase, or in a state without phases, before `Job.wait` raises `JobStalledError`."""
_DEFAULT_STALL_AFTER = timedelta(days=2)


class StallDetector:
    """Raises an error when a job has not changed for too long."""

    def __init__(self, stall_after: Duration | None, *, clock: Callable[[], float]) -> None:
        """Start with no observation.

        Args:
            stall_after: the limit for every state and phase; by default `STALL_AFTER` has one for each.
            clock: returns monotonic seconds.

        Raises:
            ConfigError: `stall_after` is not a positive duration.
        """
        self._limit = None if stall_after is None else to_seconds(stall_after, "stall_after")
        if self._limit == 0:
            raise ConfigError("invalid stall_after 0: use a duration longer than 0")
        self._clock = clock
        self._last: tuple[str, str | None] | None = None
        self._since = 0.0

    def through(self, observations: Iterator[JobInfo]) -> Iterator[JobInfo]:
        """Yield and check each observation."""
        for info in observations:
            yield info
            self.check(info)

    def check(self, info: JobInfo) -> None:
        """Check the next observation.

        Raises:
            JobStalledError: state and phase have not changed for too long.
        """
        if info.state.is_terminal:
            return
        if (info.raw_state, info.phase) != self._last:
            self._last, self._since = (info.raw_state, info.phase), self._clock()
        key = info.state if info.state in STALL_AFTER else info.phase
        limit = self._limit
        if limit is None:
            limit = STALL_AFTER.get(key or "", _DEFAULT_STALL_AFTER).total_seconds()
        unchanged = self._clock() - self._since
        if unchanged < limit:
            return
        remedy = (
            "an unknown state: upgrade Tunestack, or look it up in the console"
            if info.state is JobState.UNKNOWN
            else "longer than expected: wait again, or cancel it and submit again"
        )
        raise JobStalledError(
            f"job {info.name!r} has been {info.description} for {duration_text(unchanged)}, {remedy}; "
            f"it continues: {info.id!r}",
            job_id=info.id,
        )
