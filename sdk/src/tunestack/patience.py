"""For how long a job may stay as it is before whoever waits for it is told."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, JobStalledError
from tunestack.formatting import duration_text, value_text
from tunestack.provider import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunestack.provider import JobInfo

STALL_AFTER: Mapping[str, timedelta] = MappingProxyType(
    {
        "validation": timedelta(hours=3),
        "data processing": timedelta(hours=3),
        # Some jobs were seen to wait for days, without a word, and never to start (field reports, July and August 2026).
        "queued": timedelta(hours=12),
        JobState.STOPPING: timedelta(hours=3),
        JobState.UNKNOWN: timedelta(hours=1),
    }
)
"""For how long a job may be in a phase, or in a state without phases, before `wait` says so."""
_LONGEST_STALL = timedelta(days=2)


class Patience:
    """For how long a job may stay as it is."""

    def __init__(self, stall_after: timedelta | None, *, clock: Callable[[], float]) -> None:
        """Begin to wait.

        Args:
            stall_after: for every state and phase; if not given, `STALL_AFTER` has one for each.
            clock: monotonic seconds.

        Raises:
            ConfigError: `stall_after` is no time.
        """
        if stall_after is not None and not (
            isinstance(stall_after, timedelta) and stall_after > timedelta(0)
        ):
            raise ConfigError(
                f"invalid stall_after {value_text(stall_after)}: specify a timedelta longer than 0"
            )
        self._limit = stall_after
        self._clock = clock
        self._seen: tuple[str, str | None] | None = None
        self._since = 0.0

    def through(self, looks: Iterator[JobInfo]) -> Iterator[JobInfo]:
        """Pass observations on, and hold each."""
        for info in looks:
            yield info
            self.hold(info)

    def hold(self, info: JobInfo) -> None:
        """Take an observation.

        Raises:
            JobStalledError: it has been like this for too long.
        """
        if info.state.is_terminal:
            return
        if (info.raw_state, info.phase) != self._seen:
            self._seen, self._since = (info.raw_state, info.phase), self._clock()
        named = info.state if info.state in STALL_AFTER else info.phase
        limit = self._limit or STALL_AFTER.get(named or "", _LONGEST_STALL)
        waited = self._clock() - self._since
        if waited < limit.total_seconds():
            return
        what = (
            "which this version of Tunestack does not know: upgrade, or look in the console"
            if info.state is JobState.UNKNOWN
            else "which is longer than it should take: wait on, or cancel it and submit again"
        )
        raise JobStalledError(
            f"job {info.name!r} has been {info.described} for {duration_text(waited)}, {what}; "
            f"it goes on: {info.id!r}",
            job_id=info.id,
        )
