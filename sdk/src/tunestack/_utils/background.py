"""Registry of the jobs that background threads of this process submit and monitor.

The threads are daemon threads: the process can exit while its jobs continue at their provider. At exit, the process waits until
all jobs are submitted, unless it is interrupted (Ctrl-C). Otherwise paid work that precedes a job, such as the responses of a
program, would be lost without a message.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from typing import Protocol

# Its handler at exit must run after the one of this module: atexit calls the last one first.
import tunestack._utils.temporary  # noqa: F401

logger = logging.getLogger(__name__)


class BackgroundJob(Protocol):
    """A job that a background thread submits and monitors."""

    thread: threading.Thread | None

    @property
    def is_unsubmitted(self) -> bool:
        """Whether the job is not created yet: the process must wait for it."""
        ...

    def done(self) -> bool:
        """Return whether the job has a result."""
        ...

    def exit_message(self) -> str:
        """Return what happens to the job if the process exits now, and how to resume it."""
        ...

    def end(self) -> None:
        """Stop monitoring the job soon; the job itself continues."""
        ...


_jobs: list[BackgroundJob] = []
_lock = threading.Lock()
_logged_messages: list[str] = []
"""Messages that were logged after Ctrl-C."""


def add(job: BackgroundJob) -> None:
    """Register a job until its thread has ended."""
    with _lock:
        if job not in _jobs:
            _jobs.append(job)


def running() -> list[BackgroundJob]:
    """Return the jobs that a thread of this process submits or monitors."""
    with _lock:
        _jobs[:] = [job for job in _jobs if _is_running(job)]
        return list(_jobs)


def _is_running(job: BackgroundJob) -> bool:
    if not job.done():
        return True
    return job.thread is not None and job.thread.is_alive()


def end() -> None:
    """Stop monitoring all jobs soon; the jobs themselves continue. Submissions in progress are completed first."""
    for job in running():
        job.end()


def join(timeout: float) -> bool:
    """Wait until no thread submits or monitors a job.

    Returns:
        Whether all threads have ended within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while jobs := running():
        if time.monotonic() >= deadline:
            return False
        thread = jobs[0].thread
        pause = min(0.1, max(0.0, deadline - time.monotonic()))
        if thread is not None and thread.is_alive():
            thread.join(pause)
        else:
            time.sleep(pause)
    return True


def note_interrupt(job: BackgroundJob) -> None:
    """Log what happens to a job after Ctrl-C. At exit, the process then does not wait for a free job slot."""
    _logged_messages.append(job.exit_message())
    logger.warning("%s", _logged_messages[-1])


def _at_exit() -> None:
    """Wait until all jobs are submitted, and log which jobs continue."""
    try:
        if unsubmitted := [job for job in running() if job.is_unsubmitted]:
            if _logged_messages or getattr(sys, "last_type", None) is KeyboardInterrupt:
                # Jobs that wait for a free slot stop waiting; uploads and requests in progress are completed.
                for job in unsubmitted:
                    job.end()
            logger.warning(
                "%d jobs are not submitted yet: waiting for their submission (Ctrl-C exits without submitting them)",
                len(unsubmitted),
            )
            while any(job.is_unsubmitted for job in unsubmitted):
                time.sleep(0.05)
    except KeyboardInterrupt:
        logger.warning("interrupted")
    for job in running():
        if not job.done() and job.exit_message() not in _logged_messages:
            logger.warning("%s", job.exit_message())


def _clear_after_fork() -> None:
    """Remove all jobs in a forked process, because their threads do not exist there."""
    global _lock  # noqa: PLW0603 - another thread may hold it while the process forks
    _lock = threading.Lock()
    _jobs.clear()
    _logged_messages.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clear_after_fork)
