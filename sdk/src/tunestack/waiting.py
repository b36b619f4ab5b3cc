"""The one polling loop."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from tunestack.errors import BusyError, ConfigError, NotFoundError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST = 366 * 86400.0

_APPEARS_WITHIN = 20.0
"""Seconds after which what was created and can't be seen is taken for gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Poll:
    """How to wait: quickly at first, for what fails at once, then ever more slowly.

    Attributes:
        first: seconds before the second look.
        factor: by how much each pause grows.
        longest: seconds that a pause grows to.
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

    def __post_init__(self) -> None:
        """Refuse what would never pause, or never look, before anything is paid for."""
        numbers = (self.first, self.factor, self.longest, self.jitter)
        if not all(isinstance(number, int | float) for number in numbers) or not (
            0 < self.first <= self.longest <= _LONGEST
            and 1 <= self.factor <= 100
            and 0 <= self.jitter < 1
        ):
            raise ConfigError(
                f"{self!r} is not possible: use 0 < first <= longest, factor from 1, jitter below 1"
            )

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
    """Look, yield what was seen, pause, and again; ends after the observation that `until` accepts, or at the timeout.

    A look that the vendor was too busy for is no look: the next one tells.

    Raises:
        BusyError: the vendor was too busy even at the last look.
    """
    busy: BusyError | None = None
    for _ in chain([0.0], poll.pauses(timeout)):
        try:
            seen = look()
        except BusyError as error:
            busy = error
            logger.warning("no answer, looking again later: %s", error)
            continue
        busy = None
        yield seen
        if until(seen):
            return
    if busy is not None:
        raise busy


def answer(look: Callable[[], T], *, timeout: float, poll: Poll) -> T:
    """Look once, and again as long as the vendor is too busy to answer.

    Raises:
        BusyError: it still is after `timeout` seconds.
    """
    return next(watch(look, until=_is_answer, timeout=timeout, poll=poll))


def appears(look: Callable[[], T], *, poll: Poll) -> T | None:
    """Look for what was just created, which the vendor may not show at once; `None` if it stays away."""

    def see() -> T | None:
        try:
            return look()
        except NotFoundError:
            return None

    looks = watch(see, until=_is_there, timeout=_APPEARS_WITHIN, poll=poll)
    return next((seen for seen in looks if seen is not None), None)


def _is_answer(_: object) -> bool:
    return True


def _is_there(seen: object) -> bool:
    return seen is not None


def seconds(timeout: object) -> float:
    """Check a timeout, before anything is done that costs money.

    Raises:
        ConfigError: it is no finite number of seconds.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise ConfigError(f"timeout {shortened(timeout)} is no number: use seconds")
    if not 0 <= timeout <= _LONGEST:
        raise ConfigError(
            f"timeout {shortened(timeout)} is not possible: use a finite number of seconds"
        )
    return float(timeout)
