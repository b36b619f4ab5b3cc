"""Simulated dates of a sandbox: an invalid date is rejected before the start, with the valid range."""

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from tunestack.errors import ConfigError
from tunestack_sandbox import Sandbox
from tunestack_sandbox.cli import sandbox_command
from tunestack_sandbox.clock import Clock


@pytest.mark.parametrize(
    "day", ["0001-01-01", "1960-01-01", "1979-12-31", "2101-01-01", "2126-01-01"]
)
def test_the_error_for_an_invalid_date_lists_the_valid_range(day):
    text = f"invalid as_of={day}: use a date from 1980-01-02 to 2100-12-31"
    with pytest.raises(ConfigError, match=text):
        Sandbox(as_of=datetime.fromisoformat(day))
    with pytest.raises(ConfigError, match=text):
        CliRunner().invoke(
            sandbox_command,
            ["--as-of", day, "--", "true"],
            catch_exceptions=False,
            standalone_mode=False,
        )


@pytest.mark.parametrize("day", ["1980-01-02", "2100-12-31"])
def test_the_first_and_the_last_date_are_valid(day):
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert day == f"{Clock(start).now():%Y-%m-%d}"
