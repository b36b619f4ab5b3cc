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
from typing import TYPE_CHECKING, Any

from dspy.clients.provider import Provider, TrainingJob
from dspy.clients.utils_finetune import TrainDataFormat, TrainingStatus

from tunestack.catalog import Serving
from tunestack.errors import ConfigError, JobStoppedError
from tunestack.provider import JobState
from tunestack.tuner import Tuner

if TYPE_CHECKING:
    from datetime import timedelta

    from tunestack.endpoints import Endpoint
    from tunestack.jobs import Job

__all__ = ["BedrockProvider", "BedrockTrainingJob", "TrainDataFormat"]

# What `train_kwargs` may hold beside hyperparameters: arguments of `Tuner.submit`.
_OPTIONS = ("name", "rerun", "s3_path", "tags", "validation_data")


class BedrockTrainingJob(TrainingJob):
    """A fine-tuning job on Bedrock, as DSPy sees it: a future of the tuned `dspy.LM`.

    `result()` waits for the tuned LM and raises what went wrong (one of `tunestack.errors`).

    Attributes:
        model: the base model as DSPy calls it, and once there is one, the ARN of the tuned model.
        job: the job itself, once it is submitted; `job.id` attaches to it from anywhere.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `dspy.LM.finetune` passes."""
        super().__init__(*args, **kwargs)
        self.model: str | None
        self.job: Job | None = None
        self._cancelled = threading.Event()

    def status(self) -> TrainingStatus:
        """Tell how it stands; `succeeded` once `result()` returns at once, endpoint included."""
        if self.done():
            if self.cancelled() or isinstance(self.exception(), JobStoppedError):
                return TrainingStatus.cancelled
            return TrainingStatus.failed if self.exception() else TrainingStatus.succeeded
        if self.job is None:
            return TrainingStatus.pending if self.running() else TrainingStatus.not_started
        state = self.job.status()
        if state is JobState.PENDING:
            return TrainingStatus.pending
        # Also when the job has ended: the future has not, it deploys the model or is about to raise.
        return TrainingStatus.running

    def cancel(self) -> bool:
        """Stop the job for good; what it has trained is billed, and no model comes of it.

        Returns:
            Whether there was anything to stop.
        """
        self._cancelled.set()
        if super(TrainingJob, self).cancel():
            return True
        if self.done():
            return False
        return True if self.job is None else self.job.cancel()

    def start_endpoint(
        self, serving: str = "auto", *, ttl: timedelta | None = None, model_units: int = 1
    ) -> str:
        """Start the endpoint of the tuned model, wait until it answers, and let the tuned LM use it.

        See `tunestack.Job.start_endpoint` for what it costs; one that there is, is kept.

        Returns:
            The endpoint's name.
        """
        job = self._finished()
        name = job.start_endpoint(serving, ttl=ttl, model_units=model_units)
        self.result().model = _route(job.endpoint().id)
        return name

    def stop_endpoint(self) -> None:
        """Stop the endpoint and wait until it is gone; fine when there is none."""
        job = self._finished()
        job.stop_endpoint()
        self.result().model = _route(str(job.model))

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
        if not self.done():
            raise ConfigError(
                f"the job is {self.status().value} and has no model yet: call job.result() first, "
                "it waits"
            )
        self.result()
        if self.job is None:
            raise ConfigError("the job has a result that Bedrock did not give")
        return self.job

    def _run(self, tuner: Tuner) -> str:
        """Submit, wait and deploy; runs in DSPy's thread."""
        if not self.set_running_or_notify_cancel():
            raise JobStoppedError("the job was cancelled before it was submitted", job_id="")
        options = {name: self.train_kwargs[name] for name in _OPTIONS if name in self.train_kwargs}
        self.job = tuner.submit(
            str(self.model),
            self.train_data or (),
            data_format=self.train_data_format and TrainDataFormat(self.train_data_format).value,
            hyperparameters={
                name: value for name, value in self.train_kwargs.items() if name not in options
            },
            **options,
        )
        if self._cancelled.is_set():
            # Cancelled before there was a job to stop.
            self.job.cancel()
        self.job.wait()
        self.model = self.job.model
        if self.job.base.serving[0] is not Serving.ON_DEMAND:
            return _route(str(self.model))
        # Costs nothing while idle, and lets the tuned LM answer at once.
        self.job.start_endpoint()
        return _route(self.job.endpoint().id)


class BedrockProvider(Provider):
    """DSPy's way to Bedrock: `dspy.LM("bedrock/...", provider=BedrockProvider())`.

    `train_kwargs` holds hyperparameters (`epochCount`, `batchSize`, `learningRate`, and each model's own) and, from
    `Tuner.submit`, `s3_path`, `validation_data`, `name`, `tags` and `rerun`.
    A tuned model that can be served on demand is deployed at the end of the job, for it costs nothing while idle;
    one that needs provisioned throughput answers after `job.start_endpoint()`.
    """

    def __init__(self, tuner: Tuner | None = None, **settings: Any) -> None:
        """Say where to work, as far as the environment does not.

        Args:
            tuner: does the work; made of `settings` on first use if not given.
            settings: `stage`, `region`, `deployment`, `session`, `poll`: see `Tuner`.
        """
        super().__init__()
        self.finetunable = True
        self.TrainingJob = BedrockTrainingJob
        self._tuner = tuner
        self._settings = settings
        self._lock = threading.Lock()

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
        with self._lock:
            self._tuner = self._tuner or Tuner(**self._settings)
        return job._run(self._tuner)  # noqa: SLF001 - the two are one

    def __deepcopy__(self, _memo: object) -> BedrockProvider:
        """Stay the same: programs are copied with their LMs, and clients can't be."""
        return self


def _route(arn: str) -> str:
    # The one form that litellm routes rightly for every kind of ARN.
    return f"bedrock/converse/{arn}"
