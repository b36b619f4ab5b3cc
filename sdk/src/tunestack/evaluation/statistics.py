"""Bootstrap confidence intervals and percentiles, without numpy.

The records of the held-out set are drawn with replacement, as often as it has records, and the statistic is computed again for
each draw. The interval is between the percentiles of the results. In a comparison, the same draw is used for both models (a
paired bootstrap), because both answered the same questions: easy and hard records cancel out.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; for the comparison of systems: Koehn,
Statistical Significance Tests for Machine Translation Evaluation (2004).
"""

from __future__ import annotations

import random
from math import fsum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEVEL = 0.95
"""The confidence level of the intervals."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return fsum(values) / len(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, interpolated linearly between the two nearest values.

    Args:
        values: at least one value.
        share: from 0 to 1.
    """
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    index = int(position)
    rest = position - index
    if not rest:
        return ordered[index]
    return ordered[index] + rest * (ordered[index + 1] - ordered[index])


def bootstrap(
    rows: Sequence[Any],
    aggregate: Callable[[Sequence[Any]], float],
    *,
    resamples: int,
    seed: int,
) -> Interval:
    """Return the confidence interval of a statistic of the rows of a metric."""
    draw = random.Random(seed).choices  # noqa: S311 - reproducible, not secret
    return _interval([aggregate(draw(rows, k=len(rows))) for _ in range(resamples)])


def paired_bootstrap(
    rows: Sequence[Any],
    other: Sequence[Any],
    aggregate: Callable[[Sequence[Any]], float],
    *,
    resamples: int,
    seed: int,
) -> Interval:
    """Return the confidence interval of the difference of a statistic between two models.

    Args:
        rows: the rows of a metric for one model.
        other: the rows for the other model, of the same records in the same order.
        aggregate: computes the statistic.
        resamples: how often the records are drawn.
        seed: the random seed; the same seed and rows give the same interval.
    """
    if aggregate is mean:
        # The difference of the means is the mean of the differences.
        differences = [one - two for one, two in zip(rows, other, strict=True)]
        return bootstrap(differences, mean, resamples=resamples, seed=seed)
    draw = random.Random(seed).choices  # noqa: S311 - reproducible, not secret
    pairs = list(zip(rows, other, strict=True))
    results = []
    for _ in range(resamples):
        drawn, drawn_other = zip(*draw(pairs, k=len(pairs)), strict=True)
        results.append(aggregate(drawn) - aggregate(drawn_other))
    return _interval(results)


def _interval(results: Sequence[float]) -> Interval:
    outside = (1 - LEVEL) / 2
    return Interval(percentile(results, outside), percentile(results, 1 - outside))
