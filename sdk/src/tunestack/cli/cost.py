"""`tunestack cost`: estimate the cost of a job."""

from __future__ import annotations

from typing import Any

import click

from tunestack.cli.jobs import submit
from tunestack.cli.options import new_tuner, once
from tunestack.cli.output import as_json, out


def _cost(
    *,
    file: str,
    model: str,
    values: tuple[tuple[str, str], ...],
    validation: str | None,
    tags: tuple[tuple[str, str], ...],
    stage: str | None,
    region: str | None,
    json_wanted: bool,
    wait: bool,  # noqa: ARG001 - has no effect on the cost
    **options: Any,
) -> None:
    estimated = new_tuner(stage, region).cost(
        model,
        file,
        hyperparameters=once(values),
        validation_data=validation,
        tags=once(tags),
        **options,
    )
    if json_wanted:
        out(as_json(estimated))
        return
    for line in estimated.lines():
        out(line)


# Has the parameters of `submit`, so that replacing `submit` with `cost` in a command line always works.
cost = click.Command(
    "cost",
    params=submit.params,
    callback=_cost,
    help="Estimate the cost of a job and of serving its model, by AWS's price list or, offline, by the catalog. "
    "Needs no account and no network; takes the options of `tunestack submit`.",
)
