"""Comparisons of DSPy programs."""

import dspy
import pytest

from tests.sdk.desks import IGNORED_WARNINGS, TEST, is_correct
from tunestack.dspy import compare
from tunestack.errors import ConfigError

pytestmark = IGNORED_WARNINGS


class Rule(dspy.Module):
    """Chooses the desk of every ticket, or the correct one of some tickets."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, ticket):
        number = int(ticket.split(":")[0].split()[1])
        desk = next(row.desk for row in TEST if row.ticket == ticket)
        return dspy.Prediction(desk=desk if number % 10 < self.share else "none")


def test_programs_are_compared_with_an_interval():
    comparisons = compare(
        {"tuned": Rule(9), "base": Rule(5), "equal": Rule(9)}, devset=TEST, metric=is_correct
    )
    assert [row.other for row in comparisons] == ["base", "equal"]
    assert [row.metric for row in comparisons] == ["is_correct", "is_correct"]
    assert comparisons[0].difference == pytest.approx(0.4)
    low, high = comparisons[0].interval
    assert 0.15 < low < 0.4 < high < 0.65
    assert [row.is_significant for row in comparisons] == [True, False]


def test_one_program_is_an_error():
    with pytest.raises(ConfigError, match="at least two programs"):
        compare({"tuned": Rule(9)}, devset=TEST, metric=is_correct)
