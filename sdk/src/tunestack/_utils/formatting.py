"""Times and durations as messages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tunestack.errors import shortened

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def utc_text(time: datetime) -> str:
    """Format a time for a message: `2026-11-28 22:25 UTC`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration_text(duration: timedelta | float) -> str:
    """Format a duration, a `timedelta` or seconds, rounded down: `2 hours`, `1 day 4 hours`, `0.5 seconds`."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 1:
        return f"{seconds:g} seconds"
    left, parts = int(seconds), []
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2])


def value_text(value: object) -> str:
    """Quote an invalid value for a message: a duration in words, anything else as it is."""
    return duration_text(value) if isinstance(value, timedelta) else shortened(value)
