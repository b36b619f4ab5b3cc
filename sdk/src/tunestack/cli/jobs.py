"""`tunestack jobs`: submit, list, follow and cancel fine-tuning jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.backends.base import JobState
from tunestack.cli.groups import Group, examples
from tunestack.cli.identifiers import find_job
from tunestack.cli.options import (
    format_option,
    id_only_option,
    limit_option,
    limited,
    list_options,
    once,
    provider_option,
    since_option,
    tags_option,
    tuner_options,
)
from tunestack.cli.output import note, show, table
from tunestack.cli.report import metrics, report
from tunestack.cli.submit import submit
from tunestack.cli.watch import wait, watch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import JobInfo
    from tunestack.tuner import Tuner

_PAGE = "jobs.md"


@click.group(
    cls=Group,
    epilog=examples(
        "tunestack jobs list --state running", "tunestack jobs watch latest", page=_PAGE
    ),
)
def jobs() -> None:
    """Submit, list, follow and cancel fine-tuning jobs.

    JOB is the id of a job: on Bedrock its ARN, its name, or the short id that lists show (or its first characters); at OpenAI
    ftjob-...; or `latest`.
    """


for command in (submit, wait, watch, metrics, report):
    jobs.add_command(command)


@jobs.command(
    "list",
    epilog=examples(
        "tunestack jobs list --state succeeded --since 7d",
        "tunestack jobs list --tag team=support --json",
        page=_PAGE,
    ),
)
@click.option("--name-contains", help="Only jobs whose name contains this.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    help="Only jobs in this state.",
)
@tags_option
@list_options("created", "name", "state")
@provider_option
@tuner_options
@format_option
@id_only_option
def list_jobs(
    name_contains: str | None,
    state: str | None,
    tags: tuple[tuple[str, str], ...],
    limit: int,
    sort: str,
    since: datetime | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """List the jobs of the account in the region, or of the project at OpenAI."""
    found = tuner.jobs(
        name_contains=name_contains,
        state=state,
        created_after=since,
        tags=once(tags),
        provider=provider,
    )
    infos: Iterable[JobInfo] = (job.info for job in found)
    if sort != "created":
        infos = sorted(infos, key=lambda info: str(getattr(info, sort)))
    table(limited(infos, limit), ("id", "name", "state", "created"), of="jobs")


@jobs.command(
    "show",
    epilog=examples("tunestack jobs show latest", "tunestack jobs show JOB --json", page=_PAGE),
)
@click.argument("job")
@provider_option
@tuner_options
@format_option
@id_only_option
def show_job(job: str, provider: Provider, tuner: Tuner) -> None:
    """Show a job."""
    show(find_job(tuner, job, provider).info)


@jobs.command(
    epilog=examples("tunestack jobs cancel latest", "tunestack jobs cancel JOB --json", page=_PAGE)
)
@click.argument("job")
@provider_option
@tuner_options
@format_option
def cancel(job: str, provider: Provider, tuner: Tuner) -> None:
    """Cancel a job.

    No model is created, and the tokens that were processed are billed.
    """
    found = find_job(tuner, job, provider)
    stopped = found.cancel()
    note(f"job {found.name} {'is stopped' if stopped else 'had ended before'}")
    show(found.info)


@jobs.command(
    epilog=examples(
        "tunestack jobs pause ftjob-123", "tunestack jobs resume ftjob-123", page="openai.md"
    )
)
@click.argument("job")
@provider_option
@tuner_options
@format_option
def pause(job: str, provider: Provider, tuner: Tuner) -> None:
    """Pause a job at OpenAI.

    What it has trained is billed, and kept. Bedrock can't pause jobs.
    """
    found = find_job(tuner, job, provider)
    found.pause()
    note(f"job {found.name} is paused")
    show(found.refresh())


@jobs.command(
    epilog=examples(
        "tunestack jobs resume ftjob-123", "tunestack jobs watch ftjob-123", page="openai.md"
    )
)
@click.argument("job")
@provider_option
@tuner_options
@format_option
def resume(job: str, provider: Provider, tuner: Tuner) -> None:
    """Resume a paused job at OpenAI."""
    found = find_job(tuner, job, provider)
    found.resume()
    note(f"job {found.name} is resumed")
    show(found.refresh())


@jobs.command(
    epilog=examples(
        "tunestack jobs events latest", "tunestack jobs events JOB --limit 5", page=_PAGE
    )
)
@click.argument("job")
@limit_option
@since_option()
@provider_option
@tuner_options
@format_option
def events(
    job: str,
    limit: int,
    since: datetime | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """List the events of a job, the newest first: OpenAI's messages, or on Bedrock the changes of its phases."""
    messages = find_job(tuner, job, provider).messages()
    found = (message for message in messages if since is None or message.time >= since)
    table(limited(found, limit), ("time", "level", "text"), of="events")


@jobs.command(
    epilog=examples(
        "tunestack jobs checkpoints latest --provider openai",
        "tunestack jobs checkpoints ftjob-123 --json",
        page="openai.md",
    )
)
@click.argument("job")
@provider_option
@tuner_options
@format_option
def checkpoints(job: str, provider: Provider, tuner: Tuner) -> None:
    """List the checkpoints of a job at OpenAI, the newest first; those of Bedrock can't be invoked."""
    table(
        find_job(tuner, job, provider).checkpoints(),
        ("model", "step", "metrics", "created"),
        of="checkpoints",
    )
