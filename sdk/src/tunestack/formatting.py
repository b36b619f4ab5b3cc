"""Times and durations as messages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def utc_text(time: datetime) -> str:
    """Format a time for a message: `2026-11-28 22:25 UTC`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration_text(duration: timedelta | float) -> str:
    """Format a duration, a `timedelta` or seconds, rounded down: `2 hours`, `1 day 4 hours`, `0.5 seconds`, `0 seconds`."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if 0 < seconds < 1:
        return f"{seconds:g} seconds"
    left, parts = max(int(seconds), 0), []
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2]) or "0 seconds"
