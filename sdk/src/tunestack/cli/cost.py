"""`tunestack cost`: estimate the cost of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunestack.cli.groups import examples
from tunestack.cli.options import pass_tuner
from tunestack.cli.output import is_text, out, write
from tunestack.cli.submit import submit, to_arguments

if TYPE_CHECKING:
    from tunestack.tuner import Tuner


@pass_tuner
def _cost(
    file: str,
    model: str,
    tuner: Tuner,
    *,
    wait: bool,  # noqa: ARG001 - has no effect on the cost
    **options: Any,
) -> None:
    estimated = tuner.cost(model, file, **to_arguments(options))
    if not is_text():
        write(estimated)
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
    epilog=examples(
        "tunestack cost train.jsonl --model nova-micro -p epochCount=3",
        "tunestack cost train.jsonl --model nova-micro --json",
        page="jobs.md",
    ),
)
