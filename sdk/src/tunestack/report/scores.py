"""The scores of an evaluation, as a report shows them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunestack.errors import ConfigError, shortened
from tunestack.spec.arguments import is_list_of

_EXPECTED = 'use {"data": "test.jsonl", "records": 100, "scores": {"accuracy": {"base": 0.61, "fine-tuned": 0.84}}}'


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A score of a model; with a confidence interval, if there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """The scores of models on the same data.

    Attributes:
        scores: by metric, then by model.
        data: what the models were evaluated on.
        records: the number of records.
        notes: sentences about the result, for example a test of significance.
    """

    scores: Mapping[str, Mapping[str, Score]]
    data: str | None = None
    records: int | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def models(self) -> list[str]:
        """The models, in the order in which the scores name them."""
        return list(dict.fromkeys(model for scores in self.scores.values() for model in scores))

    @classmethod
    def from_mapping(cls, value: object) -> Scores:
        """Read a result: that of `tunestack evaluate --json`, or `scores`, and optionally `data`, `records` and `notes`.

        A score is a number, or a mapping with `value`, and optionally `low` and `high`. Other keys are ignored.

        Raises:
            ConfigError: the value is no such mapping.
        """
        if isinstance(value, Mapping) and isinstance(value.get("models"), Sequence):
            value = _from_evaluate(value)
        scores = value.get("scores") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(scores, Mapping) or not scores:
            raise ConfigError(f"invalid evaluation {shortened(value)}: {_EXPECTED}")
        records = value.get("records")
        if not isinstance(records, int | None) or isinstance(records, bool):
            raise ConfigError(f"invalid records {shortened(records)} of an evaluation: {_EXPECTED}")
        return cls(
            scores={str(metric): _read_models(metric, models) for metric, models in scores.items()},
            data=None if value.get("data") is None else str(value["data"]),
            records=records,
            notes=_read_notes(value, "notes"),
        )


def _from_evaluate(result: Mapping[Any, Any]) -> dict[str, object]:
    """Return the result of `tunestack evaluate --json` as scores by metric."""
    scores: dict[str, dict[str, object]] = {}
    try:
        for model in result["models"]:
            for metric, value in model["values"].items():
                low, high = model.get("intervals", {}).get(metric) or (None, None)
                score = {"value": value, "low": low, "high": high}
                scores.setdefault(metric, {})[model["name"]] = score
        gates = [
            f"{'passed' if gate['passed'] else 'failed'}: {gate['gate']}: {gate['detail']}"
            for gate in result.get("gates") or ()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"invalid evaluation {shortened(dict(result))}: {_EXPECTED}") from error
    notes = [*_read_notes(result, "sentences"), *gates, *_read_notes(result, "notes")]
    return {"scores": scores, "records": result.get("records"), "notes": notes}


def _read_notes(result: Mapping[Any, Any], name: str) -> tuple[str, ...]:
    notes = result.get(name) or ()
    if isinstance(notes, str):
        return (notes,)
    if not is_list_of(notes, object):
        raise ConfigError(
            f"invalid {name} {shortened(notes)} of an evaluation: use a list of texts"
        )
    return tuple(map(str, notes))


def _read_models(metric: object, models: object) -> dict[str, Score]:
    if not isinstance(models, Mapping):
        raise ConfigError(f"invalid scores {shortened(models)} of {metric!r}: {_EXPECTED}")
    return {str(model): _read_score(metric, score) for model, score in models.items()}


def _read_score(metric: object, score: object) -> Score:
    parts = score if isinstance(score, Mapping) else {"value": score}
    value, low, high = (_read_number(parts.get(name)) for name in ("value", "low", "high"))
    has_invalid_limit = any(
        parts.get(name) is not None and limit is None
        for name, limit in (("low", low), ("high", high))
    )
    if value is None or has_invalid_limit:
        raise ConfigError(f"invalid score {shortened(score)} of {metric!r}: {_EXPECTED}")
    return Score(value=value, low=low, high=high)


def _read_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None
