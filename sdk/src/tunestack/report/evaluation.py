"""An evaluation result, as a report shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXPECTED = 'use {"data": "test.jsonl", "records": 100, "scores": {"accuracy": {"base": 0.61, "fine-tuned": 0.84}}}'


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A score of a model; with a confidence interval, if there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
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
    def from_mapping(cls, value: object) -> Evaluation:
        """Read a result: `scores`, and optionally `data`, `records` and `notes`; other keys are ignored.

        A score is a number, or a mapping with `value`, and optionally `low` and `high`.

        Raises:
            ConfigError: the value is no such mapping.
        """
        scores = value.get("scores") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(scores, Mapping) or not scores:
            raise ConfigError(f"invalid evaluation {shortened(value)}: {_EXPECTED}")
        records, notes = value.get("records"), value.get("notes") or ()
        if not isinstance(records, int | None) or isinstance(records, bool):
            raise ConfigError(f"invalid records {shortened(records)} of an evaluation: {_EXPECTED}")
        return cls(
            scores={str(metric): _read_models(metric, models) for metric, models in scores.items()},
            data=None if value.get("data") is None else str(value["data"]),
            records=records,
            notes=(notes,) if isinstance(notes, str) else tuple(map(str, notes)),
        )


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
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
