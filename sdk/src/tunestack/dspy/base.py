"""What DSPy's providers for Bedrock and for OpenAI have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspy.clients.provider import Provider

from tunestack.dspy.arguments import submit_arguments
from tunestack.dspy.credentials import lm_of
from tunestack.dspy.job import TuningJob
from tunestack.errors import ConfigError, TunestackError
from tunestack.tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dspy
    from dspy.clients.utils_finetune import TrainDataFormat


class _ClassGivenError(ConfigError, AttributeError):
    """A provider's class was passed where an instance is needed."""


class _OfInstances:
    """An attribute that instances set: reading it from the class is an error that says what to pass."""

    def __get__(self, instance: object, owner: type) -> bool:
        raise _ClassGivenError(
            f"provider={owner.__name__} is a class: pass an instance, provider={owner.__name__}()"
        )


class TunestackProvider(Provider):
    """What both have in common: submit in DSPy's thread, and be copied and saved with programs."""

    finetunable = _OfInstances()

    def __init__(self, tuner: Tuner | None = None, **settings: Any) -> None:
        super().__init__()
        if tuner is not None and settings:
            raise ConfigError(f"give a tuner, or {', '.join(settings)}, not both")
        self.finetunable = True
        self.TrainingJob: Any = self._new_job
        self._tuner = tuner or Tuner(**settings)

    def check(self, lm: dspy.LM, train_kwargs: Mapping[str, Any] | None = None) -> None:
        """Check what can be known of fine-tuning an LM without data; see `Tuner.check`. Nothing is billed.

        Args:
            lm: the base LM.
            train_kwargs: as of `lm.finetune`; the LM's own if not given.

        Raises:
            ConfigError: the model can't be fine-tuned, or an argument is invalid; see `Tuner.check`.
            QuotaError: the account may run no jobs.
        """
        self._check(self._tuner_of(lm), model_of(lm), train_kwargs or lm.train_kwargs)

    def _check(self, tuner: Tuner, model: str, train_kwargs: object) -> None:
        tuner.check(model, **submit_arguments(train_kwargs)[0])

    def _new_job(self, **given: Any) -> TuningJob:
        """Make the job of `dspy.LM.finetune`, in the caller's thread: it uses the environment and the credentials of now.

        What can be checked without the data is checked at once: a job that would fail has failed when `finetune` returns, and
        its `result()` raises.
        """
        model, train_kwargs = str(given.get("model")), given.get("train_kwargs")
        failed: TunestackError | None = None
        tuner = self._tuner
        try:
            # The one place where the tuner of a job is decided on.
            tuner = self._tuner_of(lm_of(given.get("thread"))).bind(model)
            self._check(tuner, model, train_kwargs)
        except TunestackError as error:
            failed = error
        job = TuningJob(tuner=tuner, settings=self._lm_settings, **given)
        if failed is not None:
            job.set_exception(failed)
        return job

    def _tuner_of(self, lm: dspy.LM | None) -> Tuner:
        """Return the tuner that fine-tunes an LM, by credentials that the LM may have of its own."""
        raise NotImplementedError

    @property
    def _lm_settings(self) -> dict[str, str]:
        """What a fine-tuned LM calls with, in place of the settings of the base LM."""
        return {}

    # DSPy declares it static and calls it on the instance.
    def finetune(
        self,
        job: TuningJob,
        model: str,  # noqa: ARG002 - what DSPy passes is what the job has
        train_data: list[dict[str, Any]],  # noqa: ARG002
        train_data_format: TrainDataFormat | str | None,  # noqa: ARG002
        train_kwargs: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> str:
        """Tune, and return what DSPy is to call the tuned model; called by `dspy.LM` in its thread."""
        try:
            return job.run(self._tuner)
        except Exception:
            raise
        except BaseException as error:
            # DSPy catches less: the future would never end.
            raise TunestackError(f"training ended by {type(error).__name__}") from error

    def __copy__(self) -> Provider:
        """Stay the same."""
        return self

    def __deepcopy__(self, _memo: object) -> Provider:
        """Stay the same: programs are copied with their LMs, and clients can't be."""
        return self


def model_of(lm: dspy.LM) -> str:
    """Return the model that `dspy.LM.finetune` fine-tunes."""
    return str(lm.finetuning_model or lm.model)
