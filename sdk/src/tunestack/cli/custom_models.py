"""`tunestack custom-models`: the models that fine-tuning jobs created."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tunestack._utils.formatting import utc_text
from tunestack.cli.groups import Group, examples
from tunestack.cli.identifiers import find_custom_model
from tunestack.cli.options import (
    format_option,
    id_only_option,
    limited,
    list_options,
    provider_option,
    tuner_options,
    yes_option,
)
from tunestack.cli.output import NO, note, show, table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import CustomModelInfo
    from tunestack.tuner import Tuner

_PAGE = "jobs.md"


@click.group(
    "custom-models",
    cls=Group,
    epilog=examples(
        "tunestack custom-models list", "tunestack custom-models delete MODEL", page=_PAGE
    ),
)
def custom_models() -> None:
    """List, show and delete custom (fine-tuned) models.

    MODEL is the id of a custom model: on Bedrock its ARN, its name, or the short id that lists show (or its first characters);
    at OpenAI ft:...; or `latest`.
    """


@custom_models.command(
    "list",
    epilog=examples(
        "tunestack custom-models list --name-contains tickets",
        "tunestack custom-models list --since 30d --json",
        page=_PAGE,
    ),
)
@click.option("--name-contains", default="", help="Only models whose name contains this.")
@list_options("created", "name")
@provider_option
@tuner_options
@format_option
@id_only_option
def list_models(
    name_contains: str,
    limit: int,
    sort: str,
    since: datetime | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """List the custom models of the account in the region, or of the project at OpenAI."""
    found = tuner.custom_models(name_contains=name_contains, provider=provider)
    infos: Iterable[CustomModelInfo] = (
        model.info for model in found if since is None or (model.created and model.created >= since)
    )
    if sort == "name":
        infos = sorted(infos, key=lambda info: info.name)
    table(limited(infos, limit), ("id", "name", "created", "base_model"), of="custom models")


@custom_models.command(
    "show",
    epilog=examples(
        "tunestack custom-models show latest",
        "tunestack custom-models show MODEL --json",
        page=_PAGE,
    ),
)
@click.argument("model")
@provider_option
@tuner_options
@format_option
@id_only_option
def show_model(model: str, provider: Provider, tuner: Tuner) -> None:
    """Show a custom model."""
    show(find_custom_model(tuner, model, provider).info)


@custom_models.command(
    epilog=examples(
        "tunestack custom-models delete MODEL",
        "tunestack custom-models delete MODEL --yes --json",
        page=_PAGE,
    )
)
@click.argument("model")
@yes_option
@provider_option
@tuner_options
@format_option
def delete(model: str, provider: Provider, tuner: Tuner, *, yes: bool) -> int | None:
    """Delete a custom model, after a confirmation; refused while an endpoint serves it."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("standard input is not a terminal: confirm the deletion with --yes")
    found = find_custom_model(tuner, model, provider)
    created = "" if found.created is None else f", created {utc_text(found.created)}"
    question = (
        f"Delete custom model {found.name} ({found.info.base_model.rsplit('/', 1)[-1]}{created})? "
        "It cannot be restored, and training it again is billed."
    )
    if not yes and not click.confirm(question, err=True):
        note(f"custom model {found.name} is not deleted")
        return NO
    found.delete()
    note(f"custom model {found.name} is deleted")
    show({"id": found.id, "name": found.name, "state": "deleted"})
    return None
