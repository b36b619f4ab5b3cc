"""Send requests to models: several at a time, within quotas and a budget; each answer is stored before the next request."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack.errors import InvalidRequestError, TransientError, TunestackError
from tunestack.evaluation.journal import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tunestack.backends.base import EndpointInfo, InferenceSettings
    from tunestack.evaluation.candidates import Candidate
    from tunestack.evaluation.journal import AnswerStore
    from tunestack.polling import Poll
    from tunestack.records.conversation import Conversation
    from tunestack.records.target import Rendering

logger = logging.getLogger(__name__)

SAFETY = 1.5
"""The factor of estimated tokens in limits of the cost: the estimate may be too low for some scripts."""
_GRACE = 10.0
"""Seconds in which requests in progress may end after Ctrl-C: their answers are billed, and should be stored."""
_RETRY_FOR = 1800.0
"""Seconds after which a model that answers nothing but transient errors is given up."""
_FIRST_INTERVAL = 0.25
_LONGEST_INTERVAL = 60.0
_HOUR = 3600.0


class PausedError(TunestackError):
    """The time of an evaluation is over: its answers are stored, and another call continues it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request to a model."""

    candidate: Candidate
    conversation: Conversation
    key: str
    max_cost: float
    """The estimated cost in US dollars if the answer is as long as `max_tokens`."""


class Limiter:
    """Spaces the requests to one model.

    With a known quota, by that. Without one, requests are sent at once, until one is throttled: then the interval doubles, and
    becomes shorter again with each success. So it follows a quota that is not known.
    """

    def __init__(self, per_minute: float | None, poll: Poll) -> None:
        """Store the quota."""
        self._least = 60 / per_minute if per_minute else 0.0
        self._interval = self._least
        self._poll = poll
        self._lock = threading.Lock()
        self._next = -math.inf
        self._failing_since: float | None = None

    def wait(self, stop: threading.Event) -> None:
        """Wait until the next request may be sent; on the real clock, an event ends the wait."""
        with self._lock:
            now = self._poll.clock()
            at = max(now, self._next)
            self._next = at + self._interval
        if at > now:
            sleep = stop.wait if self._poll.sleep is time.sleep else self._poll.sleep
            sleep(at - now)

    def succeeded(self) -> None:
        """Note a response."""
        with self._lock:
            self._failing_since = None
            shorter = 0.9 * self._interval
            self._interval = max(self._least, shorter if shorter > _FIRST_INTERVAL / 2 else 0.0)

    def failed(self, error: TransientError) -> None:
        """Note a transient error; raise it if there was nothing else for half an hour."""
        with self._lock:
            now = self._poll.clock()
            if self._failing_since is None:
                self._failing_since = now
            if now - self._failing_since > _RETRY_FOR:
                raise error
            self._interval = min(_LONGEST_INTERVAL, max(2 * self._interval, _FIRST_INTERVAL))
            self._next = max(self._next, now + self._interval)
        logger.info("trying again, with %.3g seconds between requests: %s", self._interval, error)


class Budget:
    """What an evaluation may cost, in US dollars: requests at their highest price until their answers are known."""

    def __init__(self, limit: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing spent."""
        self._limit = math.inf if limit is None else limit
        self._clock = clock
        self._lock = threading.Lock()
        self._reserved = 0.0
        self._spent = 0.0
        self._hourly: list[tuple[float, float]] = []
        self.is_spent = False

    @property
    def spent(self) -> float:
        """The amount spent, in US dollars."""
        return self._spent + sum(self._hours(start) * usd for usd, start in self._hourly)

    def _hours(self, start: float) -> int:
        return math.floor((self._clock() - start) / _HOUR) + 1

    def start_hourly(self, usd: float) -> None:
        """Add something that is billed by the hour from now on, for each hour that begins."""
        self._hourly.append((usd, self._clock()))

    def reserve(self, usd: float) -> bool:
        """Reserve the cost of a request; returns whether it is within the limit."""
        with self._lock:
            if self.is_spent or self.spent + self._reserved + usd > self._limit:
                self.is_spent = True
                return False
            self._reserved += usd
            return True

    def settle(self, reserved: float, actual: float) -> None:
        """Replace what was reserved by the actual cost."""
        with self._lock:
            self._reserved -= reserved
            self._spent += actual


