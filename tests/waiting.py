"""Waiting in real time for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_until(
    condition: Callable[[], Result], seconds: float = 60, *, interval: float = 0.05
) -> Result:
    """Wait until a condition is true, and return its last result, which is false if the time has passed."""
    give_up_at = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < give_up_at:
        time.sleep(interval)
    return result
