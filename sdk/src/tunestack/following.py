"""Many jobs at a time: one list a look, whatever their number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tunestack.arguments import region_of
from tunestack.errors import JobTimeoutError
from tunestack.jobs import TIMEOUT, has_ended
from tunestack.provider import JobState
from tunestack.waiting import seconds, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tunestack.jobs import Job
    from tunestack.provider import JobInfo
    from tunestack.waiting import Poll

_UNSEEN = 3
"""Lists that a job may be missing from before it is asked for by itself."""
_APART = timedelta(hours=1)
"""By how much the clocks that creation times are from may differ."""


def follow(jobs: Sequence[Job], *, timeout: float = TIMEOUT, poll: Poll) -> Iterator[Job]:
    """Give out each job when it has changed, until all have ended.

    A look is one list of the jobs in each region, a page for each thousand of them. Only what a list does not have, the
    reason why a job failed and a job that no list shows, is asked for one by one.

    Raises:
        JobTimeoutError: not all have ended after `timeout` seconds; they go on.
    """
    timeout = seconds(timeout)
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
        first = next(iter(followed.going.values()))
        raise JobTimeoutError(
            f"{len(followed.going)} of {len(jobs)} jobs have not ended after {timeout:g}s; they go on: "
            f"follow them again, or attach to {first.id!r} and the others later",
            job_id=first.id,
        )


class _Followed:
    """The jobs that have not ended."""

    def __init__(self, jobs: Sequence[Job], poll: Poll) -> None:
        self.going = {job.id: job for job in jobs if not has_ended(job.last)}
        self._unseen = dict.fromkeys(self.going, 0)
        self._poll = poll

    def look(self) -> list[Job]:
        """List them, and tell which have changed."""
        seen = _listed(list(self.going.values()))
        changed = [
            job for job in list(self.going.values()) if self._has_changed(job, seen.get(job.id))
        ]
        self.going = {name: job for name, job in self.going.items() if not has_ended(job.last)}
        return changed

    def _has_changed(self, job: Job, row: JobInfo | None) -> bool:
        self._unseen[job.id] = 0 if row else self._unseen[job.id] + 1
        if row is None and self._unseen[job.id] % _UNSEEN:
            return False
        # The reason of a failure is in the job's own answer alone.
        if row is None or row.state is JobState.FAILED:
            row = job.provider.job(job.id)
        if (row.state, row.phase) == (job.last.state, job.last.phase):
            return False
        job.take(row)
        return True

    def pause(self, length: float) -> None:
        """Pause until something is said of one of them; of those in other regions than the first's, the next look tells."""
        provider = next(iter(self.going.values())).provider
        if not (self._poll.listens and provider.listen(self.going.keys(), length)):
            self._poll.sleep(length)


def _listed(jobs: Sequence[Job]) -> dict[str, JobInfo]:
    """List what may be among these, one list for each region."""
    groups: dict[str | None, list[Job]] = {}
    for job in jobs:
        groups.setdefault(region_of(job.id), []).append(job)
    return {
        info.id: info
        for group in groups.values()
        for info in group[0].provider.jobs(created_after=_oldest(group))
    }


def _oldest(jobs: Sequence[Job]) -> datetime | None:
    """Tell when the first of these was created, with some room; `None` if that is not known."""
    times = [job.last.created for job in jobs if job.last.created is not None]
    return min(times) - _APART if len(times) == len(jobs) else None
