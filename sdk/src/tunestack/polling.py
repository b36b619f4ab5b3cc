"""The one polling loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar, cast

from tunestack._utils.formatting import duration_text, value_text
from tunestack.errors import (
    ConfigError,
    CredentialsExpiredError,
    NotFoundError,
    ProviderError,
    QuotaError,
    TransientError,
    TunestackError,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

Duration = float | timedelta
"""Seconds, or a `timedelta`."""

_LONGEST = 366 * 86400.0

APPEARS_WITHIN = 20.0
"""Seconds after which what was created and can't be seen is taken for gone."""

_INTERRUPT_WITHIN = 5.0
"""Seconds after which an interruptible wait notices the event, also while it listens for messages."""
_interrupt: ContextVar[threading.Event | None] = ContextVar("interrupt", default=None)


class WaitInterrupted(TunestackError):  # noqa: N818 - no error: the owner of the thread ended the wait
    """An interruptible wait was ended by its event; see `interruptible`."""


@contextmanager
def interruptible(event: threading.Event) -> Iterator[None]:
    """End the interruptible waits of this thread soon after the event is set, with `WaitInterrupted`."""
    token = _interrupt.set(event)
    try:
        yield
    finally:
        _interrupt.reset(token)


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
        events: whether to be woken by what the vendor says of jobs, where the stage has a queue for it; on the real clock
            only.
    """

    first: float = 1.0
    factor: float = 1.4
    longest: float = 60.0
    jitter: float = 0.2
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    events: bool = True

    def __post_init__(self) -> None:
        """Refuse what would never pause, or never look, before anything is paid for."""
        numbers = (self.first, self.factor, self.longest, self.jitter)
        if not all(isinstance(number, int | float) for number in numbers) or not (
            0 < self.first <= self.longest <= _LONGEST
            and 1 <= self.factor <= 100
            and 0 <= self.jitter < 1
        ):
            raise ConfigError(
                f"invalid Poll(first={self.first!r}, factor={self.factor!r}, longest={self.longest!r}, "
                f"jitter={self.jitter!r}): specify 0 < first <= longest, factor from 1 to 100, jitter from 0 to below 1"
            )

    def __reduce__(self) -> tuple[object, ...]:
        """Leave out what pauses and tells the time in this process."""
        names = ("first", "factor", "longest", "jitter", "events")
        return partial(Poll, **{name: getattr(self, name) for name in names}), ()

    def __copy__(self) -> Poll:
        """Return the same: it never changes."""
        return self

    def __deepcopy__(self, _memo: object) -> Poll:
        """Return the same: it never changes."""
        return self

    def pauses(self, timeout: float) -> Iterator[Pause]:
        """Tell how long to pause, again and again until `timeout` seconds are over; whoever asks pauses.

        The last pause ends at the deadline, so that there is one look at the very end.
        """
        deadline = self.clock() + timeout
        pause = self.first
        while (left := deadline - self.clock()) > 0:
            spread = pause * self.jitter
            yield Pause(min(pause + random.uniform(-spread, spread), left))  # noqa: S311 - not a secret
            pause = min(pause * self.factor, self.longest)

    def pause(self, seconds: float, listen: Callable[[float], bool]) -> None:
        """Pause, in `listen` as far as it does: an event may cut it short, on the real clock only."""
        listens = self.events and self.sleep is time.sleep
        if not (listens and listen(seconds)):
            self.sleep(seconds)

    async def pause_async(self, seconds: float, listen: Callable[[float], bool]) -> None:
        """Pause as `pause` does without blocking the event loop; can be cancelled at once."""
        real = self.sleep is time.sleep
        if self.events and real and await in_thread(partial(listen, seconds)):
            return
        await (asyncio.sleep(seconds) if real else in_thread(partial(self.sleep, seconds)))


@dataclass(frozen=True, slots=True)
class Pause:
    """What a wait asks for between two looks."""

    seconds: float


def steps(
    look: Callable[[], T], *, until: Callable[[T], bool], timeout: float, poll: Poll
) -> Iterator[T | Pause]:
    """Look, give out what was seen, ask for a pause, and again; the one loop that everything waits by.

    It ends after the observation that `until` accepts, or at the timeout. A look that the vendor was too busy for, or that
    found the credentials expired, is no look: the next one tells. They may be renewed meanwhile.

    Raises:
        TransientError: the vendor was too busy even at the last look.
        CredentialsExpiredError: at the first look, or still at the last.
    """
    missed: ProviderError | None = None
    before = False
    for pause in chain([None], poll.pauses(timeout)):
        if pause is not None:
            yield pause
        try:
            seen = look()
        except (TransientError, CredentialsExpiredError) as error:
            if isinstance(error, CredentialsExpiredError) and not before:
                raise
            missed = error
            logger.warning("no answer, looking again later: %s", error)
            continue
        missed, before = None, True
        yield seen
        if until(seen):
            return
    if missed is not None:
        raise missed


def watch(
    look: Callable[[], T],
    *,
    until: Callable[[T], bool],
    timeout: float,
    poll: Poll,
    pause: Callable[[float], object] | None = None,
    can_interrupt: bool = False,
) -> Iterator[T]:
    """Yield every observation of `steps`, and pause between them.

    Args:
        look: returns an observation.
        until: whether an observation is the last one.
        timeout: seconds to wait.
        poll: how to wait.
        pause: pauses for so many seconds; `poll.sleep` if not given.
        can_interrupt: whether the event of `interruptible` ends this wait. Set it only where nothing is lost then.

    Raises:
        WaitInterrupted: the event of `interruptible` was set.
    """
    event = _interrupt.get() if can_interrupt else None
    for step in steps(look, until=until, timeout=timeout, poll=poll):
        if not isinstance(step, Pause):
            yield step
        elif event is None:
            (pause or poll.sleep)(step.seconds)
        else:
            _pause_until(event, step.seconds, poll, pause)


def _pause_until(
    event: threading.Event,
    seconds: float,
    poll: Poll,
    pause: Callable[[float], object] | None,
) -> None:
    """Pause, and raise `WaitInterrupted` as soon as the event is set."""
    if poll.sleep is not time.sleep:  # a test's, which returns at once
        (pause or poll.sleep)(seconds)
    elif pause is None:
        event.wait(seconds)
    else:  # it may listen for messages, and return early when there is one
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not event.is_set():
            part = min(left, _INTERRUPT_WITHIN)
            begun = time.monotonic()
            pause(part)
            if time.monotonic() - begun < part / 2:
                break
    if event.is_set():
        raise WaitInterrupted("the wait was interrupted")


async def watch_async(
    look: Callable[[], T],
    *,
    until: Callable[[T], bool],
    timeout: float,  # noqa: ASYNC109 - the same as that of `watch`
    poll: Poll,
    listen: Callable[[float], bool],
) -> AsyncIterator[T]:
    """Do the same as `watch` without blocking the event loop: looks and pauses are in threads, and a pause listens."""
    looks = steps(look, until=until, timeout=timeout, poll=poll)
    while (step := await in_thread(partial(next, looks, None))) is not None:
        if isinstance(step, Pause):
            await poll.pause_async(step.seconds, listen)
        else:
            yield step


async def in_thread(action: Callable[[], R]) -> R:
    """Run an action in a thread of its own and return its result.

    When the caller is cancelled, nothing waits for the thread: neither the caller, nor the end of the event loop (as for
    `asyncio.to_thread`), nor the end of the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def settle(result: R | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(cast("R", result))
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = context.run(action)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            failure = error
        with suppress(RuntimeError):  # the event loop was closed meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    context = contextvars.copy_context()
    threading.Thread(target=run, name="tunestack-wait", daemon=True).start()
    return await future


def answer(look: Callable[[], T], *, timeout: float, poll: Poll) -> T:
    """Look once, and again as long as the vendor is too busy to answer.

    Raises:
        TransientError: it still is after `timeout` seconds.
    """
    return next(watch(look, until=_is_answer, timeout=timeout, poll=poll))


def when_free(
    create: Callable[[], T], *, timeout: float, poll: Poll, waits_for: str = "a free slot"
) -> T:
    """Call `create` until no quota refuses it that frees itself, such as that of the jobs that run at a time.

    Args:
        create: creates something, exactly once however often it is called.
        timeout: seconds to wait; 0 calls it once.
        poll: how to wait.
        waits_for: for the log.

    Raises:
        QuotaError: the quota is still used up after `timeout` seconds, or does not free itself.
    """
    refused: QuotaError | None = None

    def attempt() -> T | ProviderError:
        nonlocal refused
        try:
            return create()
        except QuotaError as error:
            if not error.frees_itself:
                raise
            if refused is None and timeout > 0:
                logger.warning(
                    "waiting for %s, at most %s: %s", waits_for, duration_text(timeout), error
                )
            refused = error
            return error
        except TransientError as error:
            if refused is not None:  # it waits anyway
                raise
            return error

    attempts = watch(attempt, until=_is_decided, timeout=timeout, poll=poll, can_interrupt=True)
    for seen in attempts:
        if isinstance(seen, TransientError):
            raise seen
        if not isinstance(seen, QuotaError):
            return cast("T", seen)
    raise refused or QuotaError(f"there is not {waits_for}")


def _is_decided(seen: object) -> bool:
    return not isinstance(seen, QuotaError)


def appears(look: Callable[[], T], *, poll: Poll) -> T | None:
    """Look for what was just created, which the vendor may not show at once; `None` if it stays away."""

    def see() -> T | None:
        try:
            return look()
        except NotFoundError:
            return None

    looks = watch(see, until=_is_there, timeout=APPEARS_WITHIN, poll=poll)
    return next((seen for seen in looks if seen is not None), None)


def _is_answer(_: object) -> bool:
    return True


def _is_there(seen: object) -> bool:
    return seen is not None


def to_seconds(duration: object, name: str = "timeout") -> float:
    """Return a duration in seconds; checked before anything is created or billed.

    Args:
        duration: seconds, or a `timedelta`.
        name: the name of the argument, for the message.

    Raises:
        ConfigError: it is neither, or negative, or longer than a year.
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigError(f"invalid {name} {shortened(duration)}: use seconds or a timedelta")
    if not 0 <= seconds <= _LONGEST:
        raise ConfigError(
            f"invalid {name} {value_text(duration)}: use a duration from 0 to {duration_text(_LONGEST)}"
        )
    return float(seconds)


def to_timeout(timeout: object, name: str = "timeout") -> float:
    """Return a timeout in seconds; infinity for `None`, which means no limit. The errors are those of `to_seconds`."""
    return math.inf if timeout is None else to_seconds(timeout, name)
