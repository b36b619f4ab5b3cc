"""`tunestack submit` and `tunestack jobs submit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunestack.cli.confirmation import DeclinedError, require_confirmation
from tunestack.cli.data_options import data_options
from tunestack.cli.groups import examples
from tunestack.cli.options import (
    DataFile,
    format_option,
    id_only_option,
    model_option,
    model_place_options,
    once,
    pass_tuner,
    tags_option,
    values_option,
    yes_option,
)
from tunestack.cli.output import (
    MESSAGES_AS_JSON,
    NO,
    is_text,
    note,
    out,
    show,
    write,
)
from tunestack.cli.time_options import Duration
from tunestack.cli.watch import follow_jobs

if TYPE_CHECKING:
    from tunestack.cli.options import Command
    from tunestack.jobs.plan import Plan
    from tunestack.tuner import Tuner


def submission_options(command: Command) -> Command:
    """Add the options of `submit` and `jobs rerun` that do not decide the content of the job."""
    for option in (
        click.option(
            "--dry-run",
            is_flag=True,
            help="Show the plan without uploading data or creating a job.",
        ),
        click.option("--wait", is_flag=True, help="Wait until the job has ended."),
        click.option(
            "--queue",
            type=Duration(),
            is_flag=False,
            flag_value="24h",
            metavar="[DURATION]",
            help="Wait for a free job slot if the quota is used up: 90m, 4h, 2d; 24h without a duration.",
        ),
        click.option(
            "--max-cost",
            type=float,
            help="The limit for the estimated training cost, in US dollars.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "tunestack submit train.jsonl --model nova-micro -p epochCount=3",
        "tunestack submit train.jsonl --model nova-micro --max-cost 20 --yes --wait --json",
        page="jobs.md",
    )
)
@click.argument("file", type=DataFile())
@model_option
@values_option
@data_options
@click.option(
    "--validation", "validation_data", type=DataFile(), help="The file of validation data."
)
@click.option("--s3-path", help="Where to store the data: a folder, or a .jsonl file.")
@click.option(
    "--name", default="tunestack", show_default=True, help="The prefix of the job's name."
)
@tags_option
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
@submission_options
@yes_option
@model_place_options
@pass_tuner
@format_option
@id_only_option
def submit(file: str, model: str, tuner: Tuner, **options: Any) -> int | None:
    """Submit a fine-tuning job for FILE. Asks for confirmation in a terminal.

    FILE is a path or an s3:// URI: see docs/my-data.md. Submitting the same content again returns the same job, which is billed
    once.
    """
    return submit_job(tuner, model, file, **to_arguments(options))


def submit_job(
    tuner: Tuner,
    model: str,
    data: str,
    *,
    wait: bool,
    dry_run: bool,
    yes: bool,
    **arguments: Any,
) -> int | None:
    """Show the plan of a job, submit it after a confirmation in a terminal, and print it."""
    if dry_run:
        _show_plan(tuner.plan(model, data, **arguments))
        return None

    def confirm(plan: Plan) -> None:
        _note_plan(plan)
        if plan.existing is None:
            require_confirmation("Submit this job?", yes=yes)

    try:
        submitted = tuner.submit(model, data, confirm=confirm, **arguments)
    except DeclinedError:
        note("nothing was submitted")
        return NO
    # Printed at once: whatever happens next, the id attaches to the job.
    note(f"job {submitted.id}")
    if wait and is_text():
        follow_jobs(tuner, [submitted])
    elif wait:
        submitted.wait()
    show(submitted.info)
    return None


def _show_plan(plan: Plan) -> None:
    if not is_text():
        write(plan)
        return
    for line in plan.lines():
        out(line)
    note("dry run: nothing was uploaded or created")


def _note_plan(plan: Plan) -> None:
    """Print the plan as messages, with `--json` as one of them."""
    if MESSAGES_AS_JSON.get():
        note("the plan of the job", plan=plan)
        return
    for line in plan.lines():
        note(line)


def to_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Tuner.submit` for the options of the command."""
    return options | {
        "hyperparameters": once(options.pop("values")),
        "tags": once(options["tags"]),
        "queue": options["queue"] or False,
    }
