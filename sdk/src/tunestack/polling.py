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

VISIBLE_WITHIN = 20.0
"""Seconds to wait for something that was created to become visible; after that it is considered deleted."""

_INTERRUPT_WITHIN = 5.0
"""Seconds after which an interruptible wait notices its event, even while it listens for messages."""
_interrupt: ContextVar[threading.Event | None] = ContextVar("interrupt", default=None)


class WaitInterrupted(TunestackError):  # noqa: N818 - not an error: the owner of the thread ended the wait
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
    """How to poll: the pauses between polls grow, so that quick failures are noticed and long jobs cost few requests.

    Attributes:
        first: seconds before the second poll.
        factor: the factor by which each pause grows.
        longest: the longest pause, in seconds.
        jitter: the random share of each pause, so that many processes do not poll at the same time.
        sleep: the function that pauses; tests pass one that advances the sandbox's clock.
        clock: the function that returns monotonic seconds.
        events: whether events of jobs end a pause, if the stage has a queue of them; on the real clock only.
    """

    first: float = 1.0
    factor: float = 1.4
    longest: float = 60.0
    jitter: float = 0.2
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    events: bool = True

    def __post_init__(self) -> None:
        """Refuse values that would never pause or never poll, before anything is billed."""
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
        """Leave out the functions that pause and return the time in this process."""
        names = ("first", "factor", "longest", "jitter", "events")
        return partial(Poll, **{name: getattr(self, name) for name in names}), ()

    def __copy__(self) -> Poll:
        """Return the same object: it is immutable."""
        return self

    def __deepcopy__(self, _memo: object) -> Poll:
        """Return the same object: it is immutable."""
        return self

    def pauses(self, timeout: float) -> Iterator[Pause]:
        """Yield the pauses until `timeout` seconds are over; the caller pauses.

        The last pause ends at the deadline, so that there is a poll at the very end.
        """
        deadline = self.clock() + timeout
        pause = self.first
        while (left := deadline - self.clock()) > 0:
            spread = pause * self.jitter
            yield Pause(min(pause + random.uniform(-spread, spread), left))  # noqa: S311 - not a secret
            pause = min(pause * self.factor, self.longest)

    def pause(self, seconds: float, listen: Callable[[float], bool]) -> None:
        """Pause in `listen`, so that an event ends the pause; sleep if it does not wait, or the clock is not the real one."""
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
    """A pause between two polls."""

    seconds: float


def steps(
    get: Callable[[], T], *, until: Callable[[T], bool], timeout: float, poll: Poll
) -> Iterator[T | Pause]:
    """Poll, yield the observation, yield a pause, and repeat: the only polling loop.

    It ends after the observation that `until` accepts, or at the timeout. A poll that fails with a transient error, or
    because the credentials have expired, is retried: they may be renewed meanwhile.

    Raises:
        TransientError: the last poll failed.
        CredentialsExpiredError: the credentials were expired at the first or at the last poll.
    """
    failure: ProviderError | None = None
    has_answered = False
    for pause in chain([None], poll.pauses(timeout)):
        if pause is not None:
            yield pause
        try:
            observation = get()
        except (TransientError, CredentialsExpiredError) as error:
            if isinstance(error, CredentialsExpiredError) and not has_answered:
                raise
            failure = error
            logger.warning("no answer, trying again later: %s", error)
            continue
        failure, has_answered = None, True
        yield observation
        if until(observation):
            return
    if failure is not None:
        raise failure


def watch(
    get: Callable[[], T],
    *,
    until: Callable[[T], bool],
    timeout: float,
    poll: Poll,
    pause: Callable[[float], object] | None = None,
    can_interrupt: bool = False,
) -> Iterator[T]:
    """Yield every observation of `steps`, and pause between them.

    Args:
        get: returns an observation.
        until: returns whether an observation is the last one.
        timeout: seconds to wait.
        poll: how to wait.
        pause: pauses for a number of seconds; by default `poll.sleep`.
        can_interrupt: whether the event of `interruptible` ends this wait; only if nothing is lost by that.

    Raises:
        WaitInterrupted: the event of `interruptible` was set.
    """
    event = _interrupt.get() if can_interrupt else None
    for step in steps(get, until=until, timeout=timeout, poll=poll):
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
    if poll.sleep is not time.sleep:  # that of a test, which returns at once
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
    get: Callable[[], T],
    *,
    until: Callable[[T], bool],
    timeout: float,  # noqa: ASYNC109 - the same as that of `watch`
    poll: Poll,
    listen: Callable[[float], bool],
) -> AsyncIterator[T]:
    """Do the same as `watch` without blocking the event loop: polls and pauses run in threads, and events end a pause."""
    observations = steps(get, until=until, timeout=timeout, poll=poll)
    while (step := await in_thread(partial(next, observations, None))) is not None:
        if isinstance(step, Pause):
            await poll.pause_async(step.seconds, listen)
        else:
            yield step


