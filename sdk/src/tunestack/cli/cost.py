"""`tunestack cost`: estimate the cost of a job."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from tunestack.cli.groups import examples
from tunestack.cli.options import new_tuner
from tunestack.cli.output import is_text, out, write
from tunestack.cli.running import show_running_costs
from tunestack.cli.submit import submit, to_arguments

_WITHOUT_EFFECT = ("wait", "dry_run", "yes")
"""Options of `submit` that do not change the cost."""


def _cost(
    file: str | None,
    model: str | None,
    stage: str | None,
    region: str | None,
    *,
    running: bool,
    **options: Any,
) -> None:
    if running:
        show_running_costs(stage, region)
        return
    if file is None or model is None:
        missing = "argument FILE" if file is None else "option --model"
        raise click.UsageError(f"missing {missing}; or use --running, for what is billed now")
    for name in _WITHOUT_EFFECT:
        del options[name]
    estimated = new_tuner(stage, region).cost(model, file, **to_arguments(options))
    if not is_text():
        write(estimated)
        return
    for line in estimated.lines():
        out(line)


def _optional(parameter: click.Parameter) -> click.Parameter:
    if parameter.name not in ("file", "model"):
        return parameter
    optional = copy(parameter)
    optional.required = False
    return optional


# Has the parameters of `submit`, so that replacing `submit` with `cost` in a command line always works.
cost = click.Command(
    "cost",
    params=[
        *map(_optional, submit.params),
        click.Option(
            ["--running"],
            is_flag=True,
            help="List what is billed now by the hour or month, with prices and ends, instead of an estimate.",
        ),
    ],
    callback=_cost,
    help="Estimate the cost of a job and of serving its model, by AWS's price list or, offline, by the catalog.\n\n"
    "Needs no account and no network; takes the options of `tunestack submit`. With --running, lists provisioned throughput, "
    "custom models and stored data, in all regions where models can be fine-tuned unless --region is set.",
    epilog=examples(
        "tunestack cost train.jsonl --model nova-micro -p epochCount=3",
        "tunestack cost --running",
        page="cli.md",
    ),
)
