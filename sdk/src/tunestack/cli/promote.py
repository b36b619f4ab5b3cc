"""`tunestack promote` and `tunestack rollback`."""

from __future__ import annotations

import click

from tunestack.cli.options import id_only_option, json_option, new_tuner, place_options
from tunestack.cli.output import note, show


@click.command()
@click.argument("model")
@click.option("--to", required=True, metavar="NAME", help="The endpoint that applications use.")
@click.option(
    "--evaluation",
    metavar="ID",
    help="Promote only if this evaluation passed: its id, or the path of its evaluation.json.",
)
@place_options
@id_only_option
@json_option
def promote(
    model: str,
    to: str,
    evaluation: str | None,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> None:
    """Let the endpoint NAME serve a fine-tuned model, by its job, ARN or endpoint.

    An existing endpoint is updated in place, and its previous model is recorded. If there is none, an on-demand deployment is
    created. Exits with 1 if the evaluation did not pass; nothing is changed then.
    """
    promotion = new_tuner(stage, region).promote(model, to, evaluation=evaluation)
    note(f"endpoint {to} serves {promotion.model}")
    show(promotion, json_wanted=json_wanted)


@click.command()
@click.argument("name")
@place_options
@id_only_option
@json_option
def rollback(name: str, stage: str | None, region: str | None, *, json_wanted: bool) -> None:
    """Let the endpoint NAME serve the model again that it served before the last promotion."""
    promotion = new_tuner(stage, region).rollback(name)
    note(f"endpoint {name} serves {promotion.model} again")
    show(promotion, json_wanted=json_wanted)
