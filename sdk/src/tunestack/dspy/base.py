"""The common base class of DSPy's providers for Bedrock and for OpenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspy.clients.provider import Provider

from tunestack.dspy.arguments import to_submit_arguments
from tunestack.dspy.credentials import lm_of_thread
from tunestack.dspy.job import TuningJob
from tunestack.errors import ConfigError, TunestackError
from tunestack.tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dspy
    from dspy.clients.utils_finetune import TrainDataFormat


class _ProviderClassError(ConfigError, AttributeError):
    """The class of a provider was passed instead of an instance."""


class _InstanceAttribute:
    """An attribute that only instances have. Reading it from the class raises an error with the fix."""

    def __get__(self, instance: object, owner: type) -> bool:
        raise _ProviderClassError(
            f"provider={owner.__name__} is a class: pass an instance, provider={owner.__name__}()"
        )


class TunestackProvider(Provider):
    """The common base class: runs jobs in DSPy's thread, and can be copied and saved with programs."""

    finetunable = _InstanceAttribute()

    def __init__(self, tuner: Tuner | None = None, **settings: Any) -> None:
        super().__init__()
        if tuner is not None and settings:
            raise ConfigError(f"give a tuner, or {', '.join(settings)}, not both")
        self.finetunable = True
        self.TrainingJob: Any = self._create_job
        self._tuner = tuner or Tuner(**settings)

    def check(self, lm: dspy.LM, train_kwargs: Mapping[str, Any] | None = None) -> None:
        """Check everything about the fine-tuning of an LM that does not depend on data. Nothing is created or billed.

        See `Tuner.check`.

        Args:
            lm: the base LM.
            train_kwargs: as in `lm.finetune`. Defaults to the LM's own.

        Raises:
            ConfigError: the model can't be fine-tuned, or an argument is invalid.
            QuotaError: the account's quota allows no jobs.
        """
        self._check(self.tuner_for(lm), model_to_finetune(lm), train_kwargs or lm.train_kwargs)

    def _check(self, tuner: Tuner, model: str, train_kwargs: object) -> None:
        tuner.check(model, **to_submit_arguments(train_kwargs)[0])

    def _create_job(self, **job_arguments: Any) -> TuningJob:
        """Create the job of `dspy.LM.finetune`, in the caller's thread, with the current environment and credentials.

        Checks everything that does not depend on the data. If a check fails, the job has failed when `finetune` returns, and
        its `result()` raises.
        """
        model, train_kwargs = str(job_arguments.get("model")), job_arguments.get("train_kwargs")
        check_error: TunestackError | None = None
        tuner = self._tuner
        try:
            # The only place that chooses the tuner of a job.
            tuner = self.tuner_for(lm_of_thread(job_arguments.get("thread"))).bind(model)
            self._check(tuner, model, train_kwargs)
        except TunestackError as error:
            check_error = error
        job = TuningJob(tuner=tuner, settings=self._fine_tuned_lm_settings, **job_arguments)
        if check_error is not None:
            job.set_exception(check_error)
        return job

    def tuner_for(self, lm: dspy.LM | None) -> Tuner:
        """Return the tuner that fine-tunes an LM, with the LM's own credentials if it has any."""
        raise NotImplementedError

    @property
    def _fine_tuned_lm_settings(self) -> dict[str, str]:
        """The settings of a fine-tuned LM that replace those of its base LM."""
        return {}

    # DSPy declares this method static, and calls it on the instance.
    def finetune(
        self,
        job: TuningJob,
        model: str,  # noqa: ARG002 - the job has the same arguments
        train_data: list[dict[str, Any]],  # noqa: ARG002
        train_data_format: TrainDataFormat | str | None,  # noqa: ARG002
        train_kwargs: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> str:
        """Fine-tune, and return DSPy's name of the fine-tuned model. `dspy.LM` calls this in its thread."""
        try:
            return job.run(self._tuner)
        except Exception:
            raise
        except BaseException as error:
            # DSPy catches only Exception: without this, the future would never be done.
            raise TunestackError(
                f"fine-tuning was interrupted by {type(error).__name__}"
            ) from error

    def __copy__(self) -> Provider:
        """Return the provider itself."""
        return self

    def __deepcopy__(self, _memo: object) -> Provider:
        """Return the provider itself: DSPy copies programs with their LMs, and clients can't be copied."""
        return self


def model_to_finetune(lm: dspy.LM) -> str:
    """Return the model that `dspy.LM.finetune` fine-tunes."""
    return str(lm.finetuning_model or lm.model)
