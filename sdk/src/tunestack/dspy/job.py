"""DSPy's fine-tuning job: a future of the fine-tuned LM."""

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
from tunestack.dspy.arguments import to_submit_arguments
from tunestack.dspy.credentials import replace_credentials
from tunestack.dspy.lm_state import LMState, to_route
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

_FINAL_STATUSES = {
    JobState.SUCCEEDED: TrainingStatus.succeeded,
    JobState.STOPPED: TrainingStatus.cancelled,
    JobState.FAILED: TrainingStatus.failed,
}


class TuningJob(TrainingJob):
    """A fine-tuning job of DSPy: a future of the fine-tuned `dspy.LM`.

    `result()` waits for the fine-tuned LM, and raises the error of a failed job (one of `tunestack.errors`).

    Attributes:
        model: DSPy's name of the base model, and the fine-tuned model as soon as it exists (on Bedrock its ARN).
        job: the `tunestack.Job`, once it is submitted. Any process can attach to it with `job.id`.
        thread: submits and follows the job. It is a daemon: once the job is submitted, the process can exit and the job continues.
    """

    def __init__(
        self,
        *args: Any,
        tuner: Tuner | None = None,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Create the job of `dspy.LM.finetune`. The list and the dict that the caller passed are copied.

        Args:
            args: the arguments of `dspy.TrainingJob`.
            tuner: submits the job. Defaults to the tuner of the provider.
            settings: settings of the fine-tuned LM that replace those of the base LM.
            kwargs: the arguments of `dspy.TrainingJob`.
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
        self._halted = threading.Event()  # cancelled or ended: stops the wait for a free slot
        self._is_settled = threading.Event()  # submitted, or never going to be submitted
        if isinstance(self.train_data, list):
            self.train_data = list(self.train_data)
        if isinstance(self.train_kwargs, dict):
            self.train_kwargs = dict(self.train_kwargs)
        if self.thread is not None:
            # DSPy starts the thread later. The process can exit once the job is submitted, see `tunestack._utils.background`.
            self.thread.daemon = True
            background.add(self)

    @property
    def is_unsubmitted(self) -> bool:
        """Whether the job is not submitted yet."""
        has_thread = self.thread is None or self.thread.ident is not None
        return has_thread and not self.done() and not self._is_settled.is_set()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the fine-tuned LM and return it. After Ctrl-C, the job continues, and the log shows how to attach to it.

        Args:
            timeout: the seconds to wait; without a limit if not given.
        """
        with self._log_interrupt():
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end of the job and return its error, or `None`. After Ctrl-C, the job continues, as with `result`."""
        with self._log_interrupt():
            error: BaseException | None = super().exception(timeout)
            return error

    @contextmanager
    def _log_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            background.note_interrupt(self)
            raise

    def exit_message(self) -> str:
        """Return the message to log if the process exits now: whether the job continues, and how to attach to it."""
        if self.job is None:
            return (
                f"the fine-tuning of {self.model} is not submitted yet, nothing is billed: "
                "run the same code again to submit it"
            )
        return (
            f"job {self.job.name!r} continues without this process: attach to it with tunestack.Tuner().job({self.job.id!r}), "
            f"or run the same code again; `tunestack jobs watch {self.job.id}` follows it, "
            f"and `tunestack jobs cancel {self.job.id}` stops it"
        )

    def end(self) -> None:
        """Stop following the job: `result()` raises `JobTimeoutError` soon. The job itself continues, and is billed."""
        self._ended.set()
        self._halted.set()

    def status(self) -> TrainingStatus:
        """Return the status of the job: `succeeded` once `result()` returns immediately, with its endpoint ready.

        If the wait has failed and not the job (it took longer than `timeout`, or the credentials were rejected), this is the
        status of the job itself, and calling `finetune` again finds the job. If the status can't be read, it is the last known.
        """
        if not self.done():
            return self._status_of_unfinished()
        error = None if self.cancelled() else self.exception()
        if self.cancelled() or isinstance(error, JobStoppedError):
            return TrainingStatus.cancelled
        if error is None:
            return TrainingStatus.succeeded
        failed = isinstance(error, JobFailedError)
        if self.job is not None and self.model != self.job.info.model and not failed:
            # The wait has failed, not the job.
            self._refresh(self.job)
            return _FINAL_STATUSES.get(self.job.info.state) or _status_of(self.job)
        return TrainingStatus.failed

    def _status_of_unfinished(self) -> TrainingStatus:
        if self.job is None:
            return TrainingStatus.pending if self.running() else TrainingStatus.not_started
        self._refresh(self.job)
        # If the job has ended, it is still running for DSPy: the model is being deployed, or an error is about to be raised.
        return _status_of(self.job)

    def _refresh(self, job: Job) -> None:
        if not job.info.state.is_terminal:
            with suppress(ProviderError):
                job.refresh()

    def cancel(self) -> bool:
        """Stop the job. The training so far is billed, and no model is created.

        Returns:
            `True` if the job had not ended. If the service is too busy to stop it and the job is still followed, the stop is
            retried until it succeeds.
        """
        if not self.done():
            self._cancelled.set()
            self._halted.set()
            if super(TrainingJob, self).cancel() or self.job is None:
                return True
            with suppress(TransientError):
                return self.job.cancel()
            return True
        # The future may have failed, for example by a timeout, while the job continues.
        return self.job is not None and self.job.cancel()

    def start_endpoint(
        self,
        serving: ServingChoice = "auto",
        *,
        ttl: Duration | None = None,
        model_units: int = 1,
        unguarded: bool = False,
    ) -> str:
        """Start the endpoint of the fine-tuned model, wait until it is ready, and set the fine-tuned LM to invoke it.

        An existing endpoint is used. See `tunestack.Job.start_endpoint` for the arguments, costs and errors.

        Returns:
            The endpoint's name.
        """
        job = self._require_model()
        endpoint = job.start_endpoint(
            serving, ttl=ttl, model_units=model_units, unguarded=unguarded
        )
        self._set_lm_route(endpoint.id)
        return endpoint.name

    def stop_endpoint(self) -> None:
        """Stop the endpoint and wait until it is deleted. Does nothing if there is none."""
        job = self._require_model()
        job.stop_endpoint()
        self._set_lm_route(str(job.model))

    def endpoint(self) -> Endpoint:
        """Return the endpoint of the fine-tuned model.

        Raises:
            NotFoundError: the model has no endpoint.
            ConfigError: the job has no model yet.
        """
        return self._require_model().endpoint()

    def set_result(self, result: Any) -> None:
        """Set the result, unless the job is done. DSPy also calls this with an exception, and after a cancel or a failed check."""
        if self.done():
            return
        if isinstance(result, BaseException):
            self.set_exception(result)
            return
        if self.job is not None and self.job.model is not None:
            self._save_state(result, self.job)
        super().set_result(result)

    def _save_state(self, lm: dspy.LM, job: Job) -> None:
        """Save the state of the fine-tuned LM, in place of that of the base LM, which DSPy has copied."""
        replace_credentials(lm, self._settings)
        state = LMState.from_job(job, str(job.model), self.train_data or ())
        state.apply(lm, lm.model, as_base=self.keep_capabilities)

    def _require_model(self) -> Job:
        """Return the job, which has a model, even if the future has failed after the model was created."""
        if not self.done():
            raise ConfigError(
                f"the job is {self.status().value} and has no model yet: call job.result() first, "
                "which waits for it"
            )
        if self.job is not None and self.job.model is not None:
            return self.job
        if self.cancelled():
            raise JobStoppedError("the job was cancelled before it was submitted", job_id="")
        self.result()
        raise ConfigError("the job has no fine-tuned model: its result was set by another caller")

    def _set_lm_route(self, identifier: str) -> None:
        """Set the fine-tuned LM to invoke a model or an endpoint."""
        if self.exception() is None:
            lm = self.result()
            state = LMState.of(lm) or LMState.from_job(self._require_model(), str(self.model), ())
            state.apply(lm, to_route(identifier), as_base=self.keep_capabilities)

    def run(self, tuner: Tuner) -> str:
        """Submit the job, wait for it and deploy its model; runs in DSPy's thread.

        Returns:
            DSPy's name of the fine-tuned model.
        """
        if self.done() and not self.cancelled() and (error := super().exception()) is not None:
            raise error  # from the check in the caller's thread
        if not self.set_running_or_notify_cancel():
            raise JobStoppedError("the job was cancelled before it was submitted", job_id="")
        background.add(self)
        try:
            return self._run(self._tuner or tuner)
        except WaitInterrupted as error:
            raise JobTimeoutError(
                f"the wait was ended: {self.exit_message()}", job_id=self.job.id if self.job else ""
            ) from error
        finally:
            self._is_settled.set()

    def _run(self, tuner: Tuner) -> str:
        arguments, timeout = to_submit_arguments(self.train_kwargs)
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
            return self._wait_and_deploy(job, timeout)

    def _wait_and_deploy(self, job: Job, timeout: float) -> str:
        """Wait for the job and deploy its model."""
        for _ in job.watch(timeout):
            if self._cancelled.is_set():
                # Retry at each poll until it succeeds, as `cancel` documents.
                with suppress(TransientError):
                    self._stop(job)
        if self._cancelled.is_set() and not job.info.state.is_terminal:
            self._stop(job, timeout=TIMEOUT)
        job.require_success(timeout)
        if job.model is None:
            raise JobFailedError(
                f"job {job.name!r} has succeeded, but the provider returned no model: see job {job.id!r} at the provider",
                job_id=job.id,
                reason="no model",
            )
        self.model = job.model
        self._raise_if_cancelled(job)
        if job.base.serving[0] is not Serving.ON_DEMAND:
            return to_route(str(self.model))
        return self._deploy(job)

    def _deploy(self, job: Job) -> str:
        """Deploy the model, which costs nothing while idle. If this fails, a warning is logged: the job has succeeded.

        Returns:
            The route of the deployment, or of the model if it is not deployed.
        """
        try:
            job.start_endpoint()
            route = to_route(job.endpoint().id)
        except WaitInterrupted:
            raise
        except TunestackError as error:
            self._raise_if_cancelled(job)
            logger.warning(
                "job %s has succeeded, but its model %s is not deployed: %s. "
                "Deploy it later with lm.launch() or job.start_endpoint().%s",
                job.name,
                job.model,
                error,
                _quota_remedy(job) if isinstance(error, QuotaError) else "",
            )
            return to_route(str(self.model))
        if self._cancelled.is_set():
            job.stop_endpoint()
        self._raise_if_cancelled(job)
        return route

    def _stop(self, job: Job, timeout: float = 0.0) -> None:
        """Stop a cancelled job. If this fails, the error has a note that the job may go on."""
        try:
            job.cancel(timeout)
        except TunestackError as error:
            error.add_note(f"job {job.id} could not be cancelled, and may go on and be billed")
            raise

    def _raise_if_cancelled(self, job: Job) -> None:
        if self._cancelled.is_set():
            raise JobStoppedError(
                f"job {job.name!r} succeeded before it could be stopped: "
                "its model is kept, but not deployed",
                job_id=job.id,
            )


def _status_of(job: Job) -> TrainingStatus:
    """Return the last known status of a job that continues."""
    is_pending = job.info.state is JobState.PENDING
    return TrainingStatus.pending if is_pending else TrainingStatus.running


def _quota_remedy(job: Job) -> str:
    """Return the sentence that names the deployments that could be stopped to free a slot, the oldest first."""
    try:
        deployments = list(job.backend.endpoints(serving=Serving.ON_DEMAND))
    except ProviderError:
        return ""
    names = [info.name for info in reversed(deployments)]
    if not names:
        return ""
    return (
        " To free a slot, stop a deployment that is no longer used (`tunestack endpoints stop NAME`), "
        f"the oldest first: {', '.join(names)}"
    )
