"""Jobs: the life of one fine-tuning job, from anywhere."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from tunestack.endpoints import START_TIMEOUT
from tunestack.errors import (
    ConfigError,
    ConflictError,
    InvalidRequestError,
    JobFailedError,
    JobStoppedError,
    JobTimeoutError,
    ProviderError,
)
from tunestack.formatting import duration_text
from tunestack.patience import Patience
from tunestack.provider import JobInfo, JobState
from tunestack.serving import own, start, stop_own
from tunestack.waiting import Poll, answer, appears, seconds, watch, watch_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tunestack.catalog import BaseModel
    from tunestack.endpoints import Endpoint
    from tunestack.provider import Checkpoint, JobMessage, Provider

logger = logging.getLogger(__name__)

TIMEOUT = 24 * 3600.0
"""Seconds that `wait` waits; AWS says that jobs take several hours."""

SUBMITTED = "submitted"
"""`JobInfo.raw_state` of a job that was just created, before the vendor was asked."""


class Job:
    """One fine-tuning job.

    It lives with the vendor: this object only points to it, and `tuner.job(job.id)` makes another one anywhere.
    """

    def __init__(
        self,
        provider: Provider,
        info: JobInfo,
        *,
        tags: Callable[[], Mapping[str, str]],
        poll: Poll,
    ) -> None:
        """Take an observation of the job; `tuner.submit(...)` and `tuner.job(...)` make one."""
        self._provider = provider
        self._info = info
        self._tags = tags
        self._poll = poll
        self._endpoint: Endpoint | None = None

    @property
    def id(self) -> str:
        """What `tuner.job(...)` attaches to: on Bedrock the job's ARN."""
        if self._info.raw_state == SUBMITTED and self._info.id == self._info.name:
            # The answer to a repeated request may lack the ARN.
            with suppress(ProviderError):
                self.info()
        return self._info.id

    @property
    def name(self) -> str:
        """The job's name; the tuned model has the same."""
        return self._info.name

    @property
    def model(self) -> str | None:
        """The tuned model, once there is one (on Bedrock its ARN)."""
        if not self._info.state.is_terminal:
            self.info()
        return self._info.model

    @property
    def base(self) -> BaseModel:
        """The base model that is tuned.

        Raises:
            ModelError: the catalog does not know it.
        """
        return self._provider.base(self._info.base_model)

    @property
    def last(self) -> JobInfo:
        """The last observation, without another look."""
        return self._info

    @property
    def provider(self) -> Provider:
        """Where it lives."""
        return self._provider

    def info(self) -> JobInfo:
        """Look at the job now."""
        return self.take(self.look())

    def take(self, seen: JobInfo) -> JobInfo:
        """Take an observation that was made elsewhere, of many jobs at once, for the last."""
        before, self._info = self._info, seen
        if (seen.state, seen.phase) != (before.state, before.phase):
            level = logging.WARNING if seen.state is JobState.UNKNOWN else logging.INFO
            logger.log(level, "job %s is %s", self.name, seen.described)
        return seen

    def look(self) -> JobInfo:
        """Look at the job, and leave the last observation as it is."""
        look = partial(self._provider.job, self._info.id)
        if self._info.raw_state != SUBMITTED:
            return look()
        # The vendor may not show at once what it has just created.
        return appears(look, poll=self._poll) or look()

    def status(self) -> JobState:
        """Look at the job's state now."""
        return self.info().state

    def watch(
        self, timeout: float = TIMEOUT, *, stall_after: timedelta | None = None
    ) -> Iterator[JobInfo]:
        """Yield an observation now and then, until the job has ended or `timeout` seconds are over.

        What the vendor is too busy to answer is asked again later, and so is what expired credentials keep from being
        answered, which may be renewed meanwhile. Where the stage has a queue of events, it is looked at as soon as
        something is said of the job.

        Args:
            timeout: seconds to watch.
            stall_after: for how long nothing may change; if not given, as long as each phase may take: `STALL_AFTER`.

        Raises:
            JobStalledError: nothing has changed for too long, or the vendor says for too long what this version does not
                know; the job goes on.
        """
        looks = watch(
            self.info,
            until=has_ended,
            timeout=seconds(timeout),
            poll=self._poll,
            pause=partial(self._poll.pause, listen=partial(self._provider.listen, (self.id,))),
            can_interrupt=True,
        )
        return Patience(stall_after, clock=self._poll.clock).through(looks)

    def wait(self, timeout: float = TIMEOUT, *, stall_after: timedelta | None = None) -> Job:
        """Wait until the job has succeeded. Ctrl-C leaves the job running: attach again with its id.

        Args:
            timeout: seconds to wait.
            stall_after: for how long nothing may change, see `watch`.

        Raises:
            JobFailedError: it failed; `reason` has the vendor's words.
            JobStoppedError: somebody stopped it.
            JobTimeoutError: it is not over after `timeout` seconds, or `JobStalledError`, nothing changes; it goes on.
        """
        for _ in self.watch(timeout, stall_after=stall_after):
            pass
        return self.require_success(timeout)

    async def wait_async(
        self,
        timeout: float = TIMEOUT,  # noqa: ASYNC109 - the same as that of `wait`
        *,
        stall_after: timedelta | None = None,
    ) -> Job:
        """Wait as `wait` does without blocking the event loop; cancelling it ends at once and leaves the job running."""
        patience = Patience(stall_after, clock=self._poll.clock)
        stop = threading.Event()
        looks = watch_async(
            self.info,
            until=has_ended,
            timeout=seconds(timeout),
            poll=self._poll,
            listen=partial(self._provider.listen, (self.id,), stop=stop),
        )
        try:
            async for info in looks:
                patience.hold(info)
        finally:
            stop.set()
        return self.require_success(timeout)

    def remaining(self) -> timedelta | None:
        """Tell how long the job will go on, by how long those of the same base model took that succeeded here.

        Returns:
            The median of what they took, less what it has taken; `None` when there were none. Nothing is left of what has
            ended.
        """
        if self._info.state.is_terminal:
            return timedelta(0)
        took = sorted(
            other.ended - other.created
            for other in self._provider.jobs(state=JobState.SUCCEEDED)
            if other.ended and other.created and _same_base(other, self._info)
        )
        if not took or self._info.created is None:
            return None
        elapsed = self._provider.now() - self._info.created
        return max(took[len(took) // 2] - elapsed, timedelta(0))

    def require_success(self, waited: float = 0.0) -> Job:
        """Raise, by the last observation, unless the job has succeeded; the errors are those of `wait`."""
        info = self._info
        if info.state is JobState.SUCCEEDED:
            return self
        if info.state is JobState.FAILED:
            reason = info.failure or "no reason given"
            raise JobFailedError(
                f"job {info.name!r} failed: {reason}: mend it and submit again",
                job_id=info.id,
                reason=reason,
            )
        if info.state is JobState.STOPPED:
            raise JobStoppedError(
                f"job {info.name!r} was stopped: there is no model, and what it trained is billed; "
                "submit again to start anew",
                job_id=info.id,
            )
        raise JobTimeoutError(
            f"job {info.name!r} is still {info.described} after {duration_text(waited)}; it goes on: "
            f"wait again, or attach to {info.id!r} later",
            job_id=info.id,
        )

    def cancel(self, timeout: float = 0.0) -> bool:
        """Stop the job for good; what it has trained is billed, and no model comes of it.

        Args:
            timeout: seconds to try again for, when the vendor is too busy to stop it.

        Returns:
            Whether there was anything to stop: `False` for a job that has ended.
        """
        return answer(self._stop, timeout=seconds(timeout), poll=self._poll)

    def _stop(self) -> bool:
        if self.info().state.is_terminal:
            return False
        if self._info.state is JobState.STOPPING:
            return True
        try:
            self._provider.stop_job(self.id)
        except (ConflictError, InvalidRequestError):
            # It ended between the look and the stop, or somebody else stops it.
            state = self.info().state
            if state.is_terminal or state is JobState.STOPPING:
                return state in {JobState.STOPPING, JobState.STOPPED}
            raise
        self._info = replace(self._info, state=JobState.STOPPING, phase=None)
        return True

    def pause(self) -> None:
        """Let the job pause: what it has trained is billed, and kept.

        Raises:
            ConfigError: the vendor's jobs can't.
            InvalidRequestError: the job is at nothing that could pause.
        """
        self._provider.pause_job(self.id)

    def resume(self) -> None:
        """Let the paused job go on; the errors are those of `pause`."""
        self._provider.resume_job(self.id)

    def messages(self) -> Iterator[JobMessage]:
        """List what the vendor said of the job, the newest first; Bedrock says nothing."""
        return self._provider.messages(self.id)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """List the models that the job has left on its way, the newest first; Bedrock has none that could be asked."""
        return self._provider.checkpoints(self.id)

    def metrics(self) -> Sequence[Mapping[str, float]]:
        """Read the losses, one row a step; there are none before the job has succeeded."""
        return self._provider.metrics(self.info())

    def start_endpoint(
        self,
        serving: str = "auto",
        *,
        ttl: timedelta | None = None,
        model_units: int = 1,
        unguarded: bool = False,
        timeout: float = START_TIMEOUT,
    ) -> str:
        """Start the endpoint of the tuned model and wait until it answers; one that there is, is kept.

        Args:
            serving: `on-demand` (free while idle, paid by the token), `provisioned` (billed by the hour for each
                model unit until it is stopped), or `auto`: on demand where the model can be served so. On OpenAI there is
                nothing to start, and nothing is billed by the hour: `auto` answers with the model's name.
            ttl: how long it may live: the endpoint guard of the stage ends it then, whatever becomes of this process. For
                provisioned throughput what the stage says (four hours) if not given; at most what the stage allows (24).
            model_units: provisioned throughput only.
            unguarded: start it although nothing is deployed that would end it.
            timeout: seconds to wait for it, once it is created; after a stop, creating it anew may take 20 more.

        Returns:
            The endpoint's name; `job.endpoint()` is the object to ask.

        Raises:
            ConfigError: the job has no model (yet), the model can't be served so, an argument is not possible, or no guard
                is deployed.
            ConflictError: there is one already, with another number of model units.
            QuotaError: the account may not have so many.
            EndpointFailedError: it could not be started.
            EndpointTimeoutError: it is not ready in time, and goes on starting.
            NotFoundError: another process stopped it meanwhile, or the custom model was deleted: submitting the same again
                trains another one.
        """
        timeout = seconds(timeout)
        self._endpoint = start(
            self._provider,
            self._require_model(),
            self.base,
            serving=serving,
            ttl=ttl,
            model_units=model_units,
            tags=self._tags(),
            unguarded=unguarded,
            poll=self._poll,
        )
        return self._endpoint.wait(timeout).name

    def stop_endpoint(self) -> None:
        """Stop the endpoints that `start_endpoint` started, from here or anywhere, and wait until they are gone.

        Fine when there are none, as always on OpenAI. Others that serve the model are in `tuner.endpoints(model=job.model)`.
        """
        self._endpoint = None
        stop_own(self._provider, self._require_model(), poll=self._poll)

    def endpoint(self) -> Endpoint:
        """Return the endpoint that `start_endpoint` started, from here or anywhere; the newest if there are two.

        Raises:
            ConfigError: there is none.
        """
        if self._endpoint is None:
            found = own(self._provider, self._require_model(), poll=self._poll)
            if not found:
                raise ConfigError(f"job {self.name!r} has no endpoint: call start_endpoint()")
            self._endpoint = found[0]
        return self._endpoint

    def _require_model(self) -> str:
        model = self.model
        if model is None:
            hope = "" if self._info.state.is_terminal else ": wait for it to succeed first"
            raise ConfigError(f"job {self.name!r} is {self._info.described} and has no model{hope}")
        return model

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same job."""
        return isinstance(other, Job) and self.id == other.id

    def __hash__(self) -> int:
        """Return the hash of the id."""
        return hash(self.id)

    def __copy__(self) -> Job:
        """Return another handle of the same job."""
        return Job(self._provider, self._info, tags=self._tags, poll=self._poll)

    def __deepcopy__(self, _memo: object) -> Job:
        """Return another handle of the same job, which shares the clients."""
        return self.__copy__()

    def __getstate__(self) -> dict[str, object]:
        """Leave out the endpoint, which is found again; credentials and clients are left out by the provider."""
        return {**self.__dict__, "_endpoint": None}

    def __repr__(self) -> str:
        """Show the name and the last state seen."""
        return f"<Job {self.name} {self._info.described}>"


def _same_base(one: JobInfo, other: JobInfo) -> bool:
    # One is a base model's ARN, the other may be its id.
    return one.base_model.rsplit("/", 1)[-1] == other.base_model.rsplit("/", 1)[-1]


def has_ended(info: JobInfo) -> bool:
    """Tell whether a job will never change again."""
    return info.state.is_terminal
