"""Show the observations of a job while it is waited for, in a notebook or elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack._utils.html import tag
from tunestack._utils.notebook import create_display
from tunestack.backends.base import JobInfo
from tunestack.errors import ConfigError, shortened

if TYPE_CHECKING:
    from tunestack.backends.protocols import Backend

Observer = Callable[[JobInfo], None]
"""Receives each observation of a job."""


def to_observer(progress: object, backend: Backend) -> Observer:
    """Return what shows the observations of a job.

    Args:
        progress: an `Observer`; `True` for a line that updates itself in a notebook, and a line for each change on standard
            error elsewhere; `False` for nothing.
        backend: the service of the job, whose clock measures the elapsed time.

    Raises:
        ConfigError: it is neither a bool nor a function.
    """
    if callable(progress):
        return progress
    if progress is False:
        return lambda _: None
    if progress is not True:
        raise ConfigError(f"invalid progress {shortened(progress)}: use True, False or a function")
    display = create_display()
    if display is None:
        return _Lines()
    return lambda info: display(_line(info, backend))


class _Lines:
    """Writes a line to standard error for each change."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, info: JobInfo) -> None:
        """Write a line, if the state or phase is another one."""
        if info.described != self._last:
            self._last = info.described
            sys.stderr.write(f"job {info.name} is {info.described}\n")


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
