"""Check the gates of an evaluation with the values of its models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.evaluation import judge
from tunestack.evaluation.candidates import MODEL
from tunestack.evaluation.gate import OTHER_QUANTITIES, Gate, GateResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.evaluation.result import Comparison, ModelResult


def check_gate(
    gate: Gate,
    models: Sequence[ModelResult],
    comparisons: Sequence[Comparison],
    *,
    is_complete: bool,
) -> GateResult:
    """Check a gate; a part of an evaluation passes none."""
    if not is_complete:
        return GateResult(gate=gate.text, passed=False, detail="not all records were answered")
    results = {result.name: result for result in models}

    def value(quantity: str, name: str | None) -> float | None:
        if quantity == judge.METRIC:
            return _judge_share(comparisons, gate.model, is_other=name is not None)
        result = results[name or MODEL]
        if quantity not in OTHER_QUANTITIES:
            return result.values[quantity]
        if quantity == "cost":
            return result.cost_per_1000
        if quantity == "errors":
            return float(result.errors)
        return result.latency[quantity.removeprefix("latency_")]

    return gate.check(value)


def _judge_share(
    comparisons: Sequence[Comparison], other: str | None, *, is_other: bool
) -> float | None:
    """Return the share of records that a model wins against another one (by default the first one)."""
    found = (
        (1 + comparison.difference) / 2
        for comparison in comparisons
        if comparison.metric == judge.METRIC and other in (None, comparison.other)
    )
    share = next(found, None)
    return 1 - share if is_other and share is not None else share
