"""A fine-tuning job as DSPy sees it."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dspy.clients.provider import TrainingJob
from dspy.clients.utils_finetune import TrainingStatus

from tunestack._utils import background
from tunestack.backends.base import JobState
from tunestack.catalog import Serving
from tunestack.dspy import kept
from tunestack.dspy.arguments import submit_arguments
from tunestack.dspy.credentials import use
from tunestack.dspy.kept import routed
from tunestack.errors import (
    ConfigError,
    JobFailedError,
    JobStoppedError,
    JobTimeoutError,
    ProviderError,
    QuotaError,
    TransientError,
    TunestackError,
)
from tunestack.jobs.job import TIMEOUT
from tunestack.polling import WaitInterrupted, interruptible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import dspy

    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.endpoints.start import ServingChoice
    from tunestack.jobs.job import Job
    from tunestack.polling import Duration
    from tunestack.tuner import Tuner

logger = logging.getLogger(__name__)

_ENDS = {
    JobState.SUCCEEDED: TrainingStatus.succeeded,
    JobState.STOPPED: TrainingStatus.cancelled,
    JobState.FAILED: TrainingStatus.failed,
}


class TuningJob(TrainingJob):
    """A fine-tuning job, as DSPy sees it: a future of the fine-tuned `dspy.LM`.

    `result()` waits for the fine-tuned LM and raises what went wrong (one of `tunestack.errors`).

    Attributes:
        model: the base model as DSPy calls it, and the fine-tuned model as soon as it exists (on Bedrock its ARN).
        job: the job itself, once it is submitted; `job.id` attaches to it from anywhere.
        thread: submits and follows the job. It is a daemon: once the job is submitted, the process may end, and the job goes on.
    """

    def __init__(
        self,
        *args: Any,
        tuner: Tuner | None = None,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take what `dspy.LM.finetune` passes; the caller may change its list and its dict afterwards.

        Args:
            args: DSPy's.
            tuner: submits the job, by the environment and the credentials of now; the provider's if not given.
            settings: what the fine-tuned LM calls with, in place of the base LM's.
            kwargs: DSPy's.
        """
        super().__init__(*args, **kwargs)
        self.model: str | None
        self.train_data: Any
        self.train_kwargs: Any
        self.job: Job | None = None
        self.keep_capabilities = False
        self._tuner = tuner
        self._settings = dict(settings or {})
        self._cancelled = threading.Event()
        self._ended = threading.Event()
        self._halted = threading.Event()  # cancelled or ended: no need to wait for a free slot
        self._is_settled = threading.Event()  # submitted, or it never will be
        if isinstance(self.train_data, list):
            self.train_data = list(self.train_data)
        if isinstance(self.train_kwargs, dict):
            self.train_kwargs = dict(self.train_kwargs)
        if self.thread is not None:
            # DSPy starts it after this; a process may end once the job is submitted, see `tunestack._utils.background`.
            self.thread.daemon = True
            background.add(self)

    @property
    def is_unsubmitted(self) -> bool:
        """Whether a thread is about to create the job."""
        has_thread = self.thread is None or self.thread.ident is not None
        return has_thread and not self.done() and not self._is_settled.is_set()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the fine-tuned LM; after Ctrl-C, the job goes on, and the log says how to attach to it."""
        with self._logged_interrupt():
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return what went wrong; after Ctrl-C, as `result`."""
        with self._logged_interrupt():
            error: BaseException | None = super().exception(timeout)
            return error

    @contextmanager
    def _logged_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            background.note_interrupt(self)
            raise

    def left(self) -> str:
        """Return what becomes of the job when the process ends now, and how to get back to it."""
        if self.job is None:
            return f"the fine-tuning of {self.model} is not submitted yet, nothing is billed: run the same again to submit it"
        return (
            f"job {self.job.name!r} goes on without this process: attach to it with tunestack.Tuner().job({self.job.id!r}), "
            f"or run the same again; `tunestack job watch {self.job.id}` follows it, and `tunestack job cancel` stops it"
        )

    def end(self) -> None:
        """Stop to follow the job soon: `result()` then raises `JobTimeoutError`. The job itself goes on, and is billed."""
        self._ended.set()
        self._halted.set()

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
        if self.job is not None and self.model != self.job.info.model and not failed:
            # The wait went wrong, and not the job: it goes on, or went on.
            self._look(self.job)
            return _ENDS.get(self.job.info.state) or _status_of(self.job)
        return TrainingStatus.failed

    def _status_before_the_end(self) -> TrainingStatus:
        if self.job is None:
            return TrainingStatus.pending if self.running() else TrainingStatus.not_started
        self._look(self.job)
        # Running also when the job has ended and the future has not: it deploys the model or is about to raise.
        return _status_of(self.job)

    def _look(self, job: Job) -> None:
        if not job.info.state.is_terminal:
            with suppress(ProviderError):
                job.refresh()

    def cancel(self) -> bool:
        """Stop the job for good; what it has trained is billed, and no model comes of it.

        Returns:
            Whether there was anything to stop. While `result()` is still waited for, a stop that the service is too
            busy for is tried again until it is done.
        """
        if not self.done():
            self._cancelled.set()
            self._halted.set()
            if super(TrainingJob, self).cancel() or self.job is None:
                return True
            with suppress(TransientError):
                return self.job.cancel()
            return True
        # The future may have failed, say by a timeout, with the job going on.
        return self.job is not None and self.job.cancel()

    def start_endpoint(
        self,
        serving: ServingChoice = "auto",
        *,
        ttl: Duration | None = None,
        model_units: int = 1,
        unguarded: bool = False,
    ) -> str:
        """Start the endpoint of the tuned model, wait until it answers, and let the tuned LM use it.

        See `tunestack.Job.start_endpoint` for what it costs; one that there is, is kept.

        Returns:
            The endpoint's name.
        """
        job = self._finished()
        endpoint = job.start_endpoint(
            serving, ttl=ttl, model_units=model_units, unguarded=unguarded
        )
        self._let_lm_call(endpoint.id)
        return endpoint.name

    def stop_endpoint(self) -> None:
        """Stop the endpoint and wait until it is gone; fine when there is none."""
        job = self._finished()
        job.stop_endpoint()
        self._let_lm_call(str(job.model))

    def endpoint(self) -> Endpoint:
        """Return the endpoint of the tuned model; `ConfigError` when there is none."""
        return self._finished().endpoint()

    def set_result(self, result: Any) -> None:
        """Keep what DSPy sets: it also calls this with an exception, after a cancel, and after a failed check."""
        if self.done():
            return
        if isinstance(result, BaseException):
            self.set_exception(result)
            return
        if self.job is not None and self.job.model is not None:
            self._keep(result, self.job)
        super().set_result(result)

    def _keep(self, lm: dspy.LM, job: Job) -> None:
        """Save with the fine-tuned LM where it comes from; DSPy has copied to it what was kept with the base LM."""
        use(lm, self._settings)
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
        """Submit, wait and deploy; runs in DSPy's thread. Returns what DSPy is to call the fine-tuned model."""
        if self.done() and not self.cancelled() and (failed := super().exception()) is not None:
            raise failed  # it was checked before
        if not self.set_running_or_notify_cancel():
            raise JobStoppedError("the job was cancelled before it was submitted", job_id="")
        background.add(self)
        try:
            return self._run(self._tuner or tuner)
        except WaitInterrupted as error:
            raise JobTimeoutError(
                f"the wait was ended: {self.left()}", job_id=self.job.id if self.job else ""
            ) from error
        finally:
            self._is_settled.set()

    def _run(self, tuner: Tuner) -> str:
        arguments, timeout = submit_arguments(self.train_kwargs)
        arguments["data_format"] = getattr(self.train_data_format, "value", self.train_data_format)
        try:
            with interruptible(self._halted):
                job = self.job = tuner.submit(
                    str(self.model),
                    () if self.train_data is None else self.train_data,
                    **arguments,
                )
        except WaitInterrupted as error:
            if not self._cancelled.is_set():
                raise
            raise JobStoppedError(
                "the job was cancelled while it waited for a free slot: nothing was submitted",
                job_id="",
            ) from error
        self._is_settled.set()
        with interruptible(self._ended):
            return self._followed(job, timeout)

    def _followed(self, job: Job, timeout: float) -> str:
        """Wait for the job and deploy its model."""
        for _ in job.watch(timeout):
            if self._cancelled.is_set():
                # Again and again, until it is done: the caller of `cancel` was promised that.
                with suppress(TransientError):
                    self._stop(job)
        if self._cancelled.is_set() and not job.info.state.is_terminal:
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
        return self._deployed(job)

    def _deployed(self, job: Job) -> str:
        """Deploy the model, which costs nothing while idle; where that fails, the paid job has still succeeded.

        Returns:
            What DSPy is to call: the deployment, or the model itself, to be deployed later.
        """
        try:
            job.start_endpoint()
            route = routed(job.endpoint().id)
        except WaitInterrupted:
            raise
        except TunestackError as error:
            self._raise_if_cancelled(job)
            logger.warning(
                "job %s has succeeded, and its model %s is not deployed: %s. "
                "Deploy it later with lm.launch() or job.start_endpoint().%s",
                job.name,
                job.model,
                error,
                _deployments(job) if isinstance(error, QuotaError) else "",
            )
            return routed(str(self.model))
        if self._cancelled.is_set():
            job.stop_endpoint()
        self._raise_if_cancelled(job)
        return route

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
    waits = job.info.state is JobState.PENDING
    return TrainingStatus.pending if waits else TrainingStatus.running


def _deployments(job: Job) -> str:
    """Name the deployments that could be stopped to free a slot, the oldest first."""
    try:
        found = list(job.backend.endpoints(serving=Serving.ON_DEMAND))
    except ProviderError:
        return ""
    names = [info.name for info in reversed(found)]
    if not names:
        return ""
    return (
        " To free a slot, stop a deployment that is not used any more (`tunestack endpoint stop NAME`), "
        f"the oldest first: {', '.join(names)}"
    )
