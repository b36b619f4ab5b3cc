"""Parameters of tests of which a part runs always."""

import pytest


def every(step, values):
    """Mark all but every `step`-th value as a campaign, which only `./check --full` runs."""
    return [value if index % step == 0 else _campaign(value) for index, value in enumerate(values)]


def _campaign(value):
    if hasattr(value, "marks"):  # it is a `pytest.param`
        return value._replace(marks=[*value.marks, pytest.mark.campaign])
    return pytest.param(
        *(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.campaign
    )
