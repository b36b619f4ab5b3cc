"""Show the progress of jobs: phase, elapsed time, remaining time with its basis, and loss."""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.errors import TunestackError
from tunestack.jobs.remaining import PastDurations, past_durations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunestack.backends.base import JobInfo
    from tunestack.backends.protocols import Backend

_EVERY = 1.0
"""Seconds between two updates of the line."""
_CLEAR_LINE = "\r\x1b[K"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a job is, as of its last observation and the provider's clock."""

    info: JobInfo
    elapsed: timedelta | None
    """Since it was created."""
    remaining: timedelta | None = None
    """`None` if it is unknown, or the job has ended."""
    basis: str = ""
    """Where the remaining time is from."""
    loss: float | None = None

    def __str__(self) -> str:
        """Describe the progress in a line."""
        parts = [self.info.description]
        if self.elapsed is not None:
            elapsed = duration_text(_whole(self.elapsed))
            parts.append(
                f"after {elapsed}" if self.info.state.is_terminal else f"{elapsed} elapsed"
            )
        if self.remaining is not None:
            parts.append(f"about {duration_text(_whole(self.remaining))} left ({self.basis})")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        return ", ".join(parts)


class ProgressReader:
    """Computes the progress of a job; the durations of earlier jobs are read once."""

    def __init__(self, backend: Backend, base_model: str) -> None:
        """Read the durations; they are unknown if that fails."""
        self._backend = backend
        self._durations: PastDurations | None = None
        with suppress(TunestackError):
            self._durations = past_durations(backend, base_model)
        self._last: JobInfo | None = None
        self._loss: float | None = None

    def read(self, info: JobInfo) -> Progress:
        """Return the progress for an observation; the provider is asked for the loss once for each."""
        if info is not self._last:
            self._last, self._loss = info, info.training_loss
            if not info.state.is_terminal and self._loss is None:
                with suppress(TunestackError):
                    self._loss = self._backend.latest_loss(info.id)
        now = self._backend.now()
        if info.created is None:
            return Progress(info=info, elapsed=None, loss=self._loss)
        elapsed = (info.ended or now) - info.created
        if info.state.is_terminal:
            return Progress(info=info, elapsed=elapsed, loss=self._loss)
        remaining, basis = None, ""
        if info.expected is not None:
            remaining, basis = info.expected - now, "the provider's estimate"
        elif self._durations is not None:
            remaining, basis = self._durations.median - elapsed, self._durations.basis
        if remaining is not None and remaining <= timedelta(0):
            # It takes longer than the others: how much longer is unknown.
            remaining = None
        return Progress(
            info=info, elapsed=elapsed, remaining=remaining, basis=basis, loss=self._loss
        )


@contextmanager
def show_progress(backend: Backend, name: str, last: Callable[[], JobInfo]) -> Iterator[None]:
    """Show a line in the terminal that is updated each second; elsewhere nothing, since changes are logged.

    Args:
        backend: the provider of the job.
        name: the name of the job.
        last: returns the last observation.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    reader, stop = ProgressReader(backend, last().base_model), threading.Event()

    def draw() -> None:
        text = f"job {name}: {reader.read(last())}"
        sys.stderr.write(_CLEAR_LINE + text[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()

    def update() -> None:
        while not stop.wait(_EVERY):
            draw()

    thread = threading.Thread(target=update, name="tunestack-progress", daemon=True)
    draw()
    try:
        thread.start()
        yield
    finally:
        stop.set()
        if thread.is_alive():  # Ctrl-C may arrive while it starts
            thread.join()
        draw()
        sys.stderr.write("\n")


def _whole(duration: timedelta) -> timedelta:
    """Round down to seconds, and never below 0: clocks differ."""
    return timedelta(seconds=max(0, int(duration.total_seconds())))
