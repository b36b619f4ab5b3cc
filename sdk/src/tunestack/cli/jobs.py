"""`tunestack submit`, `jobs` and `job`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from tunestack.backends.base import JobState
from tunestack.cli.options import (
    DataFile,
    Duration,
    Pair,
    data_options,
    id_only_option,
    json_option,
    model_option,
    once,
    place_options,
    provider_option,
    values_option,
)
from tunestack.cli.output import as_json, note, out, show, table
from tunestack.jobs.job import TIMEOUT
from tunestack.tuner import Tuner

if TYPE_CHECKING:
    from datetime import timedelta

    from tunestack.backends.accounts import Provider
    from tunestack.jobs.job import Job
    from tunestack.spec.job_spec import Method, OnLoss


@click.command()
@click.argument("file", type=DataFile())
@model_option
@values_option
@data_options
@click.option("--validation", type=DataFile())
@click.option("--s3-path", help="Where to put the data: a folder, or the file's own place.")
@click.option(
    "--name", default="tunestack", show_default=True, help="What the job's name begins with."
)
@click.option("--tag", "tags", type=Pair(), multiple=True, help="For the job and the tuned model.")
@click.option("--rerun", is_flag=True, help="Train again although an equal job runs or succeeded.")
@click.option(
    "--method",
    type=click.Choice(["supervised", "dpo"]),
    help="dpo learns from preferences (OpenAI).",
)
@click.option("--seed", type=int, help="What chance is to begin with (OpenAI).")
@click.option("--suffix", help="What the tuned model's name has in it (OpenAI).")
@click.option("--max-cost", type=float, help="US dollars that training may cost, as estimated.")
@click.option(
    "--queue",
    type=Duration(),
    is_flag=False,
    flag_value="24h",
    metavar="[DURATION]",
    help="Wait for a free job slot (90m, 4h, 2d; 24h if no duration follows) when the account runs as many jobs as it may.",
)
@click.option("--wait", is_flag=True, help="Follow the job to its end.")
@place_options
@json_option
@id_only_option
def submit(
    file: str,
    model: str,
    values: tuple[tuple[str, str], ...],
    data_format: str | None,
    record_format: str | None,
    on_loss: OnLoss,
    ignore: tuple[str, ...],
    validation: str | None,
    s3_path: str | None,
    name: str,
    tags: tuple[tuple[str, str], ...],
    stage: str | None,
    region: str | None,
    method: Method | None,
    seed: int | None,
    suffix: str | None,
    max_cost: float | None,
    queue: timedelta | None,
    *,
    rerun: bool,
    wait: bool,
    json_wanted: bool,
) -> None:
    """Submit a fine-tuning job for FILE (.jsonl or .jsonl.gz, also s3://); the same again is the same job."""
    submitted = Tuner(stage, region=region).submit(
        model,
        file,
        data_format=data_format,
        hyperparameters=once(values),
        validation_data=validation,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        s3_path=s3_path,
        name=name,
        tags=once(tags),
        rerun=rerun,
        max_cost=max_cost,
        method=method,
        seed=seed,
        suffix=suffix,
        queue=False if queue is None else queue,
    )
    # At once: whatever comes, this is what attaches to it.
    note(f"job {submitted.id}")
    if wait:
        _follow(submitted)
    show(submitted.info, json_wanted=json_wanted)


@click.command()
@click.option("--name", "name_contains", help="Only those whose name contains this.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    help="Only those in this state.",
)
@click.option("--tag", "tags", type=Pair(), multiple=True, help="Only those with this tag.")
@click.option("--limit", type=click.IntRange(1), help="List at most this many jobs.")
@provider_option
@place_options
@json_option
@id_only_option
def jobs(
    name_contains: str | None,
    state: str | None,
    tags: tuple[tuple[str, str], ...],
    limit: int | None,
    provider: Provider,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> None:
    """List the jobs of the account in the region, or of the project at OpenAI, the newest first."""
    tuner = Tuner(stage, region=region)
    found = tuner.jobs(name_contains=name_contains, state=state, tags=once(tags), provider=provider)
    table(
        [one.info for one in islice(found, limit)],
        ("name", "state", "created", "id"),
        of="jobs",
        json_wanted=json_wanted,
    )


@click.group()
def job() -> None:
    """Show, watch or cancel one job, by its ARN or name, or its id at OpenAI."""


@job.command("show")
@click.argument("job_id")
@place_options
@json_option
def show_job(job_id: str, stage: str | None, region: str | None, *, json_wanted: bool) -> None:
    """Show a job as it is now."""
    show(Tuner(stage, region=region).job(job_id).info, json_wanted=json_wanted)


@job.command()
@click.argument("job_id")
@click.option("--timeout", default=TIMEOUT, show_default=True, help="Seconds to watch.")
@place_options
@json_option
def watch(
    job_id: str, timeout: float, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Follow a job to its end; exits with 1 unless it succeeds. Ctrl-C leaves it running."""
    found = Tuner(stage, region=region).job(job_id)
    if not json_wanted:
        _follow(found, timeout)
        show(found.info, json_wanted=False)
        return
    for info in found.watch(timeout):
        out(as_json(info))
    found.require_success(timeout)


@job.command()
@click.argument("job_id")
@place_options
@json_option
def cancel(job_id: str, stage: str | None, region: str | None, *, json_wanted: bool) -> None:
    """Stop a job for good: what it trained is billed, and no model comes of it."""
    found = Tuner(stage, region=region).job(job_id)
    stopped = found.cancel()
    note(f"job {found.name} {'is stopped for good' if stopped else 'has ended already'}")
    show(found.info, json_wanted=json_wanted)


def _follow(found: Job, timeout: float = TIMEOUT) -> None:
    seen = ""
    for info in found.watch(timeout):
        if info.described != seen:
            seen = info.described
            note(f"job {info.name} is {seen}")
    found.require_success(timeout)
