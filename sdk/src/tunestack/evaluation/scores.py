"""Compute the results from the answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunestack.evaluation import judge
from tunestack.evaluation.requests import answer_cost
from tunestack.evaluation.result import Comparison, ModelResult
from tunestack.evaluation.statistics import bootstrap, mean, paired_bootstrap, percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunestack.evaluation.candidates import Candidate
    from tunestack.evaluation.examples import Example
    from tunestack.evaluation.journal import Answer
    from tunestack.evaluation.metrics import Metric

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_MISSING = "(missing)"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A model with its answers, and the rows of each metric."""

    candidate: Candidate
    answers: Sequence[Answer]
    rows: Mapping[str, Sequence[Any]]


def score(
    candidate: Candidate,
    examples: Sequence[Example],
    answers: Sequence[Answer],
    metrics: Sequence[Metric],
) -> Scored:
    """Apply the metrics to all answers of a model."""
    pairs = list(zip(examples, answers, strict=True))
    rows = {metric.name: [metric.row(*pair) for pair in pairs] for metric in metrics}
    return Scored(candidate=candidate, answers=answers, rows=rows)


def model_result(
    scored: Scored,
    metrics: Sequence[Metric],
    *,
    groups: Sequence[str],
    resamples: int,
    seed: int,
) -> ModelResult:
    """Compute the results of one model.

    Args:
        scored: the model.
        metrics: the metrics.
        groups: the group of each record; empty for no breakdown.
        resamples: the number of resamples.
        seed: the random seed.
    """
    candidate, answers = scored.candidate, scored.answers
    answered = [answer for answer in answers if answer.error is None]
    seconds = [answer.seconds for answer in answered] or [0.0]
    has_tokens = all(answer.input_tokens is not None for answer in answered)
    cost = None
    if candidate.price is not None and answered and has_tokens:
        cost = 1000 * mean([answer_cost(candidate, answer) for answer in answered])
    labels = next((metric for metric in metrics if metric.confusion), None)
    return ModelResult(
        name=candidate.name,
        model=candidate.model,
        values={metric.name: metric.aggregate(scored.rows[metric.name]) for metric in metrics},
        intervals={
            metric.name: bootstrap(
                scored.rows[metric.name], metric.aggregate, resamples=resamples, seed=seed
            )
            for metric in metrics
        },
        latency={name: percentile(seconds, share) for name, share in _PERCENTILES.items()},
        input_tokens=sum(answer.input_tokens or 0 for answer in answers),
        output_tokens=sum(answer.output_tokens or 0 for answer in answers),
        cost_per_1000=cost,
        price=None if candidate.price is None else candidate.price.source,
        errors=len(answers) - len(answered),
        breakdown=_breakdown(scored, metrics, groups),
        confusion={} if labels is None else _confusion(scored.rows[labels.name]),
    )


def _breakdown(
    scored: Scored, metrics: Sequence[Metric], groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for group in sorted(set(groups)):
        chosen = [index for index, other in enumerate(groups) if other == group]
        found[group] = {
            "records": len(chosen),
            **{
                metric.name: metric.aggregate([scored.rows[metric.name][index] for index in chosen])
                for metric in metrics
            },
        }
    return found


def _confusion(rows: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (expected, predicted), number in sorted(Counter(rows).items()):
        found.setdefault(expected, {})[predicted] = number
    return found


def compare(
    scored: Scored, other: Scored, metrics: Sequence[Metric], *, resamples: int, seed: int
) -> list[Comparison]:
    """Compare two models by each metric."""
    return [
        Comparison(
            other=other.candidate.name,
            metric=metric.name,
            difference=metric.aggregate(scored.rows[metric.name])
            - metric.aggregate(other.rows[metric.name]),
            interval=paired_bootstrap(
                scored.rows[metric.name],
                other.rows[metric.name],
                metric.aggregate,
                resamples=resamples,
                seed=seed,
            ),
        )
        for metric in metrics
    ]


def compare_by_judge(
    other: str, scores: Sequence[float], *, resamples: int, seed: int
) -> Comparison:
    """Compare two models by the scores of a judge: the share of records that one wins, minus that of the other."""
    differences = [2 * score - 1 for score in scores]
    return Comparison(
        other=other,
        metric=judge.METRIC,
        difference=mean(differences),
        interval=bootstrap(differences, mean, resamples=resamples, seed=seed),
    )


def list_groups(examples: Sequence[Example], field: str | None) -> list[str]:
    """Return the value of a field of each record; `(missing)` if a record does not have it."""
    if field is None:
        return []
    return [str(example.record.get(field, _MISSING)) for example in examples]


def table(
    examples: Sequence[Example], scored: Sequence[Scored], metrics: Sequence[Metric]
) -> list[dict[str, Any]]:
    """Return one row for each record and model."""
    return [
        {
            "line": example.line,
            "model": model.candidate.name,
            "question": example.question,
            "expected": example.expected,
            "answer": answer.text,
            "tool_calls": [{"name": call.name, "input": call.input} for call in answer.tool_calls],
            **{metric.name: metric.score(model.rows[metric.name][index]) for metric in metrics},
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "seconds": answer.seconds,
            "cost": None if model.candidate.price is None else answer_cost(model.candidate, answer),
            "error": answer.error,
        }
        for index, example in enumerate(examples)
        for model in scored
        for answer in (model.answers[index],)
    ]
