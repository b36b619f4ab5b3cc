"""The results of a run's evaluation in the account: the values of its models, the best one, and its promotion."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from tunestack.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.backends.inference import ResultStore


@dataclass(frozen=True, kw_only=True)
class ModelEvaluation:
    """The result of one model of a run."""

    job: str
    """The name of its job."""
    model: str
    values: dict[str, float] = field(default_factory=dict)
    """The value of each metric, from 0 to 1."""
    others: dict[str, dict[str, float]] = field(default_factory=dict)
    """The values of the models that it was compared with, by their names."""
    gates: tuple[dict[str, Any], ...] = ()
    """The conditions: `gate`, `passed` and `detail`."""
    passed: bool = False
    evaluation: str | None = None
    """The id of the evaluation."""
    uri: str | None = None
    """The folder in S3 with the whole result."""
    error: str | None = None
    """Why it could not be evaluated."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run's evaluation."""

    metrics: tuple[str, ...]
    models: tuple[ModelEvaluation, ...]
    """The models of the jobs that have succeeded."""
    best: str | None
    """The job with the highest value of the first metric among the models that passed all conditions."""
    promotion: dict[str, Any] | None
    """The promotion of the best model; `None` if no model passed, or if none was to be promoted."""

    def lines(self) -> Iterator[str]:
        """Yield the result as lines of text."""
        for row in self.models:
            if row.error is not None:
                yield f"{row.job}: could not be evaluated: {row.error}"
                continue
            values = "  ".join(f"{name} {100 * value:.1f}" for name, value in row.values.items())
            others = "".join(
                f"  {name}: " + "  ".join(f"{100 * value:.1f}" for value in compared.values())
                for name, compared in row.others.items()
            )
            yield f"{row.job}: {values}{others}"
            for gate in row.gates:
                yield f"  {'passed' if gate['passed'] else 'failed'}: {gate['gate']}: {gate['detail']}"
        yield f"best: {self.best or 'none, because no model passed'}"
        if self.promotion is not None:
            yield f"promoted: endpoint {self.promotion['name']} serves it"
        else:
            yield "nothing was promoted"


def choose_best(
    results: Sequence[ModelEvaluation], metric: str, costs: Mapping[str, float | None]
) -> ModelEvaluation | None:
    """Return the best of the models that passed; of equal ones the one with the cheaper training, then the first."""

    def rank(row: ModelEvaluation) -> tuple[float, float]:
        cost = costs.get(row.job)
        return row.values[metric], -inf if cost is None else -cost

    return max((row for row in results if row.passed), key=rank, default=None)


def result_name(run: str, name: str) -> str:
    """Return the name of a file of a run, below the results of the stage."""
    return f"runs/{run}/{name}"


def model_name(job: str) -> str:
    """Return the name of the file with the result of a model."""
    return f"models/{job}.json"


def read_result(store: ResultStore, run: str) -> RunResult | None:
    """Read the result of a run's evaluation; `None` if there is none yet."""
    try:
        content = store.read_result(result_name(run, "result.json"))
    except NotFoundError:
        return None
    return msgspec.json.decode(content, type=RunResult)
