"""Threads of the emulator's Step Functions that wait for the sandbox's time instead of the real time.

Advancing the clock must not pass a time at which an execution continues, so the sandbox asks which threads run, and when
those that wait continue (`Activity.find_next`). Each wait of Step Functions has a condition and a time, so that a thread that
can continue counts as running even before it wakes up.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class ExecutionEndedError(BaseException):
    """Ends the threads of an execution that was stopped. MiniStack catches all instances of `Exception`."""


@dataclass(eq=False, frozen=True, slots=True)
class _Wait:
    is_done: Callable[[], bool]
    due: float

    def is_over(self) -> bool:
        return self.is_done() or self.due <= time.time()


@dataclass(slots=True)
class Activity:
    """The threads of all executions: how many run, and what the others wait for."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    """Notified when the clock was advanced, or when a condition of a wait may have become true."""
    speed: float = 1.0
    """The factor by which durations are shorter than on AWS."""
    running: int = 0
    waits: list[_Wait] = field(default_factory=list)

    def wait(self, is_done: Callable[[], bool], *, due: float = inf) -> bool:
        """Wait until a condition is true or a time has come, and return whether the condition is true.

        Args:
            is_done: The condition.
            due: The time, as of MiniStack's clock.
        """
        is_counted = isinstance(threading.current_thread(), StatesThread)
        wait = _Wait(is_done, due)
        with self.changed:
            self.running -= is_counted
            self.waits.append(wait)
            try:
                while not wait.is_over():
                    self.changed.wait(None if due == inf else min(due - time.time(), 86_400))
            finally:
                self.waits.remove(wait)
                self.running += is_counted
            return is_done()

    def notify(self) -> None:
        """Let all waiting threads check their conditions and times again."""
        with self.changed:
            self.changed.notify_all()

    def find_next(self) -> dict[str, Any]:
        """Return whether threads run (`is_busy`), and the next time at which one continues (`None`: no thread waits)."""
        with self.changed:
            return {
                "is_busy": self.running > 0 or any(wait.is_over() for wait in self.waits),
                "due": min((wait.due for wait in self.waits), default=None),
            }


ACTIVITY = Activity()


class StatesThread(threading.Thread):
    """A thread of an execution."""

    is_finished = False

    def start(self) -> None:
        """Start the thread, which counts as running from now on."""
        with ACTIVITY.changed:
            ACTIVITY.running += 1
        super().start()

    def run(self) -> None:
        """Run the function of the thread."""
        try:
            with suppress(ExecutionEndedError):
                super().run()
        finally:
            with ACTIVITY.changed:
                self.is_finished = True
                ACTIVITY.running -= 1
                ACTIVITY.changed.notify_all()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has finished."""
        del timeout  # MiniStack uses none
        ACTIVITY.wait(lambda: self.is_finished)


class StatesEvent:
    """An event that executions wait for, such as the result of a task."""

    def __init__(self) -> None:
        """Create an event that is not set."""
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self._is_set

    def set(self) -> None:
        """Let the waiting threads continue."""
        with ACTIVITY.changed:
            self._is_set = True
            ACTIVITY.changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the event, for a duration on AWS, and return whether it is set."""
        due = inf if timeout is None else time.time() + timeout / ACTIVITY.speed
        return wait_in_execution(self.is_set, due=due)


@dataclass(eq=False, slots=True)
class Task:
    """A function that a pool runs."""

    run: Callable[[], object]
    is_done: bool = False


class StatesPool:
    """A pool of threads, with the methods of `ThreadPoolExecutor` that MiniStack uses for Map states."""

    def __init__(self, max_workers: int) -> None:
        """Create a pool without threads."""
        self._max_workers = max_workers
        self._workers = 0
        self._tasks: deque[Task] = deque()

    def submit(self, function: Callable[..., object], *arguments: Any) -> Task:
        """Run a function in a thread as soon as one is free."""
        task = Task(lambda: function(*arguments))
        with ACTIVITY.changed:
            self._tasks.append(task)
            is_full = self._workers == self._max_workers
            self._workers += not is_full
        if not is_full:
            StatesThread(target=self._work, daemon=True).start()
        return task

    def _work(self) -> None:
        while True:
            with ACTIVITY.changed:
                if not self._tasks:
                    self._workers -= 1
                    return
                task = self._tasks.popleft()
            try:
                with suppress(ExecutionEndedError):
                    task.run()
            finally:
                with ACTIVITY.changed:
                    task.is_done = True
                    ACTIVITY.changed.notify_all()

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: MiniStack waits for all tasks."""


def wait_for_tasks(tasks: Iterable[Task]) -> None:
    """Wait until all tasks of a pool are done."""
    remaining = list(tasks)
    ACTIVITY.wait(lambda: all(task.is_done for task in remaining))


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """An execution that the current thread belongs to."""

    record: Mapping[str, Any]
    """MiniStack's record of the execution."""
    deadline: float = inf
    """The time at which the execution times out."""

    def is_ended(self) -> bool:
        """Return whether the execution was stopped, or has timed out."""
        return self.record["status"] != "RUNNING" or self.deadline <= time.time()


RUNS: ContextVar[tuple[Run, ...]] = ContextVar("RUNS", default=())
"""The execution of the current thread, after those that wait for it. MiniStack copies the context to new threads."""


def require_running() -> None:
    """Raise an exception if the execution of the current thread has ended.

    Raises:
        ExecutionEndedError: It was stopped, or has timed out.
    """
    if any(run.is_ended() for run in RUNS.get()):
        raise ExecutionEndedError


def wait_in_execution(is_done: Callable[[], bool], *, due: float = inf) -> bool:
    """Wait like `Activity.wait`, but not longer than the execution of the current thread.

    Raises:
        ExecutionEndedError: The execution was stopped, or has timed out.
    """
    runs = RUNS.get()
    ACTIVITY.wait(
        lambda: is_done() or any(run.is_ended() for run in runs),
        due=min(due, *(run.deadline for run in runs), inf),
    )
    require_running()
    return is_done()
