"""Write durations for messages."""

from __future__ import annotations

from datetime import timedelta

from tunestack.errors import shortened

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def duration_text(duration: timedelta | float) -> str:
    """Return a duration, a `timedelta` or seconds, in its two largest units: `1 day`, `2 hours 30 minutes`, `0.5 seconds`."""
    seconds = duration if isinstance(duration, int | float) else duration.total_seconds()
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 1:
        return f"{seconds:g} seconds"
    left, parts = round(seconds), []
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count:,} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts[:2])


def value_text(value: object) -> str:
    """Quote what a caller gave as a duration: a duration in words, anything else as it is."""
    return duration_text(value) if isinstance(value, timedelta) else shortened(value)
