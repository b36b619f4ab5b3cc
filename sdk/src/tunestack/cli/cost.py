"""`tunestack cost`: estimate the cost of a job, or show what is or was billed."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from tunestack.cli.billed import show_billed_costs
from tunestack.cli.groups import examples
from tunestack.cli.options import new_tuner
from tunestack.cli.output import is_text, out, write
from tunestack.cli.running import show_running_costs
from tunestack.cli.submit import submit, to_arguments
from tunestack.cli.time_options import since_option, until_option

_WITHOUT_EFFECT = ("wait", "dry_run", "yes")
"""Options of `submit` that do not change the cost."""
_BILL = ("since", "until", "granularity")
"""Options for `--billed` only."""
_COMMON = {"stage", "region", "format", "json", "query", "id_only"}
_USED = {"running": {"running", *_COMMON}, "billed": {"billed", "tags", *_BILL, *_COMMON}}
"""The parameters that are used without an estimate."""


def _optional(parameter: click.Parameter) -> click.Parameter:
    if parameter.name not in ("file", "model"):
        return parameter
    optional = copy(parameter)
    optional.required = False
    return optional


@click.command(
    epilog=examples(
        "tunestack cost train.jsonl --model nova-micro -p epochCount=3",
        "tunestack cost --billed --since 30d",
        page="cli.md",
    ),
)
@since_option()
@until_option()
@click.option(
    "--granularity",
    type=click.Choice(["day", "month"]),
    help="The length of the periods of --billed; by default days up to 62 days, and months beyond.",
)
@click.option(
    "--billed",
    is_flag=True,
    help="Show what AWS billed in the past, from AWS Cost Explorer, instead of an estimate; AWS bills $0.01 for each request.",
)
@click.option(
    "--running",
    is_flag=True,
    help="List what is billed now by the hour or month, with prices and expiry times, instead of an estimate.",
)
def cost(
    file: str | None,
    model: str | None,
    stage: str | None,
    region: str | None,
    *,
    running: bool,
    billed: bool,
    **options: Any,
) -> None:
    """Estimate the cost of a job and of serving its model, by AWS's price list or, offline, by the catalog.

    Needs no account and no network; takes the options of `tunestack submit`. With --running, lists provisioned throughput,
    custom models and stored data, in all regions where models can be fine-tuned unless --region is set.

    With --billed, shows what AWS billed the account for Amazon Bedrock in the last 30 days, by day and usage type, in all regions
    unless --region is set. Days are in UTC: a date in --until is the day after the last one, a time is in the last one. --tag
    selects resources by an active cost allocation tag. AWS bills $0.01 per request. A bill needs at least two requests, plus
    one per additional page. The costs are up to 24 hours old. The caller needs ce:GetDimensionValues and ce:GetCostAndUsage,
    which no policy of the stage grants.
    """
    bill = {name: options.pop(name) for name in _BILL}
    if running and billed:
        raise click.UsageError("use either --running or --billed")
    _require_effect("running" if running else "billed" if billed else None)
    if billed:
        show_billed_costs(stage, region, tags=options["tags"], **bill)
        return
    if running:
        show_running_costs(stage, region)
        return
    if file is None or model is None:
        missing = "argument FILE" if file is None else "option --model"
        raise click.UsageError(
            f"missing {missing}; or use --running, for what is billed now, or --billed, for past bills"
        )
    for name in _WITHOUT_EFFECT:
        del options[name]
    estimated = new_tuner(stage, region).cost(model, file, **to_arguments(options))
    if not is_text():
        write(estimated)
        return
    for line in estimated.lines():
        out(line)


def _require_effect(mode: str | None) -> None:
    """Refuse parameters that have no effect: what is shown would seem to be of that model or file only."""
    ctx = click.get_current_context()
    for parameter in ctx.command.params:
        name = str(parameter.name)
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        given = "FILE" if isinstance(parameter, click.Argument) else parameter.opts[0]
        if mode != "billed" and name in _BILL:
            raise click.UsageError(f"{given} needs --billed")
        if mode is not None and name not in _USED[mode]:
            raise click.UsageError(f"{given} has no effect with --{mode}: leave it out")


# The parameters of `submit`, so that replacing `submit` with `cost` in a command line always works.
cost.params[:0] = map(_optional, submit.params)
