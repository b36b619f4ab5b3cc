"""The sandbox's time: real, but it can be turned forward."""

from __future__ import annotations

import heapq
import itertools
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Tells the sandbox's time and does what falls due.

    Nothing happens on its own: whoever looks at the sandbox calls `settle` first, so what is due has happened by then, in order.
    """

    def __init__(self, start: datetime | None = None, *, speed: float = 1.0) -> None:
        """Set the clock.

        Args:
            start: the time that it is now; the real one if not given.
            speed: by how much durations are shortened: at 60, what takes AWS an hour takes a minute.
        """
        now = datetime.now(UTC)
        self._ahead = (start or now) - now
        self._speed = speed
        self._due: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self._order = itertools.count()
        self._followers: list[Callable[[timedelta], object]] = []
        self.lock = threading.RLock()
        """Held while anything happens; whoever changes what falls due holds it too."""

    def now(self) -> datetime:
        """Tell the sandbox's time."""
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        """Tell the sandbox's time in seconds; for `Poll(clock=...)`."""
        return self.now().timestamp()

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the real time."""
        return self._ahead

    def follow(self, turned: Callable[[timedelta], object]) -> None:
        """Let someone know how far the clock is ahead, whenever it was turned."""
        self._followers.append(turned)

    def advance(self, seconds: float) -> None:
        """Turn the clock forward, and do what falls due on the way; for `Poll(sleep=...)`, so that no test waits."""
        with self.lock:
            self._ahead += timedelta(seconds=seconds)
            self.settle()
            for turned in self._followers:
                turned(self._ahead)

    def after(self, start: datetime, seconds: float, action: Callable[[datetime], object]) -> None:
        """Let something happen a while after a moment.

        Args:
            start: the moment.
            seconds: how long it takes AWS; shortened by the clock's speed.
            action: called with the time at which it was due.
        """
        with self.lock:
            due = start + timedelta(seconds=seconds / self._speed)
            heapq.heappush(self._due, (due, next(self._order), action))

    def clear(self) -> None:
        """Let nothing happen of what was to."""
        with self.lock:
            self._due.clear()

    def settle(self) -> None:
        """Do everything that is due by now, in the order of its time."""
        with self.lock:
            while self._due and self._due[0][0] <= self.now():
                due, _, action = heapq.heappop(self._due)
                action(due)
