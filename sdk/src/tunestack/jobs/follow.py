"""Many jobs at a time: one list a look, whatever their number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.backends.base import JobState, listener
from tunestack.errors import JobTimeoutError
from tunestack.jobs.job import TIMEOUT, has_ended
from tunestack.polling import to_timeout, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tunestack.backends.base import JobInfo
    from tunestack.jobs.job import Job
    from tunestack.polling import Poll

_UNSEEN = 3
"""Lists that a job may be missing from before it is asked for by itself."""
_APART = timedelta(hours=1)
"""By how much the clocks that creation times are from may differ."""


def follow(jobs: Sequence[Job], *, timeout: Duration | None = TIMEOUT, poll: Poll) -> Iterator[Job]:
    """Give out each job when it has changed, until all have ended.

    A look is one list of the jobs in each region, a page for each thousand of them. Only what a list does not have, the
    reason why a job failed and a job that no list shows, is asked for one by one.

    Raises:
        JobTimeoutError: not all have ended after `timeout` seconds; they go on.
    """
    timeout = to_timeout(timeout)
    followed = _Followed(jobs, poll)
    if not followed.going:
        return
    for changed in watch(
        followed.look,
        until=lambda _: not followed.going,
        timeout=timeout,
        poll=poll,
        pause=followed.pause,
    ):
        yield from changed
    if followed.going:
        left = [job for same in followed.going.values() for job in same]
        first = left[0]
        raise JobTimeoutError(
            f"{len(left)} of {len(jobs)} jobs have not ended after {duration_text(timeout)}; they go on: "
            f"follow them again, or attach to {first.id!r} and the others later",
            job_id=first.id,
        )


class _Followed:
    """The jobs that have not ended, by their ids: of one job there may be several objects."""

    def __init__(self, jobs: Sequence[Job], poll: Poll) -> None:
        self.going: dict[str, list[Job]] = {}
        for job in jobs:
            if not has_ended(job.last):
                self.going.setdefault(job.id, []).append(job)
        self._unseen = dict.fromkeys(self.going, 0)
        self._poll = poll

    def look(self) -> list[Job]:
        """List them, and tell which have changed; what can't be looked at as a whole is as it was."""
        seen = _listed([same[0] for same in self.going.values()])
        rows = {job_id: self._row(job_id, seen.get(job_id)) for job_id in self.going}
        changed = [
            job
            for job_id, row in rows.items()
            for job in self.going[job_id]
            if row and (row.state, row.phase) != (job.last.state, job.last.phase) and job.take(row)
        ]
        self.going = {
            job_id: same for job_id, same in self.going.items() if not has_ended(same[0].last)
        }
        return changed

    def _row(self, job_id: str, listed: JobInfo | None) -> JobInfo | None:
        self._unseen[job_id] = 0 if listed else self._unseen[job_id] + 1
        if listed is None and self._unseen[job_id] % _UNSEEN:
            return None
        # The reason of a failure is in the job's own answer alone.
        if listed is None or listed.state is JobState.FAILED:
            return self.going[job_id][0].look()
        return listed

    def pause(self, length: float) -> None:
        """Pause until something is said of one of them; of those in other regions than the first's, the next look tells."""
        backend = next(iter(self.going.values()))[0].backend
        self._poll.pause(length, listener(backend, self.going.keys()))


def _listed(jobs: Sequence[Job]) -> dict[str, JobInfo]:
    """List what may be among these, one list for each region."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.backend.scope, []).append(job)
    return {
        info.id: info
        for group in groups.values()
        for info in group[0].backend.jobs(created_after=_oldest(group))
    }


def _oldest(jobs: Sequence[Job]) -> datetime | None:
    """Tell when the first of these was created, with some room; `None` if that is not known."""
    times = [job.last.created for job in jobs if job.last.created is not None]
    return min(times) - _APART if len(times) == len(jobs) else None
