"""`tunestack custom-models`: the models that fine-tuning jobs created."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tunestack._utils.formatting import utc_text
from tunestack.cli.options import json_option, new_tuner, place_options, provider_option
from tunestack.cli.output import NO, note, show, table

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider


@click.group("custom-models")
def custom_models() -> None:
    """List, show or delete custom (fine-tuned) models."""


@custom_models.command("list")
@click.option("--name", "name_contains", default="", help="Only models whose name contains this.")
@provider_option
@place_options
@json_option
def list_models(
    name_contains: str,
    provider: Provider,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> None:
    """List the custom models of the account in the region, or the fine-tuned models of the project at OpenAI."""
    found = new_tuner(stage, region).custom_models(name_contains=name_contains, provider=provider)
    table(
        [model.info for model in found],
        ("name", "base_model", "created", "id"),
        of="custom models",
        json_wanted=json_wanted,
    )


@custom_models.command("show")
@click.argument("model_id")
@place_options
@json_option
def show_model(model_id: str, stage: str | None, region: str | None, *, json_wanted: bool) -> None:
    """Show a custom model, by its ARN or name, or its id at OpenAI."""
    show(new_tuner(stage, region).custom_model(model_id).info, json_wanted=json_wanted)


@custom_models.command()
@click.argument("model_id")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@place_options
@json_option
def delete(
    model_id: str, stage: str | None, region: str | None, *, yes: bool, json_wanted: bool
) -> int | None:
    """Delete a custom model, by its ARN or name, or its id at OpenAI; refused while an endpoint serves it."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("standard input is not a terminal: confirm the deletion with --yes")
    model = new_tuner(stage, region).custom_model(model_id)
    created = "" if model.created is None else f", created {utc_text(model.created)}"
    question = (
        f"Delete custom model {model.name} ({model.info.base_model.rsplit('/', 1)[-1]}{created})? "
        "It cannot be restored, and training it again is billed."
    )
    if not yes and not click.confirm(question, err=True):
        note(f"custom model {model.name} is not deleted")
        return NO
    model.delete()
    note(f"custom model {model.name} is deleted")
    show({"id": model.id, "name": model.name, "state": "deleted"}, json_wanted=json_wanted)
    return None