async def in_thread(action: Callable[[], R]) -> R:
    """Run a function in a new daemon thread and return its result.

    Unlike with `asyncio.to_thread`, nothing waits for the thread when the caller is cancelled: not the event loop, and not
    the end of the process.
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
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller
            failure = error
        with suppress(RuntimeError):  # the event loop was closed meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    context = contextvars.copy_context()
    threading.Thread(target=run, name="tunestack-wait", daemon=True).start()
    return await future


def retry(call: Callable[[], T], *, timeout: float, poll: Poll) -> T:
    """Call a function, and again while it raises a `TransientError`.

    Raises:
        TransientError: it still does after `timeout` seconds.
    """
    return next(watch(call, until=_is_any, timeout=timeout, poll=poll))


def _frees_itself(error: ProviderError) -> bool:
    return isinstance(error, QuotaError) and error.frees_itself


def when_free(
    create: Callable[[], T],
    *,
    timeout: float,
    poll: Poll,
    waits_for: str = "a free slot",
    can_wait: Callable[[ProviderError], bool] = _frees_itself,
) -> T:
    """Call `create` until it raises no error that passes with time, such as that of the quota of concurrent jobs.

    Args:
        create: creates something; repeated calls must create it once.
        timeout: seconds to wait; 0 calls it once.
        poll: how to wait.
        waits_for: the text for the log.
        can_wait: returns whether an error passes with time; by default those of quotas that free themselves.

    Raises:
        ProviderError: the error is still raised after `timeout` seconds, or is another one.
    """
    refused: ProviderError | None = None

    def attempt() -> T | ProviderError:
        nonlocal refused
        try:
            return create()
        except ProviderError as error:
            if isinstance(error, TransientError) and refused is None:
                return error
            if not can_wait(error):  # the wait retries a transient error
                raise
            if refused is None and timeout > 0:
                logger.warning(
                    "waiting for %s, at most %s: %s", waits_for, duration_text(timeout), error
                )
            refused = error
            return error

    attempts = watch(attempt, until=_is_decided, timeout=timeout, poll=poll, can_interrupt=True)
    for result in attempts:
        if isinstance(result, TransientError):
            raise result
        if not isinstance(result, ProviderError):
            return result
    raise refused or QuotaError(f"there is not {waits_for}")


def _is_decided(result: object) -> bool:
    return isinstance(result, TransientError) or not isinstance(result, ProviderError)


def wait_until_visible(get: Callable[[], T], *, poll: Poll) -> T | None:
    """Get something that was just created, which may not be visible at once; `None` if it does not become visible."""

    def get_or_none() -> T | None:
        try:
            return get()
        except NotFoundError:
            return None

    results = watch(get_or_none, until=_is_visible, timeout=VISIBLE_WITHIN, poll=poll)
    return next((result for result in results if result is not None), None)


def _is_any(_: object) -> bool:
    return True


def _is_visible(result: object) -> bool:
    return result is not None


def to_seconds(duration: object, name: str = "timeout", *, longest: float = _LONGEST) -> float:
    """Return a duration in seconds; checked before anything is created or billed.

    Args:
        duration: seconds, or a `timedelta`.
        name: the name of the argument, for the message.
        longest: the longest valid duration, in seconds.

    Raises:
        ConfigError: it is neither, or negative, or longer than the longest one.
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigError(f"invalid {name} {shortened(duration)}: use seconds or a timedelta")
    if not 0 <= seconds <= longest:
        raise ConfigError(
            f"invalid {name} {value_text(duration)}: use a duration from 0 to {duration_text(longest)}"
        )
    return float(seconds)


def to_timeout(timeout: object, name: str = "timeout") -> float:
    """Return a timeout in seconds; infinity for `None`, which means no limit. The errors are those of `to_seconds`."""
    return math.inf if timeout is None else to_seconds(timeout, name)
