"""Compare DSPy programs with confidence intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dspy

from tunestack.errors import ConfigError
from tunestack.evaluation.result import Comparison
from tunestack.evaluation.statistics import mean, paired_bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_METRIC = "metric"


def compare(
    programs: Mapping[str, dspy.Module],
    *,
    devset: Sequence[dspy.Example],
    metric: Callable[..., Any],
    resamples: int = 2000,
    seed: int = 0,
    **arguments: Any,
) -> list[Comparison]:
    """Run `dspy.Evaluate` on programs, and compare the first with each other one.

    Args:
        programs: the programs by name, the one to evaluate first.
        devset: the held-out examples.
        metric: a DSPy metric.
        resamples: the number of resamples for the confidence intervals.
        seed: the random seed of the resamples.
        arguments: the other arguments of `dspy.Evaluate`, such as `num_threads`.

    Returns:
        A comparison with each other program. The difference is between means of the metric, not percentages.

    Raises:
        ConfigError: there are fewer than two programs, or no examples.
    """
    if len(programs) < 2 or not devset:
        raise ConfigError("a comparison needs at least two programs, and examples")
    evaluate = dspy.Evaluate(
        devset=list(devset), metric=metric, **{"display_progress": False, **arguments}
    )
    scores = {
        name: [float(score) for _, _, score in evaluate(program).results]
        for name, program in programs.items()
    }
    first, *others = scores
    return [
        Comparison(
            other=name,
            metric=getattr(metric, "__name__", _METRIC),
            difference=mean(scores[first]) - mean(scores[name]),
            interval=paired_bootstrap(
                scores[first], scores[name], mean, resamples=resamples, seed=seed
            ),
        )
        for name in others
    ]
