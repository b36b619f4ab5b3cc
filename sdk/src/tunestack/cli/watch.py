"""`tunestack jobs wait` and `tunestack jobs watch`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tunestack.cli.groups import examples
from tunestack.cli.identifiers import find_job
from tunestack.cli.options import Duration, format_option, provider_option, tuner_options
from tunestack.cli.output import is_text, note, show, write
from tunestack.jobs.job import TIMEOUT

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider
    from tunestack.jobs.job import Job
    from tunestack.tuner import Tuner

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
    """Show each change of jobs until they have ended; exits with 1 unless all have succeeded.

    Ctrl-C leaves the jobs running. With --json, each change is one object.
    """
    found = [find_job(tuner, job, provider) for job in jobs]
    for job in found:
        if not is_text():
            for info in job.watch(timeout):
                write(info)
            job.require_success(timeout.total_seconds())
            continue
        follow_in_text(job, timeout)
        show(job.info)


def follow_in_text(job: Job, timeout: timedelta = timedelta(seconds=TIMEOUT)) -> None:
    """Print a message for each change of a job, and raise unless it has succeeded."""
    seen = ""
    for info in job.watch(timeout):
        if info.described != seen:
            seen = info.described
            note(f"job {info.name} is {seen}")
    job.require_success(timeout.total_seconds())
