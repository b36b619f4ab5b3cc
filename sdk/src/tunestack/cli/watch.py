"""`tunestack jobs wait` and `tunestack jobs watch`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tunestack.cli.groups import examples
from tunestack.cli.identifiers import find_job, short_id
from tunestack.cli.options import format_option, provider_option, tuner_options
from tunestack.cli.output import is_text, note, show, write
from tunestack.cli.time_options import Duration
from tunestack.jobs.job import TIMEOUT
from tunestack.jobs.progress import Progress, ProgressReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.backends.accounts import Provider
    from tunestack.jobs.job import Job
    from tunestack.tuner import Tuner

_TIMEOUT = timedelta(seconds=TIMEOUT)
_timeout_option = click.option(
    "--timeout",
    type=Duration(),
    default="24h",
    show_default=True,
    help="Stop waiting after this time: 30s, 90m, 4h, 2d. The job continues.",
)


@click.command(
    epilog=examples(
        "tunestack jobs wait latest --timeout 6h",
        "tunestack jobs wait JOB && tunestack endpoints start JOB",
        page="jobs.md",
    )
)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@_timeout_option
@provider_option
@tuner_options
@format_option
def wait(jobs: tuple[str, ...], timeout: timedelta, provider: Provider, tuner: Tuner) -> None:
    """Wait until jobs have ended, and print them; exits with 1 unless all have succeeded.

    Ctrl-C leaves the jobs running.
    """
    found = [find_job(tuner, job, provider) for job in jobs]
    tuner.wait_all(found, timeout)
    for job in found:
        show(job.refresh())
    for job in found:
        job.require_success(timeout.total_seconds())


@click.command(
    epilog=examples(
        "tunestack jobs watch latest", "tunestack jobs watch JOB JOB --json", page="jobs.md"
    )
)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@_timeout_option
@provider_option
@tuner_options
@format_option
def watch(jobs: tuple[str, ...], timeout: timedelta, provider: Provider, tuner: Tuner) -> None:
    """Show the progress of jobs until they have ended; exits with 1 unless all have succeeded.

    A terminal shows phase, elapsed time, remaining time and loss of each job. Ctrl-C leaves the jobs running. With --json, each
    change is one object.
    """
    found = [find_job(tuner, job, provider) for job in jobs]
    follow_jobs(tuner, found, timeout)
    if is_text():
        for job in found:
            show(job.refresh())


def follow_jobs(tuner: Tuner, jobs: list[Job], timeout: timedelta = _TIMEOUT) -> None:
    """Show the progress of jobs until they have ended, and raise unless all have succeeded."""
    readers = {job.id: ProgressReader(job.backend, job.info.base_model) for job in jobs}
    changes = _changes(tuner, jobs, timeout)
    if not is_text():
        for job in changes:
            write(_fields(readers[job.id].read(job.info)))
    elif sys.stderr.isatty():
        from tunestack.cli.drawing import live_lines  # noqa: PLC0415 - loads rich

        def lines() -> list[str]:
            return [f"{short_id(job.id)} {readers[job.id].read(job.info)}" for job in jobs]

        with live_lines(lines):
            for _ in changes:
                pass
        for job in jobs:
            note(_line(job, readers[job.id].read(job.info)))
    else:
        for job in changes:
            note(_line(job, readers[job.id].read(job.info)))
    for job in jobs:
        job.require_success(timeout.total_seconds())


def _changes(tuner: Tuner, jobs: list[Job], timeout: timedelta) -> Iterator[Job]:
    """Yield each job at first, and when it has changed, until all have ended or the timeout is over."""
    yield from jobs
    if len(jobs) > 1:
        yield from tuner.follow(jobs, timeout)
        return
    (job,) = jobs
    seen = _state(job)
    for _ in job.watch(timeout):
        if _state(job) != seen:
            seen = _state(job)
            yield job


def _state(job: Job) -> tuple[object, ...]:
    return job.info.raw_state, job.info.phase, job.info.training_loss


def _line(job: Job, progress: Progress) -> str:
    return f"job {job.name} is {progress}"


def _fields(progress: Progress) -> dict[str, object]:
    """Return the fields of the job, and its progress in seconds."""
    return asdict(progress.info) | {
        "elapsed": progress.elapsed,
        "remaining": progress.remaining,
        "remaining_basis": progress.basis or None,
        "loss": progress.loss,
    }
