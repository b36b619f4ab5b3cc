"""The sandbox's time: real, but it can be turned forward."""

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


_FIRST, _LAST_YEAR = datetime(1980, 1, 2, tzinfo=UTC), 2100
"""The code of Lambda functions is a zip archive, which has no earlier dates; dates of later years would end somewhere."""
_CENTURY = 100 * 366 * 86_400


class Clock:
    """Tells the sandbox's time and does what falls due.

    Nothing happens on its own: whoever looks at the sandbox calls `settle` first, so what is due has happened by then, in order.
    """

    def __init__(self, start: datetime | None = None, *, speed: float = 1.0) -> None:
        """Set the clock.

        Args:
            start: the time that it is now; the real one if not given.
            speed: by how much durations are shortened: at 60, what takes AWS an hour takes a minute.

        Raises:
            ConfigError: the sandbox can't be on that day.
        """
        if start is not None and not (start >= _FIRST and start.year <= _LAST_YEAR):
            raise ConfigError(
                f"as_of={start.date()}: the sandbox can't be on that day; "
                f"use a date from {_FIRST:%Y-%m-%d} to {_LAST_YEAR}-12-31 (UTC)"
            )
        now = datetime.now(UTC)
        self._ahead = self._start = (start or now) - now
        self._speed = speed
        self._due: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self._process = os.getpid()
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

    @property
    def turned(self) -> timedelta:
        """How far it was turned since the start, or since the last `reset`."""
        return self._ahead - self._start

    def follow(self, turned: Callable[[timedelta], object]) -> None:
        """Let someone know how far the clock is ahead, whenever it was turned."""
        self._followers.append(turned)

    def __repr__(self) -> str:
        """Show the time."""
        return f"<Clock {self.now():%Y-%m-%d %H:%M:%S} UTC>"

    def advance(self, seconds: float | timedelta) -> None:
        """Turn the clock forward, and do what falls due on the way; for `Poll(sleep=...)`, so that no test waits.

        Raises:
            ConfigError: back, or beyond the year 2100: dates would end somewhere.
        """
        self.require_own_process()
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if not 0 <= seconds < _CENTURY:
            raise ConfigError(f"the clock can't be turned by {seconds!r} seconds: only forward")
        with self.lock:
            ahead = self._ahead + timedelta(seconds=seconds)
            if (datetime.now(UTC) + ahead).year > _LAST_YEAR:
                raise ConfigError(f"the clock can't be turned beyond the year {_LAST_YEAR}")
            self._ahead = ahead
            self.settle()
            self._tell()

    def require_own_process(self) -> None:
        """Refuse a process that was forked: what it has is a copy, and a lock in it may be held for ever.

        Raises:
            ConfigError: it was.
        """
        if os.getpid() != self._process:
            raise ConfigError(
                "this process was forked from the one with the sandbox: tell it over HTTP, at Sandbox.admin_url"
            )

    def _tell(self) -> None:
        for turned in self._followers:
            turned(self._ahead)

    @property
    def speed(self) -> float:
        """By how much durations are shortened."""
        return self._speed

    def after(
        self, start: datetime, seconds: float, action: Callable[[datetime], object]
    ) -> datetime:
        """Let something happen a while after a moment; returns when.

        Args:
            start: the moment.
            seconds: how long it takes AWS; shortened by the clock's speed.
            action: called with the time at which it was due.
        """
        with self.lock:
            due = start + timedelta(seconds=seconds / self._speed)
            heapq.heappush(self._due, (due, next(self._order), action))
            return due

    def reset(self) -> None:
        """Let nothing happen of what was to, and turn back to where it would be by now without having been turned."""
        with self.lock:
            self._due.clear()
            if self._ahead != self._start:
                self._ahead = self._start
                self._tell()

    def settle(self) -> None:
        """Do everything that is due by now, in the order of its time."""
        with self.lock:
            while self._due and self._due[0][0] <= self.now():
                due, _, action = heapq.heappop(self._due)
                action(due)
