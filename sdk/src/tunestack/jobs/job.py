"""The handle of a fine-tuning job."""

from __future__ import annotations

import threading
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.backends.base import JobInfo, JobState
from tunestack.backends.protocols import listener
from tunestack.endpoints.endpoint import START_TIMEOUT
from tunestack.endpoints.start import own_endpoints, start_endpoint, stop_own_endpoints
from tunestack.errors import (
    ConflictError,
    InvalidRequestError,
    JobFailedError,
    JobStoppedError,
    JobTimeoutError,
    NotFoundError,
    ProviderError,
    StateError,
)
from tunestack.jobs.details import SUBMITTED
from tunestack.jobs.evaluation import Evaluate, JobEvaluation
from tunestack.jobs.observers import Observer, to_observer
from tunestack.jobs.progress import show_progress
from tunestack.jobs.remaining import estimate_remaining
from tunestack.jobs.stall import StallDetector
from tunestack.polling import (
    Duration,
    Poll,
    retry,
    to_timeout,
    watch,
    watch_async,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta

    from tunestack.backends.protocols import Backend
    from tunestack.catalog import BaseModel
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.endpoints.start import ServingChoice

TIMEOUT = 24 * 3600.0
"""Seconds that `wait` waits by default; AWS says that jobs take several hours."""


class Job(JobEvaluation):
    """A fine-tuning job.

    The job runs at its provider. This object is a handle: `tuner.job(job.id)` returns another one in any process, and handles
    can be compared, copied and pickled.

    Example:
        job = tuner.submit("nova-micro", "train.jsonl").wait()
        job.start_endpoint()
    """

    def __init__(
        self,
        backend: Backend,
        info: JobInfo,
        *,
        tags: Callable[[], Mapping[str, str]],
        poll: Poll,
        evaluate: Evaluate | None = None,
    ) -> None:
        """Store the observation; use `tuner.submit(...)` or `tuner.job(...)` to get a job."""
        super().__init__(backend, info, poll=poll, evaluate=evaluate)
        self._tags = tags
        self._endpoint: Endpoint | None = None

    @property
    def id(self) -> str:
        """The id for `tuner.job(...)`; on Bedrock the ARN of the job."""
        if self._info.raw_state == SUBMITTED and self._info.id == self._info.name:
            # The answer to a repeated request may have no ARN.
            with suppress(ProviderError):
                self.refresh()
        return self._info.id

    @property
    def model(self) -> str | None:
        """The fine-tuned model, on Bedrock its ARN; `None` until the job has succeeded.

        Calls the provider, as `refresh` does, unless the job has ended.
        """
        if not self._info.state.is_terminal:
            self.refresh()
        return self._info.model

    @property
    def base(self) -> BaseModel:
        """The base model that is fine-tuned.

        Raises:
            ModelError: it is not in the catalog.
        """
        return self._backend.base(self._info.base_model)

    @property
    def state(self) -> JobState:
        """The state in the last observation; `status` gets the current one."""
        return self._info.state

    def status(self) -> JobState:
        """Get the current state from the provider."""
        return self.refresh().state

    def watch(
        self, timeout: Duration | None = TIMEOUT, *, stall_after: timedelta | None = None
    ) -> Iterator[JobInfo]:
        """Poll the job and yield each observation, until it has ended or the timeout is over.

        Throttled requests and expired credentials, which may be renewed meanwhile, are retried until then. If the stage has a
        queue of events, the job is read as soon as there is one.

        Args:
            timeout: seconds or a `timedelta`; `None` for no limit.
            stall_after: the time without a change of state or phase that is an error; by default what each phase may take.

        Raises:
            JobStalledError: nothing has changed for too long, or the state is unknown for too long; the job continues.
        """
        observations = watch(
            self.refresh,
            until=has_ended,
            timeout=to_timeout(timeout),
            poll=self._poll,
            pause=partial(self._poll.pause, listen=listener(self._backend, (self.id,))),
            can_interrupt=True,
        )
        return StallDetector(stall_after, clock=self._poll.clock).through(observations)

    def wait(
        self,
        timeout: Duration | None = TIMEOUT,
        *,
        stall_after: timedelta | None = None,
        progress: bool | Observer = False,
    ) -> Job:
        """Wait until the job has succeeded, and return it. Ctrl-C leaves it running: attach again with its id.

        Args:
            timeout: seconds or a `timedelta`; `None` for no limit.
            stall_after: see `watch`.
            progress: show phase, elapsed time, remaining time and loss, in a line that updates itself in a terminal or
                notebook (elsewhere, changes are logged only); or a function that receives each observation.

        Returns:
            The job itself.

        Raises:
            JobFailedError: the job failed; `reason` has the provider's message.
            JobStoppedError: the job was stopped.
            JobTimeoutError: the job has not ended in time, or `JobStalledError`; the job continues.
        """
        limit, observe = to_timeout(timeout), to_observer(progress, self._backend, self._info)
        line = show_progress(self._backend, self.name, lambda: self._info)
        with line if progress is True else nullcontext():
            for info in self.watch(timeout, stall_after=stall_after):
                observe(info)
        return self.require_success(limit)

    async def wait_async(
        self,
        timeout: Duration | None = TIMEOUT,  # noqa: ASYNC109 - the same as that of `wait`
        *,
        stall_after: Duration | None = None,
    ) -> Job:
        """Wait as `wait` does, without blocking the event loop; cancelling the task leaves the job running."""
        limit = to_timeout(timeout)
        detector = StallDetector(stall_after, clock=self._poll.clock)
        stop = threading.Event()
        observations = watch_async(
            self.refresh,
            until=has_ended,
            timeout=limit,
            poll=self._poll,
            listen=listener(self._backend, (self.id,), stop=stop),
        )
        try:
            async for info in observations:
                detector.check(info)
        finally:
            stop.set()
        return self.require_success(limit)

    def remaining(self) -> timedelta | None:
        """Estimate the remaining time from the account's succeeded jobs of the same base model.

        Returns:
            The median of their durations, less the time since this job was created; `None` if there are no such jobs, 0 if
            the job has ended.
        """
        return estimate_remaining(self._backend, self._info)

    def require_success(self, waited: float = 0.0) -> Job:
        """Raise unless the job has succeeded, by the last observation; the errors are those of `wait`."""
        info = self._info
        if info.state is JobState.SUCCEEDED:
            return self
        if info.state is JobState.FAILED:
            reason = info.failure or "no reason given"
            remedy = f"{info.remedy}; then" if info.remedy else "fix this and"
            raise JobFailedError(
                f"job {info.name!r} failed: {reason}: {remedy} submit again",
                job_id=info.id,
                reason=reason,
            )
        if info.state is JobState.STOPPED:
            raise JobStoppedError(
                f"job {info.name!r} was stopped: it has no model, and what it trained is billed; "
                "submit again to start another attempt",
                job_id=info.id,
            )
        raise JobTimeoutError(
            f"job {info.name!r} is still {info.description} after {duration_text(waited)}; it continues: "
            f"wait again, or attach to {info.id!r} later",
            job_id=info.id,
        )

    def cancel(self, timeout: Duration | None = 0.0) -> bool:
        """Cancel the job. It can't be resumed and creates no model; the tokens that were processed are billed.

        Args:
            timeout: how long to retry while the provider is busy: seconds, a `timedelta`, or `None` for no limit.

        Returns:
            Whether the job was stopped: `False` if it had ended before.
        """
        return retry(self._stop, timeout=to_timeout(timeout), poll=self._poll)

    def _stop(self) -> bool:
        if self.refresh().state.is_terminal:
            return False
        if self._info.state is JobState.STOPPING:
            return True
        try:
            self._backend.stop_job(self.id)
        except (ConflictError, InvalidRequestError):
            # It ended meanwhile, or another process stopped it.
            state = self.refresh().state
            if state.is_terminal or state is JobState.STOPPING:
                return state in {JobState.STOPPING, JobState.STOPPED}
            raise
        self._info = replace(self._info, state=JobState.STOPPING, phase=None)
        return True

    def start_endpoint(
        self,
        serving: ServingChoice = "auto",
        *,
        ttl: Duration | None = None,
        model_units: int = 1,
        unguarded: bool = False,
        timeout: Duration | None = START_TIMEOUT,
    ) -> Endpoint:
        """Start the endpoint of the fine-tuned model and wait until it is ready; an existing endpoint is returned.

        Args:
            serving: `on-demand` (free while idle, billed by the token), `provisioned` (provisioned throughput: billed by the
                hour for each model unit until it is stopped), or `auto`: on demand if the model can be served so. At OpenAI,
                `auto` returns the model itself: nothing is started, and nothing is billed while idle.
            ttl: the lifetime, in seconds or as a `timedelta`: the stage's endpoint guard deletes the endpoint at its end,
                even if this process has ended. Provisioned throughput always has one: by default the stage's
                `default_endpoint_hours` (4), at most its `max_endpoint_hours` (24).
            model_units: the number of model units of provisioned throughput.
            unguarded: start provisioned throughput although no endpoint guard is deployed.
            timeout: how long to wait: seconds, a `timedelta`, or `None` for no limit. Creating an endpoint again that was
                just stopped may take 20 seconds more.

        Raises:
            StateError: the job has no model (yet).
            ConfigError: the model can't be served so, an argument is invalid, or no guard is deployed.
            ConflictError: the endpoint exists already with another number of model units.
            QuotaError: a quota of the account is used up.
            EndpointFailedError: the endpoint could not be started.
            EndpointTimeoutError: the endpoint is not ready in time; it is still being created.
            NotFoundError: another process stopped it meanwhile, or the custom model was deleted: submitting the same data
                again trains another one.
        """
        limit = to_timeout(timeout)
        self._endpoint = start_endpoint(
            self._backend,
            self._require_model(),
            self.base,
            serving=serving,
            ttl=ttl,
            model_units=model_units,
            tags=self._tags(),
            unguarded=unguarded,
            poll=self._poll,
        )
        return self._endpoint.wait(limit)

    def stop_endpoint(self) -> None:
        """Stop the endpoints that `start_endpoint` started, in any process, and wait until they are deleted.

        Does nothing if there are none, as always at OpenAI. `tuner.endpoints(model=job.model)` lists other endpoints of the
        model.
        """
        self._endpoint = None
        stop_own_endpoints(self._backend, self._require_model(), poll=self._poll)

    def endpoint(self) -> Endpoint:
        """Return the endpoint that `start_endpoint` started, in any process; the newest if there are two.

        Raises:
            NotFoundError: it does not exist.
            StateError: the job has no model (yet).
        """
        if self._endpoint is None:
            endpoints = own_endpoints(self._backend, self._require_model(), poll=self._poll)
            if not endpoints:
                raise NotFoundError(f"job {self.name!r} has no endpoint: call start_endpoint()")
            self._endpoint = endpoints[0]
        return self._endpoint

    def _require_model(self) -> str:
        if (model := self.model) is None:
            remedy = "" if self._info.state.is_terminal else ": call wait() first"
            raise StateError(
                f"job {self.name!r} is {self._info.description} and has no model{remedy}",
                job_id=self._info.id,
            )
        return model

    def __getstate__(self) -> dict[str, object]:
        """Leave out the endpoint, which is found again; credentials and clients are left out by the provider."""
        return {**self.__dict__, "_endpoint": None}

    def __repr__(self) -> str:
        """Show the name and the last state."""
        return f"<Job {self.name} {self._info.description}>"


def has_ended(info: JobInfo) -> bool:
    """Return whether a job has ended."""
    return info.state.is_terminal
