"""This machine's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime


def today() -> date:
    """Return the current date in UTC."""
    return datetime.now(UTC).date()
