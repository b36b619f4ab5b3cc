"""The one polling loop."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Poll:
    """How to wait: quickly at first, for what fails at once, then ever more slowly.

    Attributes:
        first: seconds before the second look.
        factor: by how much each pause grows.
        longest: seconds that no pause exceeds.
        jitter: share of each pause that is random, so that many waiters do not look at the same moment.
        sleep: pauses; a test passes one that turns the sandbox's clock.
        clock: monotonic seconds.
    """

    first: float = 1.0
    factor: float = 1.4
    longest: float = 60.0
    jitter: float = 0.2
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def pauses(self, timeout: float) -> Iterator[float]:
        """Pause again and again until `timeout` seconds are over; yields each pause after it.

        The last pause ends at the deadline, so that there is one look at the very end.
        """
        deadline = self.clock() + timeout
        pause = self.first
        while (left := deadline - self.clock()) > 0:
            spread = pause * self.jitter
            length = min(pause + random.uniform(-spread, spread), left)  # noqa: S311 - not a secret
            self.sleep(length)
            yield length
            pause = min(pause * self.factor, self.longest)


def watch(
    look: Callable[[], T], *, until: Callable[[T], bool], timeout: float, poll: Poll
) -> Iterator[T]:
    """Look, yield what was seen, pause, and again; ends after the observation that `until` accepts, or at the timeout."""
    seen = look()
    yield seen
    if until(seen):
        return
    for _ in poll.pauses(timeout):
        seen = look()
        yield seen
        if until(seen):
            return
