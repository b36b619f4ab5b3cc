"""The part of `Job` for evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Unpack

from tunestack.errors import ConfigError
from tunestack.jobs.details import JobDetails

if TYPE_CHECKING:
    from tunestack.backends.base import JobInfo
    from tunestack.backends.protocols import Backend
    from tunestack.evaluation.result import Evaluation
    from tunestack.evaluation.spec import EvaluateArguments
    from tunestack.polling import Poll
    from tunestack.records.source import Source


class Evaluate(Protocol):
    """`Tuner.evaluate`."""

    def __call__(
        self, data: Source, model: str, **arguments: Unpack[EvaluateArguments]
    ) -> Evaluation:
        """Evaluate a model."""
        ...


class JobEvaluation(JobDetails):
    """A job whose model can be evaluated."""

    def __init__(
        self, backend: Backend, info: JobInfo, *, poll: Poll, evaluate: Evaluate | None
    ) -> None:
        """Store the observation, and the function of the tuner."""
        super().__init__(backend, info, poll=poll)
        self._evaluate = evaluate

    def evaluate(self, data: Source, **arguments: Unpack[EvaluateArguments]) -> Evaluation:
        """Evaluate the fine-tuned model on a held-out set; the arguments are those of `Tuner.evaluate`.

        Example:
            job.evaluate("test.jsonl", against=["base"], metrics=["exact_match"], start_endpoint=True)

        Raises:
            StateError: the job has no model (yet).
        """
        if self._evaluate is None:
            raise ConfigError("this job has no tuner: get it with tuner.job(id)")
        return self._evaluate(data, self.id, **arguments)
