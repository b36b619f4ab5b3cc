"""`Run`: a run in the account, its jobs, and how to follow and cancel it."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack.backends.base import JobState
from tunestack.backends.inference import ResultStore
from tunestack.backends.protocols import EndpointHost
from tunestack.endpoints.start import try_all
from tunestack.errors import JobTimeoutError, NotFoundError, StateError
from tunestack.jobs.job import Job
from tunestack.polling import to_timeout, watch
from tunestack.runs.results import read_result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.backends.base import JobInfo
    from tunestack.backends.protocols import Backend
    from tunestack.backends.runs import RunHost, RunInfo, RunState
    from tunestack.polling import Duration, Poll
    from tunestack.runs.results import RunResult

TIMEOUT = 30 * 86_400.0
"""Seconds that `Run.wait` waits by default."""
WAITING = "waiting"
"""The state of a job that is not created yet."""
SKIPPED = "skipped"
"""The state of a job that the budget was not enough for."""
_READ_ONE_BY_ONE = 20
_RUNNING = {state for state in JobState if not state.is_terminal and state is not JobState.STOPPING}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunJob:
    """A job of a run."""

    name: str
    state: str
    """A `JobState`, `waiting`, `skipped`, or `failed` if it could not be submitted."""
    base_model: str
    hyperparameters: Mapping[str, str]
    data: str
    id: str | None = None
    """The id of the job, once it is created."""
    model: str | None = None
    """The fine-tuned model, once it is trained."""
    max_usd: float | None = None
    """The highest estimated cost in US dollars."""
    reason: str | None = None
    """Why it failed."""


class Run:
    """A run: many jobs that Step Functions submits, as slots of the account become free, and waits for.

    No client is needed while it runs. In addition to its jobs, a run is billed by the state transition: $0.004 for a job of 97
    minutes, $0.015 for one of a day.

    Example:
        run = tuner.start_run(specs, max_parallel=2)
        for job in run.wait().jobs():
            print(job.name, job.state, job.model)
    """

    def __init__(self, backend: Backend, host: RunHost, info: RunInfo, *, poll: Poll) -> None:
        """Store the arguments; use `Tuner.run` or `Tuner.start_run`."""
        self._backend = backend
        self._host = host
        self._info = info
        self._poll = poll
        self._document: Mapping[str, Any] | None = None

    @property
    def info(self) -> RunInfo:
        """The run, as of the last call of the service."""
        return self._info

    @property
    def id(self) -> str:
        """The id: the ARN of the execution."""
        return self._info.id

    @property
    def name(self) -> str:
        """The name, which is unique in the stage and region."""
        return self._info.name

    @property
    def state(self) -> RunState:
        """The state, as of the last call of the service; `status()` reads it."""
        return self._info.state

    def status(self) -> RunState:
        """Read the state."""
        self._info = self._host.run(self.id)
        return self.state

    def jobs(self) -> list[RunJob]:
        """Return the jobs, in the order of their specifications, with those that the budget was not enough for.

        Raises:
            NotFoundError: the files of the run were deleted.
        """
        return self._list_jobs(with_reasons=True)

    def _list_jobs(self, *, with_reasons: bool) -> list[RunJob]:
        document = self._read_document()
        infos = find_jobs(self._backend, [row["name"] for row in document["jobs"]])
        missing = any(row["name"] not in infos for row in document["jobs"])
        failed = any(info.state is JobState.FAILED for info in infos.values())
        reasons: Mapping[str, str] = {}
        if with_reasons and (missing or failed):
            reasons = self._host.failed_submissions(self.id)
        jobs = [_describe(row, infos.get(row["name"]), reasons) for row in document["jobs"]]
        return jobs + [_describe(row, None, {}, state=SKIPPED) for row in document["skipped"]]

    def evaluation(self) -> RunResult | None:
        """Read the result of the evaluation in the account; `None` if the run has none, or if it has not ended."""
        if not isinstance(self._backend, ResultStore):
            return None
        return read_result(self._backend, self.name)

    def counts(self) -> dict[str, int]:
        """Return the number of jobs in each state."""
        # The reasons of failures are read one by one, so not in each poll of a run.
        jobs = self._list_jobs(with_reasons=self.state.is_terminal)
        return dict(Counter(job.state for job in jobs))

    def watch(self, timeout: Duration | None = TIMEOUT) -> Iterator[dict[str, int]]:
        """Yield the numbers of jobs by state when they have changed, until the run has ended.

        Args:
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            JobTimeoutError: the run has not ended in time; it continues.
        """
        last: dict[str, int] | None = None
        for _ in self._watch_state(timeout):
            counts = self.counts()
            if counts != last:
                yield counts
            last = counts

    def wait(self, timeout: Duration | None = TIMEOUT) -> Run:
        """Wait until all jobs have ended, in any state; raises `JobTimeoutError` as `watch` does."""
        for _ in self._watch_state(timeout):
            pass
        return self

    def _watch_state(self, timeout: Duration | None) -> Iterator[RunState]:
        """Yield the state at each poll, until the run has ended; its jobs are not read."""
        yield from watch(
            self.status,
            until=lambda state: state.is_terminal,
            timeout=to_timeout(timeout),
            poll=self._poll,
        )
        if not self.state.is_terminal:
            raise JobTimeoutError(
                f"run {self.name!r} has not ended in time; it continues without this process",
                job_id=self.id,
            )

    def cancel(self, *, jobs: bool = False) -> list[str]:
        """Stop submitting jobs, and delete the endpoints of the evaluation.

        An endpoint that is being created can't be deleted yet: the guard deletes it within 4 hours. Like the others, it is on
        demand, and costs nothing while idle.

        Args:
            jobs: stop the jobs that run, too; the tokens trained so far are billed, and no model is created.

        Returns:
            The ids of the jobs that are stopped.

        Raises:
            StateError: the run has ended, and no job is to be stopped.
            TunestackError: the first error of stopping a job or an endpoint, after all were tried.
        """
        if not self.status().is_terminal:
            self._host.stop_run(self.id)
        elif not jobs:
            raise StateError(f"run {self.name!r} has ended: {self.state}", job_id=self.id)
        self.status()
        infos = self._find_jobs()
        stopped: list[str] = []

        def stop(info: JobInfo) -> None:
            if Job(self._backend, info, tags=dict, poll=self._poll).cancel():
                stopped.append(info.id)

        running = [info for info in infos if jobs and info.state in _RUNNING]
        try_all(
            [
                *(partial(stop, info) for info in running),
                partial(self._stop_endpoints, [info.model for info in infos if info.model]),
            ]
        )
        return stopped

    def _find_jobs(self) -> list[JobInfo]:
        names = [row["name"] for row in self._read_document()["jobs"]]
        return [*find_jobs(self._backend, names).values()]

    def _stop_endpoints(self, models: list[str]) -> None:
        from tunestack.runs.endpoints import RunEndpoints  # noqa: PLC0415 - for runs that evaluate only

        if self._read_document().get("evaluation") is not None and isinstance(
            self._backend, EndpointHost
        ):
            RunEndpoints(self._backend, self.name, poll=self._poll).stop_all(models)

    def to_dict(self) -> dict[str, Any]:
        """Return the run, with the numbers of its jobs by state."""
        info = self._info
        return {
            "id": info.id,
            "name": info.name,
            "state": info.state,
            "created": info.created,
            "ended": info.ended,
            "jobs": self.counts(),
            "failure": info.failure,
        }

    def __repr__(self) -> str:
        """Return the name and the state."""
        return f"<Run {self.name} {self.state}>"

    def _read_document(self) -> Mapping[str, Any]:
        if self._document is None:
            if self._info.file is None:
                self.status()
            self._document = json.loads(self._host.read_run_file(f"{self._info.file}.json"))
        return self._document


def find_jobs(backend: Backend, names: list[str]) -> dict[str, JobInfo]:
    """Return the jobs that exist, by name."""
    if len(names) > _READ_ONE_BY_ONE:
        known = set(names)
        return {info.name: info for info in backend.jobs() if info.name in known}
    found = {}
    for name in names:
        with suppress(NotFoundError):
            found[name] = backend.job(name)
    return found


def _describe(
    row: Mapping[str, Any],
    info: JobInfo | None,
    reasons: Mapping[str, str],
    *,
    state: str = WAITING,
) -> RunJob:
    reason = reasons.get(row["name"])
    if info is not None:
        state = info.state
    elif reason is not None:
        state = JobState.FAILED
    return RunJob(
        name=row["name"],
        state=str(state),
        base_model=row["base_model"],
        hyperparameters=row["hyperparameters"],
        data=row["data"],
        id=None if info is None else info.id,
        model=None if info is None else info.model,
        max_usd=row["max_usd"],
        reason=(info.failure if info is not None and info.failure else reason),
    )
