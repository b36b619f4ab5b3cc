"""The sandbox's clock, which can be advanced."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


_FIRST_DATE, _LAST_YEAR = datetime(1980, 1, 2, tzinfo=UTC), 2100
"""The range of the clock. The code of Lambda functions is a zip archive, which can't have earlier dates."""
_MAX_ADVANCE = 100 * 366 * 86_400


class Clock:
    """The sandbox's time and its scheduled actions.

    The clock has no thread of its own: services call `settle` before they handle a request, which runs all actions that are
    due, in their order.
    """

    def __init__(self, start: datetime | None = None, *, speed: float = 1.0) -> None:
        """Set the clock.

        Args:
            start: The current time of the clock (default: the real time).
            speed: The factor by which durations are shortened: at 60, an hour of AWS takes a minute.

        Raises:
            ConfigError: The start is out of range.
        """
        if start is not None and not (start >= _FIRST_DATE and start.year <= _LAST_YEAR):
            raise ConfigError(
                f"invalid as_of={start.date()}: "
                f"use a date from {_FIRST_DATE:%Y-%m-%d} to {_LAST_YEAR}-12-31 (UTC)"
            )
        now = datetime.now(UTC)
        self._ahead = self._start = (start or now) - now
        self._speed = speed
        self._actions: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self._process = os.getpid()
        self._order = itertools.count()
        self._followers: list[Callable[[timedelta], object]] = []
        self._find_next_wait: Callable[[], float | None] = lambda: None
        self.lock = threading.RLock()
        """Held while actions run, and while the state that they change is read or changed."""

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        """Return the sandbox's time in seconds, for `Poll(clock=...)`."""
        return self.now().timestamp()

    @property
    def ahead(self) -> timedelta:
        """The difference to the real time."""
        return self._ahead

    @property
    def turned(self) -> timedelta:
        """The time by which the clock was advanced since the start, or since the last `reset`."""
        return self._ahead - self._start

    def follow(self, follower: Callable[[timedelta], object]) -> None:
        """Call a function with the difference to the real time whenever it changes."""
        self._followers.append(follower)

    def wait_for(self, find_next_wait: Callable[[], float | None]) -> None:
        """Let `advance` stop at each time at which a process outside of this one continues.

        Args:
            find_next_wait: Waits until the process has done what is due, and returns the timestamp at which it continues
                (infinite, if it waits for something else), or `None` if it does not wait.
        """
        self._find_next_wait = find_next_wait

    def __repr__(self) -> str:
        """Return the time as text."""
        return f"<Clock {self.now():%Y-%m-%d %H:%M:%S} UTC>"

    def advance(self, seconds: float | timedelta) -> None:
        """Advance the clock and run the actions that become due. Use it for `Poll(sleep=...)`, so that tests do not wait.

        Executions of Step Functions continue at the times at which their waits end, before the clock is advanced further.

        Raises:
            ConfigError: The time is negative, or the clock would pass the year 2100.
        """
        self.require_own_process()
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if not 0 <= seconds < _MAX_ADVANCE:
            raise ConfigError(
                f"the clock can't be advanced by {seconds!r} seconds: use 0 to {_MAX_ADVANCE}"
            )
        remaining = timedelta(seconds=seconds)
        if (self.now() + remaining).year > _LAST_YEAR:
            raise ConfigError(f"the clock can't be advanced beyond the year {_LAST_YEAR}")
        is_waiting = True
        while is_waiting:
            next_wait = self._find_next_wait()
            with self.lock:
                step = min(remaining, self._find_step(next_wait))
                self._ahead += step
                self.settle()
                self._notify_followers()
            remaining -= step
            is_waiting = next_wait is not None and remaining > timedelta(0)
        self._find_next_wait()

    def _find_step(self, next_wait: float | None) -> timedelta:
        """Return how far the clock can be advanced until an action is due or a process continues."""
        if next_wait is None:
            return timedelta.max
        dues = [next_wait, *(due.timestamp() for due, _, _ in self._actions[:1])]
        return timedelta(seconds=min(max(min(dues) - self.monotonic(), 0), _MAX_ADVANCE))

    def require_own_process(self) -> None:
        """Check that this is the process that created the clock. A forked process has a copy, whose lock may be held forever.

        Raises:
            ConfigError: This is a forked process.
        """
        if os.getpid() != self._process:
            raise ConfigError(
                "this process was forked from the process of the sandbox: "
                "use its HTTP API at Sandbox.admin_url"
            )

    def _notify_followers(self) -> None:
        for follower in self._followers:
            follower(self._ahead)

    @property
    def speed(self) -> float:
        """The factor by which durations are shortened."""
        return self._speed

    def after(
        self, start: datetime, seconds: float, action: Callable[[datetime], object]
    ) -> datetime:
        """Schedule an action and return the time at which it is due.

        Args:
            start: The time at which the duration begins.
            seconds: The duration on AWS, which is divided by the clock's speed.
            action: The action, called with the time at which it was due.
        """
        with self.lock:
            due = start + timedelta(seconds=seconds / self._speed)
            heapq.heappush(self._actions, (due, next(self._order), action))
            return due

    def reset(self) -> None:
        """Remove all scheduled actions, and undo every `advance`."""
        with self.lock:
            self._actions.clear()
            if self._ahead != self._start:
                self._ahead = self._start
                self._notify_followers()

    def settle(self) -> None:
        """Run all actions that are due, in the order of their times."""
        with self.lock:
            while self._actions and self._actions[0][0] <= self.now():
                due, _, action = heapq.heappop(self._actions)
                action(due)
