"""`tunestack promote`, `rollback` and `endpoints history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.cli.groups import examples
from tunestack.cli.identifiers import resolve_model
from tunestack.cli.options import (
    format_option,
    id_only_option,
    limit_option,
    limited,
    tuner_options,
)
from tunestack.cli.output import note, show, table

if TYPE_CHECKING:
    from tunestack.tuner import Tuner


@click.command(
    epilog=examples(
        "tunestack promote latest --to support-bot",
        "tunestack promote JOB --to support-bot --evaluation ID",
        page="evaluation.md",
    )
)
@click.argument("model")
@click.option("--to", required=True, metavar="NAME", help="The endpoint that applications use.")
@click.option(
    "--evaluation",
    metavar="ID",
    help="Promote only if this evaluation passed: its id, or the path of its evaluation.json.",
)
@tuner_options
@id_only_option
@format_option
def promote(model: str, to: str, evaluation: str | None, tuner: Tuner) -> None:
    """Serve MODEL on the endpoint of --to. MODEL is a job, the ARN of a custom model, or an endpoint.

    An existing endpoint is updated in place, and its previous model is recorded. If there is none, an on-demand deployment is
    created. Exits with 1 if the evaluation did not pass; nothing is changed then.
    """
    promotion = tuner.promote(resolve_model(tuner, model), to, evaluation=evaluation)
    note(f"endpoint {to} serves {promotion.model}")
    show(promotion)


@click.command(
    epilog=examples(
        "tunestack rollback support-bot",
        "tunestack rollback support-bot --region us-east-1",
        page="evaluation.md",
    )
)
@click.argument("name")
@tuner_options
@id_only_option
@format_option
def rollback(name: str, tuner: Tuner) -> None:
    """Serve the model again that endpoint NAME served before the last promotion."""
    promotion = tuner.rollback(name)
    note(f"endpoint {name} serves {promotion.model} again")
    show(promotion)


@click.command(
    epilog=examples(
        "tunestack endpoints history support-bot",
        "tunestack endpoints history support-bot --limit 3 --json",
        page="evaluation.md",
    )
)
@click.argument("name")
@limit_option
@tuner_options
@format_option
def history(name: str, limit: int, tuner: Tuner) -> None:
    """List the promotions and rollbacks of the endpoint NAME, the newest first."""
    rows = limited(tuner.promotions(name), limit)
    table(rows, ("at", "model", "by", "evaluation", "is_rollback"), of="promotions")
