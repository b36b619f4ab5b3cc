"""A fine-tuning job as DSPy sees it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspy.clients.provider import TrainingJob
from dspy.clients.utils_finetune import TrainingStatus

from tunestack.catalog import Serving
from tunestack.dspy import kept
from tunestack.dspy.kept import routed
from tunestack.errors import (
    BusyError,
    ConfigError,
    JobFailedError,
    JobStoppedError,
    ProviderError,
    TunestackError,
)
from tunestack.jobs import TIMEOUT
from tunestack.provider import JobState
from tunestack.waiting import seconds

if TYPE_CHECKING:
    from datetime import timedelta

    import dspy

    from tunestack.endpoints import Endpoint
    from tunestack.jobs import Job
    from tunestack.tuner import Tuner

# What `train_kwargs` may hold beside hyperparameters: arguments of `Tuner.submit`.
_OPTIONS = (
    "ignore",
    "max_cost",
    "method",
    "name",
    "on_loss",
    "record_format",
    "rerun",
    "s3_path",
    "seed",
    "suffix",
    "tags",
    "validation_data",
)


_ENDS = {
    JobState.SUCCEEDED: TrainingStatus.succeeded,
    JobState.STOPPED: TrainingStatus.cancelled,
    JobState.FAILED: TrainingStatus.failed,
}


class TuningJob(TrainingJob):
    """A fine-tuning job, as DSPy sees it: a future of the tuned `dspy.LM`.

    `result()` waits for the tuned LM and raises what went wrong (one of `tunestack.errors`).

    Attributes:
        model: the base model as DSPy calls it, and once there is one, the tuned model (on Bedrock its ARN).
        job: the job itself, once it is submitted; `job.id` attaches to it from anywhere.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `dspy.LM.finetune` passes; the caller may change its list and its dict afterwards."""
        super().__init__(*args, **kwargs)
        self.model: str | None
        self.train_data: Any
        self.train_kwargs: Any
        self.job: Job | None = None
        self.keep_capabilities = False
        self._cancelled = threading.Event()
        if isinstance(self.train_data, list):
            self.train_data = list(self.train_data)
        if isinstance(self.train_kwargs, dict):
            self.train_kwargs = dict(self.train_kwargs)

    def status(self) -> TrainingStatus:
        """Tell how it stands; `succeeded` once `result()` returns at once, endpoint included.

        Where the wait has failed, and not the job (it took longer than `timeout`, or the key was refused), it is the job's
        own: `finetune` again finds it. What can't be looked at now is as it was last seen.
        """
        if not self.done():
            return self._status_before_the_end()
        error = None if self.cancelled() else self.exception()
        if self.cancelled() or isinstance(error, JobStoppedError):
            return TrainingStatus.cancelled
        if error is None:
            return TrainingStatus.succeeded
        failed = isinstance(error, JobFailedError)
        if self.job is not None and self.model != self.job.last.model and not failed:
            # The wait went wrong, and not the job: it goes on, or went on.
            self._look(self.job)
            return _ENDS.get(self.job.last.state) or _status_of(self.job)
        return TrainingStatus.failed

    def _status_before_the_end(self) -> TrainingStatus:
        if self.job is None:
            return TrainingStatus.pending if self.running() else TrainingStatus.not_started
        self._look(self.job)
        # Running also when the job has ended and the future has not: it deploys the model or is about to raise.
        return _status_of(self.job)

    def _look(self, job: Job) -> None:
        if not job.last.state.is_terminal:
            with suppress(ProviderError):
                job.info()

    def cancel(self) -> bool:
        """Stop the job for good; what it has trained is billed, and no model comes of it.

        Returns:
            Whether there was anything to stop. While `result()` is still waited for, a stop that the service is too
            busy for is tried again until it is done.
        """
        if not self.done():
            self._cancelled.set()
            if super(TrainingJob, self).cancel() or self.job is None:
                return True
            with suppress(BusyError):
                return self.job.cancel()
            return True
        # The future may have failed, say by a timeout, with the job going on.
        return self.job is not None and self.job.cancel()

    def start_endpoint(
        self,
        serving: str = "auto",
        *,
        ttl: timedelta | None = None,
        model_units: int = 1,
        unguarded: bool = False,
    ) -> str:
        """Start the endpoint of the tuned model, wait until it answers, and let the tuned LM use it.

        See `tunestack.Job.start_endpoint` for what it costs; one that there is, is kept.

        Returns:
            The endpoint's name.
        """
        job = self._finished()
        name = job.start_endpoint(serving, ttl=ttl, model_units=model_units, unguarded=unguarded)
        self._let_lm_call(job.endpoint().id)
        return name

    def stop_endpoint(self) -> None:
        """Stop the endpoint and wait until it is gone; fine when there is none."""
        job = self._finished()
        job.stop_endpoint()
        self._let_lm_call(str(job.model))

    def endpoint(self) -> Endpoint:
        """Return the endpoint of the tuned model; `ConfigError` when there is none."""
        return self._finished().endpoint()

    def set_result(self, result: Any) -> None:
        """Keep what DSPy sets: it also calls this with an exception, and after a cancel."""
        if self.cancelled():
            return
        if isinstance(result, BaseException):
            self.set_exception(result)
            return
        if self.job is not None and self.job.model is not None:
            self._keep(result, self.job)
        super().set_result(result)

    def _keep(self, lm: dspy.LM, job: Job) -> None:
        """Save with the tuned LM where it comes from; DSPy has copied to it what was kept with the one that was tuned."""
        found = kept.of_job(job, str(job.model), self.train_data or ())
        found.put(lm, lm.model, as_base=self.keep_capabilities)

    def _finished(self) -> Job:
        """Return the job once its model is there, even if DSPy's future failed on what came after."""
        if not self.done():
            raise ConfigError(
                f"the job is {self.status().value} and has no model yet: call job.result() first, "
                "it waits"
            )
        if self.job is not None and self.job.model is not None:
            return self.job
        if self.cancelled():
            raise JobStoppedError("the job was cancelled before it was submitted", job_id="")
        self.result()
        raise ConfigError("the job has a result that the vendor did not give")

    def _let_lm_call(self, identifier: str) -> None:
        if self.exception() is None:
            lm, route = self.result(), routed(identifier)
            found = kept.Kept.of(lm) or kept.of_job(self._finished(), str(self.model), ())
            found.put(lm, route, as_base=self.keep_capabilities)

    def run(self, tuner: Tuner) -> str:
        """Submit, wait and deploy; runs in DSPy's thread. Returns what DSPy is to call the tuned model."""
        if not self.set_running_or_notify_cancel():
            raise JobStoppedError("the job was cancelled before it was submitted", job_id="")
        if not isinstance(self.train_kwargs, dict):
            raise ConfigError(
                f"train_kwargs is a {type(self.train_kwargs).__name__}: use a dict of hyperparameters"
            )
        options = {name: self.train_kwargs[name] for name in _OPTIONS if name in self.train_kwargs}
        timeout = seconds(self.train_kwargs.get("timeout", TIMEOUT))
        job = self.job = tuner.submit(
            str(self.model),
            () if self.train_data is None else self.train_data,
            data_format=getattr(self.train_data_format, "value", self.train_data_format),
            hyperparameters={
                name: value
                for name, value in self.train_kwargs.items()
                if name not in options and name != "timeout"
            },
            **options,
        )
        for _ in job.watch(timeout):
            if self._cancelled.is_set():
                # Again and again, until it is done: somebody was told that it would be.
                with suppress(BusyError):
                    self._stop(job)
        if self._cancelled.is_set() and not job.last.state.is_terminal:
            self._stop(job, timeout=TIMEOUT)
        job.require_success(timeout)
        if job.model is None:
            raise JobFailedError(
                f"job {job.name!r} has succeeded, and the vendor names no model: look at {job.id!r}",
                job_id=job.id,
                reason="no model",
            )
        self.model = job.model
        self._raise_if_cancelled(job)
        if job.base.serving[0] is not Serving.ON_DEMAND:
            return routed(str(self.model))
        # Costs nothing while idle, and lets the tuned LM answer at once.
        job.start_endpoint()
        if self._cancelled.is_set():
            job.stop_endpoint()
        self._raise_if_cancelled(job)
        return routed(job.endpoint().id)

    def _stop(self, job: Job, timeout: float = 0.0) -> None:
        """Keep the promise of `cancel`, and say so where it can't be kept."""
        try:
            job.cancel(timeout)
        except TunestackError as error:
            error.add_note(f"job {job.id} was to be cancelled, and may go on and be billed")
            raise

    def _raise_if_cancelled(self, job: Job) -> None:
        if self._cancelled.is_set():
            raise JobStoppedError(
                f"job {job.name!r} had succeeded before it could be stopped: "
                "its model is kept, and not deployed",
                job_id=job.id,
            )


def _status_of(job: Job) -> TrainingStatus:
    """Tell how a job stands that goes on, by its last observation."""
    waits = job.last.state is JobState.PENDING
    return TrainingStatus.pending if waits else TrainingStatus.running
