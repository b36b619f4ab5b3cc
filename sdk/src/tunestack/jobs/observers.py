"""Show the observations of a job while it is waited for, in a notebook or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack._utils.html import tag
from tunestack._utils.notebook import create_display
from tunestack.backends.base import JobInfo
from tunestack.errors import ConfigError, shortened
from tunestack.jobs.progress import show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.backends.protocols import Backend

Observer = Callable[[JobInfo], None]
"""Receives each observation of a job."""


@contextmanager
def observe(
    progress: object, backend: Backend, name: str, last: Callable[[], JobInfo]
) -> Iterator[Observer]:
    """Yield what shows the observations of a job.

    Args:
        progress: an `Observer`; `True` for a line that updates itself in a notebook or a terminal; `False` for nothing.
        backend: the service of the job, whose clock measures the elapsed time.
        name: the name of the job.
        last: returns the last observation.

    Raises:
        ConfigError: it is neither a bool nor a function.
    """
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, bool):
        raise ConfigError(f"invalid progress {shortened(progress)}: use True, False or a function")
    display = create_display() if progress else None
    if display is not None:
        yield lambda info: display(_line(info, backend))
        return
    with show_progress(backend, name, last) if progress else nullcontext():
        yield lambda _: None


def _line(info: JobInfo, backend: Backend) -> str:
    parts = [tag("b", info.described)]
    if info.created is not None:
        until = info.ended or backend.now()
        parts.append(tag("span", f", {duration_text(until - info.created)}"))
    if info.training_loss is not None:
        parts.append(tag("span", f", training loss {info.training_loss:.4g}"))
    if info.failure:
        parts.append(tag("span", f": {info.failure}"))
    return tag("div", f"job {info.name}: ", *parts, role="status")
