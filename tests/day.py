"""The dates that sandboxes simulate, so that tests pass on any day, although models retire."""

from datetime import UTC, datetime

AS_OF = datetime(2026, 11, 1, 12, tzinfo=UTC)
SPRING = datetime(2026, 3, 1, tzinfo=UTC)
"""A date on which all four families of the project's specification can be fine-tuned."""