class RequestSender:
    """Sends requests, and stores the answers."""

    def __init__(
        self,
        *,
        journals: Mapping[str, AnswerStore],
        limiters: Mapping[str, Limiter],
        endpoints: Mapping[str, EndpointInfo],
        settings: InferenceSettings,
        rendering: Rendering | None,
        budget: Budget,
        is_over: Callable[[], bool],
    ) -> None:
        """Store the arguments: journals, limiters and endpoints are by the name of the model."""
        self._journals = journals
        self._limiters = limiters
        self._endpoints = endpoints
        self._settings = settings
        self._rendering = rendering
        self._budget = budget
        self._is_over = is_over
        self._stop = threading.Event()
        self.errors: dict[str, Answer] = {}
        """The requests that the provider refused, by key; they are not stored."""

    def send_all(self, requests: Iterable[Request], *, workers: int) -> None:
        """Send requests in several threads; stops at the first error, at the limit of the budget, and at Ctrl-C.

        Raises:
            PausedError: the time is over.
            TunestackError: the error of a request that can't be repeated, except one that the provider refuses.
        """
        pending, lock = iter(requests), threading.Lock()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for request in _iterate_shared(pending, lock):
                    if self._is_over():
                        failures.append(PausedError("the time of the evaluation is over"))
                        return
                    if self._stop.is_set() or not self._send(request):
                        return
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller
                failures.append(error)
                self._stop.set()

        self._run(work, workers)
        if failures:
            raise failures[0]

    def _run(self, work: Callable[[], None], workers: int) -> None:
        """Run a function in several threads until all have returned, or until Ctrl-C."""
        # Daemon threads: a response may take minutes, and the process must be able to end.
        threads = [
            threading.Thread(target=work, name="tunestack-evaluation", daemon=True)
            for _ in range(workers)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
        except BaseException:
            self._stop.set()
            end = time.monotonic() + _GRACE
            for thread in threads:
                if thread.is_alive():  # Ctrl-C may arrive before all of them have started
                    thread.join(max(0.0, end - time.monotonic()))
            raise

    def _send(self, request: Request) -> bool:
        """Send a request, unless its answer is stored; returns whether to go on."""
        candidate = request.candidate
        journal = self._journals[candidate.name]
        if journal.get(request.key) is not None:
            return True
        if not self._budget.reserve(request.max_cost):
            return False
        cost = 0.0
        try:
            answer = self._answer(request)
            if answer is None:
                return False
            cost = answer_cost(candidate, answer)
            if answer.error is None:
                journal.put(request.key, answer)
            else:
                self.errors[request.key] = answer
        finally:
            self._budget.settle(request.max_cost, cost)
        return True

    def _answer(self, request: Request) -> Answer | None:
        """Send a request until it is answered; `None` if it was stopped before."""
        candidate = request.candidate
        limiter = self._limiters[candidate.name]
        while not self._stop.is_set():
            limiter.wait(self._stop)
            if self._stop.is_set():
                break
            start = time.perf_counter()
            try:
                completion = candidate.backend.complete(
                    self._endpoints[candidate.name],
                    request.conversation,
                    self._settings,
                    rendering=self._rendering if candidate.is_fine_tuned else None,
                )
            except TransientError as error:
                limiter.failed(error)
                continue
            except InvalidRequestError as error:
                return Answer(text="", error=str(error))
            seconds = time.perf_counter() - start
            limiter.succeeded()
            return Answer(
                text=completion.text,
                tool_calls=completion.tool_calls,
                input_tokens=completion.input_tokens,
                output_tokens=completion.output_tokens,
                seconds=round(seconds, 6),
            )
        return None


def answer_cost(candidate: Candidate, answer: Answer) -> float:
    """Return the cost of an answer; 0 if the price is unknown, or the provider reported no tokens."""
    if candidate.price is None or answer.input_tokens is None or answer.output_tokens is None:
        return 0.0
    return candidate.price.cost(answer.input_tokens, answer.output_tokens)


def _iterate_shared(requests: Iterator[Request], lock: threading.Lock) -> Iterator[Request]:
    """Yield the next request that no other thread has."""
    while True:
        with lock:
            request = next(requests, None)
        if request is None:
            return
        yield request
