"""Poll many jobs with one list request, whatever their number."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.backends.base import JobState
from tunestack.backends.protocols import listener
from tunestack.errors import JobTimeoutError
from tunestack.jobs.job import TIMEOUT, has_ended
from tunestack.polling import to_timeout, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tunestack.backends.base import JobInfo
    from tunestack.jobs.job import Job
    from tunestack.polling import Duration, Poll

_MAX_MISSING = 3
"""Lists that a job may be missing from before it is read by itself."""
_DETAILS = ("hyperparameters", "training_data", "validation_data", "output")
_CLOCK_TOLERANCE = timedelta(hours=1)
"""How much the clocks of creation times may differ."""


def follow(jobs: Sequence[Job], *, timeout: Duration | None = TIMEOUT, poll: Poll) -> Iterator[Job]:
    """Yield each job when it has changed, until all have ended.

    A poll lists the jobs of each region, in pages of a thousand. Only the reason of a failure, and a job that the list does
    not show, are read one by one.

    Raises:
        JobTimeoutError: not all have ended in time; they continue.
    """
    limit = to_timeout(timeout)
    followed = _FollowedJobs(jobs, poll)
    if not followed.running:
        return
    for changed in watch(
        followed.refresh,
        until=lambda _: not followed.running,
        timeout=limit,
        poll=poll,
        pause=followed.pause,
    ):
        yield from changed
    if followed.running:
        left = [job for handles in followed.running.values() for job in handles]
        raise JobTimeoutError(
            f"{len(left)} of {len(jobs)} jobs have not ended after {duration_text(limit)}; they continue: "
            f"follow them again, or attach to {left[0].id!r} and the others later",
            job_id=left[0].id,
        )


def wait_all(jobs: list[Job], *, timeout: Duration | None = TIMEOUT, poll: Poll) -> list[Job]:
    """Return the jobs after all have ended, in any state.

    Raises:
        JobTimeoutError: not all have ended in time; they continue.
    """
    for _ in follow(jobs, timeout=timeout, poll=poll):
        pass
    return jobs


class _FollowedJobs:
    """The jobs that have not ended, by id; there may be several handles of one job."""

    def __init__(self, jobs: Sequence[Job], poll: Poll) -> None:
        self.running: dict[str, list[Job]] = {}
        for job in jobs:
            if not has_ended(job.info):
                self.running.setdefault(job.id, []).append(job)
        self._missing = dict.fromkeys(self.running, 0)
        self._poll = poll

    def refresh(self) -> list[Job]:
        """List the jobs and return those that have changed."""
        listed = _list_jobs([handles[0] for handles in self.running.values()])
        infos = {job_id: self._info(job_id, listed.get(job_id)) for job_id in self.running}
        changed = []
        for job_id, info in infos.items():
            for job in self.running[job_id]:
                before = (job.info.state, job.info.phase)
                if info is not None and (info.state, info.phase) != before:
                    job.update_info(_with_details(info, job.info))
                    changed.append(job)
        self.running = {
            job_id: handles
            for job_id, handles in self.running.items()
            if not has_ended(handles[0].info)
        }
        return changed

    def _info(self, job_id: str, listed: JobInfo | None) -> JobInfo | None:
        self._missing[job_id] = 0 if listed else self._missing[job_id] + 1
        if listed is None and self._missing[job_id] % _MAX_MISSING:
            return None
        # A list does not have the reason of a failure.
        if listed is None or listed.state is JobState.FAILED:
            return self.running[job_id][0].fetch()
        return listed

    def pause(self, seconds: float) -> None:
        """Pause until there is an event of one of the jobs in the first one's region; other regions are polled only."""
        backend = next(iter(self.running.values()))[0].backend
        self._poll.pause(seconds, listener(backend, self.running.keys()))


def _with_details(info: JobInfo, known: JobInfo) -> JobInfo:
    """Return a job with the details of an earlier observation that a list does not have; they never change."""
    missing = [name for name in _DETAILS if not getattr(info, name)]
    return replace(info, **{name: getattr(known, name) for name in missing})


def _list_jobs(jobs: Sequence[Job]) -> dict[str, JobInfo]:
    """List what may be among these jobs, with one list for each region."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.backend.scope, []).append(job)
    return {
        info.id: info
        for group in groups.values()
        for info in group[0].backend.jobs(created_after=_oldest(group))
    }


def _oldest(jobs: Sequence[Job]) -> datetime | None:
    """Return the creation time of the oldest job, less a tolerance; `None` if one is unknown."""
    times = [job.info.created for job in jobs if job.info.created is not None]
    return min(times) - _CLOCK_TOLERANCE if len(times) == len(jobs) else None
