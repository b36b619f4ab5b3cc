"""Jobs that a thread of this process submits and follows.

The threads are daemons: a process may end while its jobs go on at their provider. It does not end before a job is submitted,
unless it is interrupted (Ctrl-C): otherwise paid work before it, such as a program's answers, would be lost without a word.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from typing import Protocol

logger = logging.getLogger(__name__)


class BackgroundJob(Protocol):
    """A job that a thread submits and follows."""

    thread: threading.Thread | None

    @property
    def is_unsubmitted(self) -> bool:
        """Whether the job has still to be created: the process has to wait for it."""
        ...

    def done(self) -> bool:
        """Return whether the job has a result."""
        ...

    def exit_message(self) -> str:
        """Return what becomes of the job when the process ends now, and how to get back to it."""
        ...

    def end(self) -> None:
        """Stop to follow the job soon; the job itself goes on."""
        ...


_jobs: list[BackgroundJob] = []
_lock = threading.Lock()
_told: list[str] = []
"""What was logged after Ctrl-C."""


def add(job: BackgroundJob) -> None:
    """Remember a job until its thread has ended."""
    with _lock:
        if job not in _jobs:
            _jobs.append(job)


def running() -> list[BackgroundJob]:
    """Return the jobs that a thread of this process submits or follows."""
    with _lock:
        _jobs[:] = [job for job in _jobs if _is_running(job)]
        return list(_jobs)


def _is_running(job: BackgroundJob) -> bool:
    if not job.done():
        return True
    return job.thread is not None and job.thread.is_alive()


def end() -> None:
    """Stop to follow all jobs soon; the jobs themselves go on. What is being submitted is submitted first."""
    for job in running():
        job.end()


def join(timeout: float) -> bool:
    """Wait until no thread submits or follows a job any more.

    Returns:
        Whether none is left after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while left := running():
        if time.monotonic() >= deadline:
            return False
        thread = left[0].thread
        pause = min(0.1, max(0.0, deadline - time.monotonic()))
        if thread is not None and thread.is_alive():
            thread.join(pause)
        else:
            time.sleep(pause)
    return True


def note_interrupt(job: BackgroundJob) -> None:
    """Log what becomes of a job that the user no longer waits for (Ctrl-C); at its end, the process waits for no free slot."""
    _told.append(job.exit_message())
    logger.warning("%s", _told[-1])


def _at_exit() -> None:
    """Wait until every job is submitted, and log which jobs go on."""
    try:
        if unsubmitted := [job for job in running() if job.is_unsubmitted]:
            if _told or getattr(sys, "last_type", None) is KeyboardInterrupt:
                # Those that wait for a free slot stop waiting; an upload or a request is completed.
                for job in unsubmitted:
                    job.end()
            logger.warning(
                "%d jobs are not submitted yet, the process ends as soon as they are (Ctrl-C: at once, without them)",
                len(unsubmitted),
            )
            while any(job.is_unsubmitted for job in unsubmitted):
                time.sleep(0.05)
    except KeyboardInterrupt:
        logger.warning("interrupted")
    for job in running():
        if not job.done() and job.exit_message() not in _told:
            logger.warning("%s", job.exit_message())


def _forget() -> None:
    """Forget the jobs in a forked process, which has none of their threads."""
    global _lock  # noqa: PLW0603 - another thread may hold it while the process forks
    _lock = threading.Lock()
    _jobs.clear()
    _told.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
