"""Pass the observations of a job to a function or a notebook while it is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tunestack._utils.html import tag
from tunestack._utils.notebook import create_display
from tunestack.backends.base import JobInfo
from tunestack.errors import ConfigError, shortened
from tunestack.jobs.progress import ProgressReader

if TYPE_CHECKING:
    from tunestack.backends.protocols import Backend

Observer = Callable[[JobInfo], None]
"""Receives each observation of a job."""


def to_observer(progress: object, backend: Backend, info: JobInfo) -> Observer:
    """Return the function that receives the observations of a job.

    Args:
        progress: an `Observer`; `True` for a line that updates itself in a notebook, and nothing elsewhere; `False` for nothing.
        backend: the provider of the job.
        info: the last observation.

    Raises:
        ConfigError: `progress` is neither a bool nor a function.
    """
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        raise ConfigError(f"invalid progress {shortened(progress)}: use True, False or a function")
    display = create_display() if progress else None
    if display is None:
        return lambda _: None
    reader = ProgressReader(backend, info.base_model)

    def show(info: JobInfo) -> None:
        details = str(reader.read(info)).removeprefix(info.description)
        failure = f": {info.failure}" if info.failure else ""
        state = tag("b", info.description)
        display(tag("div", f"job {info.name}: ", state, details + failure, role="status"))

    return show
