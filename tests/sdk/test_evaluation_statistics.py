"""Confidence intervals and percentiles, compared with SciPy and NumPy; the coverage of the intervals."""

import random
import time

import numpy as np
import pytest

from tunestack.evaluation.statistics import bootstrap, mean, paired_bootstrap, percentile

RANDOM = random.Random(7)
ONE = [float(RANDOM.random() < 0.7) for _ in range(400)]
TWO = [float(RANDOM.random() < 0.6) for _ in range(400)]
SCORES = [RANDOM.betavariate(2, 1) for _ in range(400)]
OTHERS = [min(1.0, max(0.0, score - RANDOM.gauss(0.05, 0.2))) for score in SCORES]


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], SCORES, SCORES[:37]], ids=len)
@pytest.mark.parametrize("share", [0, 0.025, 0.5, 0.9, 0.975, 1])
def test_percentile_is_that_of_numpy(values, share):
    assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share))


@pytest.mark.parametrize(("one", "two"), [(ONE, TWO), (SCORES, OTHERS)], ids=["0 or 1", "numbers"])
def test_paired_interval_is_that_of_scipy(one, two):
    from scipy import stats  # takes seconds, in every process that collects the tests

    expected = stats.bootstrap(
        (one, two),
        lambda one, two, axis: np.mean(one, axis=axis) - np.mean(two, axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
        vectorized=True,
    ).confidence_interval
    interval = paired_bootstrap(one, two, mean, resamples=20_000, seed=1)
    width = expected.high - expected.low
    assert interval.low == pytest.approx(expected.low, abs=0.03 * width)
    assert interval.high == pytest.approx(expected.high, abs=0.03 * width)


def test_statistic_of_many_rows_has_the_interval_of_scipy():
    """A statistic that is not a mean takes another path: here the ratio of two sums."""
    from scipy import stats

    rows = [(score, other + 0.5) for score, other in zip(SCORES, OTHERS, strict=True)]

    def ratio(rows):
        numerators, denominators = zip(*rows, strict=True)
        return sum(numerators) / sum(denominators)

    expected = stats.bootstrap(
        tuple(zip(*rows, strict=True)),
        lambda one, two: np.sum(one) / np.sum(two),
        paired=True,
        method="percentile",
        n_resamples=5000,
        vectorized=False,
        rng=np.random.default_rng(1),
    ).confidence_interval
    interval = bootstrap(rows, ratio, resamples=5000, seed=1)
    assert interval == pytest.approx(tuple(expected), abs=0.05 * (expected.high - expected.low))


def test_general_path_of_the_comparison_equals_that_for_means():
    general = paired_bootstrap(ONE, TWO, lambda rows: mean(list(rows)), resamples=500, seed=3)
    assert general == pytest.approx(paired_bootstrap(ONE, TWO, mean, resamples=500, seed=3))


def test_same_seed_gives_the_same_interval():
    intervals = [paired_bootstrap(ONE, TWO, mean, resamples=200, seed=seed) for seed in (1, 1, 2)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_paired_interval_is_narrower_than_that_of_independent_models():
    paired = paired_bootstrap(SCORES, OTHERS, mean, resamples=1000, seed=1)
    shuffled = OTHERS[::-1]
    independent = paired_bootstrap(SCORES, shuffled, mean, resamples=1000, seed=1)
    assert paired.high - paired.low < 0.8 * (independent.high - independent.low)


def cover(count, records, resamples):
    """Return the share of simulated data sets whose interval contains the true difference."""
    source, covered = random.Random(records), 0
    for seed in range(count):
        one, two = [], []
        for _ in range(records):  # the difficulty of a record is the same for both models
            difficulty = source.random()
            one.append(float(source.random() < 0.9 - 0.4 * difficulty))
            two.append(float(source.random() < 0.8 - 0.4 * difficulty))
        low, high = paired_bootstrap(one, two, mean, resamples=resamples, seed=seed)
        covered += low <= 0.1 <= high
    return covered / count


def test_interval_covers_the_difference_of_most_data_sets():
    assert cover(150, 100, 200) > 0.88


@pytest.mark.campaign
@pytest.mark.parametrize("records", [50, 100, 500])
def test_interval_covers_the_difference_in_95_percent_of_2000_data_sets(records, figure):
    share = cover(2000, records, 500)
    figure(f"coverage of the 95 % intervals, 2,000 data sets of {records} records: {share:.1%}")
    assert 0.93 < share < 0.97


@pytest.mark.campaign
def test_10000_records_and_2000_resamples_take_seconds(figure):
    source = random.Random(1)
    one, two = ([source.random() for _ in range(10_000)] for _ in range(2))
    start = time.perf_counter()
    paired_bootstrap(one, two, mean, resamples=2000, seed=1)
    seconds = time.perf_counter() - start
    figure(f"paired bootstrap of 10,000 records with 2,000 resamples: {seconds:.1f} s")
    assert seconds < 30
