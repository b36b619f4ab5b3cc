"""Fine-tuning on Amazon Bedrock from DSPy.

```python
lm = dspy.LM("bedrock/us.amazon.nova-micro-v1:0", provider=BedrockProvider())
job = lm.finetune(train_data, TrainDataFormat.CHAT, train_kwargs={"epochCount": 3})
tuned = job.result()  # waits; raises if the job fails
```

Written against dspy 3.3 and 3.4 (`dspy.clients.provider`, read 2026-11-22).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.catalog import Serving
from tunestack.errors import (
    BusyError,
    ConfigError,
    JobStoppedError,
    JobTimeoutError,
    MissingExtraError,
    TunestackError,
)
from tunestack.jobs import TIMEOUT
from tunestack.provider import JobState
from tunestack.tuner import Tuner
from tunestack.waiting import seconds

try:
    from dspy.clients.provider import Provider, TrainingJob
    from dspy.clients.utils_finetune import TrainDataFormat, TrainingStatus
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"DSPy is not installed ({error.name}): pip install 'tunestack[dspy]'"
    ) from error

if TYPE_CHECKING:
    from datetime import timedelta

    from tunestack.endpoints import Endpoint
    from tunestack.jobs import Job

__all__ = ["BedrockProvider", "BedrockTrainingJob", "TrainDataFormat"]

# What `train_kwargs` may hold beside hyperparameters: arguments of `Tuner.submit`.
_OPTIONS = (
    "ignore",
    "name",
    "on_loss",
    "record_format",
    "rerun",
    "s3_path",
    "tags",
    "validation_data",
)


_ENDS = {
    JobState.SUCCEEDED: TrainingStatus.succeeded,
    JobState.STOPPED: TrainingStatus.cancelled,
    JobState.FAILED: TrainingStatus.failed,
}


class BedrockTrainingJob(TrainingJob):
    """A fine-tuning job on Bedrock, as DSPy sees it: a future of the tuned `dspy.LM`.

    `result()` waits for the tuned LM and raises what went wrong (one of `tunestack.errors`).

    Attributes:
        model: the base model as DSPy calls it, and once there is one, the ARN of the tuned model.
        job: the job itself, once it is submitted; `job.id` attaches to it from anywhere.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `dspy.LM.finetune` passes; the caller may change its list and its dict afterwards."""
        super().__init__(*args, **kwargs)
        self.model: str | None
        self.train_data: Any
        self.train_kwargs: Any
        self.job: Job | None = None
        self._cancelled = threading.Event()
        if isinstance(self.train_data, list):
            self.train_data = list(self.train_data)
        if isinstance(self.train_kwargs, dict):
            self.train_kwargs = dict(self.train_kwargs)

    def status(self) -> TrainingStatus:
        """Tell how it stands; `succeeded` once `result()` returns at once, endpoint included."""
        if not self.done():
            return self._status_before_the_end()
        error = None if self.cancelled() else self.exception()
        if self.cancelled() or isinstance(error, JobStoppedError):
            return TrainingStatus.cancelled
        if isinstance(error, JobTimeoutError) and self.job is not None:
            # The wait was too short, and the job goes on or went on.
            return _ENDS.get(self.job.status()) or self._status_before_the_end()
        return TrainingStatus.succeeded if error is None else TrainingStatus.failed

    def _status_before_the_end(self) -> TrainingStatus:
        if self.job is None:
            return TrainingStatus.pending if self.running() else TrainingStatus.not_started
        state = self.job.last.state if self.job.last.state.is_terminal else self.job.status()
        # Running also when the job has ended and the future has not: it deploys the model or is about to raise.
        return TrainingStatus.pending if state is JobState.PENDING else TrainingStatus.running

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
        else:
            super().set_result(result)

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
        raise ConfigError("the job has a result that Bedrock did not give")

    def _let_lm_call(self, arn: str) -> None:
        if self.exception() is None:
            self.result().model = _route(arn)

    def _run(self, tuner: Tuner) -> str:
        """Submit, wait and deploy; runs in DSPy's thread."""
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
                    job.cancel()
        if self._cancelled.is_set() and not job.last.state.is_terminal:
            job.cancel(timeout=TIMEOUT)
        job.require_success(timeout)
        self.model = job.model
        self._raise_if_cancelled(job)
        if job.base.serving[0] is not Serving.ON_DEMAND:
            return _route(str(self.model))
        # Costs nothing while idle, and lets the tuned LM answer at once.
        job.start_endpoint()
        if self._cancelled.is_set():
            job.stop_endpoint()
        self._raise_if_cancelled(job)
        return _route(job.endpoint().id)

    def _raise_if_cancelled(self, job: Job) -> None:
        if self._cancelled.is_set():
            raise JobStoppedError(
                f"job {job.name!r} had succeeded before it could be stopped: "
                "its model is kept, and not deployed",
                job_id=job.id,
            )


class BedrockProvider(Provider):
    """DSPy's way to Bedrock: `dspy.LM("bedrock/...", provider=BedrockProvider())`.

    `train_kwargs` holds hyperparameters (`epochCount`, `batchSize`, `learningRate`, and each model's own); from
    `Tuner.submit`, `s3_path`, `validation_data`, `record_format`, `on_loss`, `ignore`, `name`, `tags` and `rerun`; and `timeout`, the seconds to wait.
    A tuned model that can be served on demand is deployed at the end of the job, for it costs nothing while idle;
    one that needs provisioned throughput answers after `job.start_endpoint()`.
    """

    def __init__(self, tuner: Tuner | None = None, **settings: Any) -> None:
        """Say where to work, as far as the environment does not.

        Args:
            tuner: does the work; made of `settings` if not given.
            settings: `stage`, `region`, `deployment`, `session`, `poll`: see `Tuner`.
        """
        super().__init__()
        if tuner is not None and settings:
            raise ConfigError(f"give a tuner, or {', '.join(settings)}, not both")
        self.finetunable = True
        self.TrainingJob = BedrockTrainingJob
        self._tuner = tuner or Tuner(**settings)

    @staticmethod
    def is_provider_model(model: str) -> bool:
        """Tell whether DSPy's name of a model is one of Bedrock's."""
        return model.startswith("bedrock/")

    # DSPy declares it static and calls it on the instance.
    def finetune(
        self,
        job: BedrockTrainingJob,
        model: str,  # noqa: ARG002 - what DSPy passes is what the job has
        train_data: list[dict[str, Any]],  # noqa: ARG002
        train_data_format: TrainDataFormat | str | None,  # noqa: ARG002
        train_kwargs: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> str:
        """Tune, and return what DSPy is to call the tuned model; called by `dspy.LM` in its thread."""
        try:
            return job._run(self._tuner)  # noqa: SLF001 - the two are one
        except Exception:
            raise
        except BaseException as error:
            # DSPy catches less: the future would never end.
            raise TunestackError(f"training ended by {type(error).__name__}") from error

    def __deepcopy__(self, _memo: object) -> BedrockProvider:
        """Stay the same: programs are copied with their LMs, and clients can't be."""
        return self


def _route(arn: str) -> str:
    # The one form that litellm routes rightly for every kind of ARN.
    return f"bedrock/converse/{arn}"
