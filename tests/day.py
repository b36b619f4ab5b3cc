"""The days that are played, so that tests pass on any day: models retire."""

from datetime import UTC, datetime

AS_OF = datetime(2026, 11, 1, 12, tzinfo=UTC)
SPRING = datetime(2026, 3, 1, tzinfo=UTC)
"""The four families of the project's specification could all be tuned."""
