"""`tunestack submit` and `tunestack jobs submit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunestack.cli.data_options import data_options
from tunestack.cli.groups import examples
from tunestack.cli.options import (
    DataFile,
    Duration,
    format_option,
    id_only_option,
    model_option,
    once,
    tags_option,
    tuner_options,
    values_option,
)
from tunestack.cli.output import note, show
from tunestack.cli.watch import follow_in_text

if TYPE_CHECKING:
    from tunestack.tuner import Tuner


@click.command(
    epilog=examples(
        "tunestack submit train.jsonl --model nova-micro -p epochCount=3",
        "tunestack submit train.jsonl --model nova-micro --max-cost 20 --wait --json",
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
@tuner_options
@format_option
@id_only_option
def submit(file: str, model: str, tuner: Tuner, *, wait: bool, **arguments: Any) -> None:
    """Submit a fine-tuning job for FILE.

    FILE is a path (see docs/my-data.md), - for standard input, or an s3:// URI. Submitting the same content again returns the
    same job, which is billed once.
    """
    submitted = tuner.submit(model, file, **to_arguments(arguments))
    # Printed at once: whatever happens next, the id attaches to the job.
    note(f"job {submitted.id}")
    if wait:
        follow_in_text(submitted)
    show(submitted.info)


def to_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Tuner.submit` for the options of the command."""
    return options | {
        "hyperparameters": once(options.pop("values")),
        "tags": once(options["tags"]),
        "queue": options["queue"] or False,
    }
