"""`tunestack jobs`: submit, list, follow and cancel fine-tuning jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.backends.base import JobState
from tunestack.cli.groups import Group, examples
from tunestack.cli.identifiers import find_job
from tunestack.cli.options import (
    Pair,
    base_filter,
    base_option,
    format_option,
    id_only_option,
    limit_option,
    limited,
    list_options,
    once,
    provider_option,
    state_option,
    tags_option,
    tuner_options,
    yes_option,
)
from tunestack.cli.output import NO, note, show, show_each, table
from tunestack.cli.report import metrics, report
from tunestack.cli.rerun import rerun
from tunestack.cli.several import (
    CANCEL_EFFECT,
    confirm_all,
    find_each,
    for_each,
    require_terminal,
)
from tunestack.cli.submit import submit
from tunestack.cli.time_options import since_option
from tunestack.cli.watch import wait, watch
from tunestack.cli.web import open_pages, web_option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import JobInfo
    from tunestack.jobs.job import Job
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


for command in (submit, rerun, wait, watch, metrics, report):
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
@state_option(JobState)
@base_option
@tags_option
@list_options("created", "name", "state")
@provider_option
@tuner_options
@format_option
@id_only_option
def list_jobs(
    name_contains: str | None,
    states: tuple[str, ...],
    model: str | None,
    tags: tuple[tuple[str, str], ...],
    limit: int,
    sort: str,
    since: datetime | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """List the jobs of the account in the region, or of the project at OpenAI."""
    has_base = base_filter(model, provider)
    found = tuner.jobs(
        name_contains=name_contains,
        state=states[0] if len(states) == 1 else None,
        created_after=since,
        tags=once(tags),
        provider=provider,
    )
    infos: Iterable[JobInfo] = (
        job.info
        for job in found
        if (not states or job.state in states) and has_base(job, job.info.base_model)
    )
    if sort != "created":
        infos = sorted(infos, key=lambda info: str(getattr(info, sort)))
    table(limited(infos, limit), ("id", "name", "state", "created"), of="jobs")


@jobs.command(
    "show",
    epilog=examples("tunestack jobs show latest", "tunestack jobs show JOB --web", page=_PAGE),
)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@web_option
@provider_option
@tuner_options
@format_option
@id_only_option
def show_jobs(jobs: tuple[str, ...], provider: Provider, tuner: Tuner, *, web: bool) -> None:
    """Show jobs."""
    found = find_each(find_job, tuner, jobs, provider)
    if web:
        open_pages((job.id, job.info.model) for job in found)
    else:
        show_each(job.info for job in found)


@jobs.command(
    epilog=examples(
        "tunestack jobs cancel latest", "tunestack jobs cancel JOB JOB --yes", page=_PAGE
    )
)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@yes_option
@provider_option
@tuner_options
@format_option
def cancel(jobs: tuple[str, ...], provider: Provider, tuner: Tuner, *, yes: bool) -> int | None:
    """Cancel jobs. Asks for confirmation in a terminal.

    A cancelled job creates no model; processed tokens are billed.
    """
    if len(jobs) > 1:
        require_terminal("the cancellation of several jobs", yes=yes)
    found = find_each(find_job, tuner, jobs, provider)
    lines = [f"job {job.name}: {job.info.description}" for job in found]
    if not confirm_all(lines, "Cancel", "job", effect=CANCEL_EFFECT, yes=yes):
        return NO

    def cancel_job(job: Job) -> None:
        stopped = job.cancel()
        note(f"job {job.name} {'is stopped' if stopped else 'had ended before'}")
        show(job.info)

    for_each(found, cancel_job)
    return None


@jobs.command(
    epilog=examples(
        "tunestack jobs tag latest team=search",
        "tunestack jobs tag JOB kept=yes reviewed-by=ana --json",
        page=_PAGE,
    )
)
@click.argument("job")
@click.argument("tags", metavar="[KEY=VALUE]...", type=Pair(), nargs=-1)
@provider_option
@tuner_options
@format_option
def tag(job: str, tags: tuple[tuple[str, str], ...], provider: Provider, tuner: Tuner) -> None:
    """Add or replace tags of a job on Bedrock, and show all tags. Without KEY=VALUE, only show them.

    OpenAI's jobs have the tags of their submission only.
    """
    found = find_job(tuner, job, provider)
    show(found.add_tags(dict(once(tags))) if tags else found.tags())


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
