"""Options whose values are durations or times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def since_option(*, keep_durations: bool = False) -> Callable[[Command], Command]:
    """Return the option `--since`.

    Args:
        keep_durations: pass a duration as it is, for a function that subtracts it from the time of the service.
    """
    return click.option(
        "--since",
        type=Since(keep_durations=keep_durations),
        metavar="TIME",
        help="Only since then: a duration before now (90m, 12h, 7d) or a date in UTC (2026-11-01).",
    )


def until_option() -> Callable[[Command], Command]:
    """Return the option `--until`."""
    return click.option(
        "--until", type=Since(), metavar="TIME", help="Only before then: a time as for --since."
    )


class Duration(click.ParamType[timedelta]):
    """`30s`, `90m`, `4h`, `2d`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        """Read a number and a unit."""
        if isinstance(value, timedelta):
            return value
        try:
            duration = _read_duration(str(value))
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)
        if duration is None:
            self.fail(f"{value!r} is not a duration: use 30s, 90m, 4h or 2d", param, ctx)
        return duration


class Since(click.ParamType[datetime | timedelta]):
    """A time in the past: a duration before now, or a date or time in UTC."""

    name = "time"

    def __init__(self, *, keep_durations: bool = False) -> None:
        """Store whether a duration is not subtracted from the time of this machine."""
        self._keep_durations = keep_durations

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime | timedelta:
        """Read a duration, or a time in ISO 8601."""
        if isinstance(value, datetime | timedelta):
            return value
        try:
            duration = _read_duration(str(value))
            if duration is not None:
                return duration if self._keep_durations else datetime.now(UTC) - duration
            time = datetime.fromisoformat(str(value))
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not a time: use a duration before now (90m, 12h, 7d) or a date in UTC (2026-11-01)",
                param,
                ctx,
            )


def _read_duration(text: str) -> timedelta | None:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
