"""Gates: their grammar and their results."""

import pytest

from tunestack.errors import ConfigError
from tunestack.evaluation.gate import parse_gate

VALUES = {
    ("exact_match", None): 0.65,
    ("exact_match", "base"): 0.6,
    ("exact_match", "base-2"): 0.9,
    ("cost", None): 0.4,
    ("cost", "base"): 1.0,
    ("latency_p95", None): 2.5,
    ("errors", None): 0,
}


def check(text):
    gate = parse_gate(text, metrics=["exact_match"], models=["base", "base-2"])
    return gate.check(lambda quantity, model: VALUES.get((quantity, model)))


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("exact_match>=0.65", True),
        ("exact_match > 0.65", False),
        ("exact_match>=base", True),
        ("exact_match>=base+0.05", True),
        ("exact_match > base + 0.05", False),
        ("exact_match>=base+0.06", False),
        ("exact_match>=base-2", False),
        ("exact_match>=base -.1", True),
        ("exact_match>=base-2-0.25", True),
        ("exact_match<=base*1.1", True),
        ("cost<=base*0.5", True),
        ("cost<base*.3", False),
        ("latency_p95<3", True),
        ("errors<=0", True),
    ],
)
def test_condition(text, passed):
    assert check(text).passed is passed


def test_sum_of_decimal_fractions_is_exact_enough():
    """0.6 + 0.05 is 0.65 with an error of rounding; 0.1 + 0.2 is above 0.3."""
    gate = parse_gate("exact_match>=base+0.2", metrics=["exact_match"], models=["base"])
    values = {None: 0.3, "base": 0.1}
    assert gate.check(lambda _, model: values[model]).passed


def test_unknown_value_fails():
    result = check("cost<=base-2")
    assert not result.passed
    assert result.detail == "cost of base-2 is unknown"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must start with one of exact_match, cost"),
        ("rouge>=1", "must start with one of exact_match, cost"),
        ("exact_match=1", "expected >=, <=, > or <"),
        ("exact_match>=", "expected a number, or one of base, base-2"),
        ("exact_match>=pro", "expected a number, or one of base, base-2"),
        ("exact_match>=base+", r"expected \+, - or \* and a number after 'base'"),
        ("exact_match>=base/2", r"expected \+, - or \* and a number"),
        ("exact_match>=base+0.1+0.1", r"expected \+, - or \* and a number"),
        ("exact_match>=1e-3", "expected a number"),
        ("exact_match>=nan", "expected a number"),
    ],
)
def test_invalid_condition_is_an_error(text, problem):
    with pytest.raises(ConfigError, match=problem):
        check(text)
