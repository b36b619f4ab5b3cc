"""`tunestack submit`, `jobs` and `job`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from tunestack.backends.base import JobState
from tunestack.cli.data_options import data_options
from tunestack.cli.options import (
    DataFile,
    Duration,
    Pair,
    id_only_option,
    json_option,
    model_option,
    new_tuner,
    once,
    place_options,
    provider_option,
    values_option,
)
from tunestack.cli.output import as_json, note, out, show, table
from tunestack.jobs.job import TIMEOUT

if TYPE_CHECKING:
    from datetime import timedelta

    from tunestack.backends.accounts import Provider
    from tunestack.jobs.job import Job
    from tunestack.records.target import Rendering
    from tunestack.spec.job_spec import Method, OnLoss


@click.command()
@click.argument("file", type=DataFile())
@model_option
@values_option
@data_options
@click.option("--validation", type=DataFile(), help="A file of validation data.")
@click.option("--s3-path", help="Where to store the data: a folder, or a .jsonl file.")
@click.option(
    "--name", default="tunestack", show_default=True, help="The prefix of the job's name."
)
@click.option(
    "--tag", "tags", type=Pair(), multiple=True, help="A tag of the job and its model: KEY=VALUE."
)
@click.option(
    "--rerun",
    is_flag=True,
    help="Start a new job even if one with the same content is running or has succeeded.",
)
@click.option(
    "--method",
    type=click.Choice(["supervised", "dpo"]),
    help="dpo learns from preferences (OpenAI).",
)
@click.option("--seed", type=int, help="The random seed (OpenAI).")
@click.option("--suffix", help="A part of the model's name (OpenAI).")
@click.option(
    "--max-cost", type=float, help="The limit for the estimated training cost, in US dollars."
)
@click.option(
    "--queue",
    type=Duration(),
    is_flag=False,
    flag_value="24h",
    metavar="[DURATION]",
    help="Wait for a free job slot if the quota is used up: 90m, 4h, 2d; 24h without a duration.",
)
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
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
    rendering: Rendering | None,
    mapping: dict[str, str] | None,
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
    """Submit a fine-tuning job for FILE (.jsonl or .jsonl.gz, or an s3:// URI); submitting the same again returns the same job."""
    submitted = new_tuner(stage, region).submit(
        model,
        file,
        data_format=data_format,
        hyperparameters=once(values),
        validation_data=validation,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        rendering=rendering,
        mapping=mapping,
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
    # Printed at once: whatever happens next, the id attaches to the job.
    note(f"job {submitted.id}")
    if wait:
        _follow(submitted)
    show(submitted.info, json_wanted=json_wanted)


@click.command()
@click.option("--name", "name_contains", help="Only jobs whose name contains this.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    help="Only jobs in this state.",
)
@click.option("--tag", "tags", type=Pair(), multiple=True, help="Only jobs with this tag.")
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
    tuner = new_tuner(stage, region)
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
    """Show a job."""
    show(new_tuner(stage, region).job(job_id).info, json_wanted=json_wanted)


@job.command()
@click.argument("job_id")
@click.option("--timeout", default=TIMEOUT, show_default=True, help="Seconds to wait.")
@place_options
@json_option
def watch(
    job_id: str, timeout: float, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Wait until a job has ended; exits with 1 unless it has succeeded. Ctrl-C leaves it running."""
    found = new_tuner(stage, region).job(job_id)
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
    """Cancel a job. No model is created, and the tokens that were processed are billed."""
    found = new_tuner(stage, region).job(job_id)
    stopped = found.cancel()
    note(f"job {found.name} {'is stopped' if stopped else 'had ended before'}")
    show(found.info, json_wanted=json_wanted)


def _follow(found: Job, timeout: float = TIMEOUT) -> None:
    seen = ""
    for info in found.watch(timeout):
        if info.described != seen:
            seen = info.described
            note(f"job {info.name} is {seen}")
    found.require_success(timeout)
