"""`tunestack custom-models`: the models that fine-tuning jobs created."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack._utils.formatting import utc_text
from tunestack.cli.groups import Group, examples
from tunestack.cli.identifiers import find_custom_model
from tunestack.cli.options import (
    base_filter,
    base_option,
    format_option,
    id_only_option,
    limited,
    list_options,
    provider_option,
    tuner_options,
    yes_option,
)
from tunestack.cli.output import NO, note, show, show_each, table
from tunestack.cli.several import confirm_all, find_each, for_each, require_terminal
from tunestack.cli.web import open_pages, web_option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import CustomModelInfo
    from tunestack.custom_models import CustomModel
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
@base_option
@list_options("created", "name")
@provider_option
@tuner_options
@format_option
@id_only_option
def list_models(
    name_contains: str,
    model: str | None,
    limit: int,
    sort: str,
    since: datetime | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """List the custom models of the account in the region, or of the project at OpenAI."""
    has_base = base_filter(model, provider)
    infos: Iterable[CustomModelInfo] = (
        found.info
        for found in tuner.custom_models(name_contains=name_contains, provider=provider)
        if (since is None or (found.created and found.created >= since))
        and has_base(found, found.info.base_model)
    )
    if sort == "name":
        infos = sorted(infos, key=lambda info: info.name)
    table(limited(infos, limit), ("id", "name", "created", "base_model"), of="custom models")


@custom_models.command(
    "show",
    epilog=examples(
        "tunestack custom-models show latest",
        "tunestack custom-models show MODEL --web",
        page=_PAGE,
    ),
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@web_option
@provider_option
@tuner_options
@format_option
@id_only_option
def show_models(models: tuple[str, ...], provider: Provider, tuner: Tuner, *, web: bool) -> None:
    """Show custom models."""
    found = find_each(find_custom_model, tuner, models, provider)
    if web:
        open_pages((model.id, None) for model in found)
    else:
        show_each(model.info for model in found)


@custom_models.command(
    epilog=examples(
        "tunestack custom-models delete MODEL",
        "tunestack custom-models delete MODEL MODEL --yes",
        page=_PAGE,
    )
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@yes_option
@provider_option
@tuner_options
@format_option
def delete(models: tuple[str, ...], provider: Provider, tuner: Tuner, *, yes: bool) -> int | None:
    """Delete custom models. Asks for confirmation; refused while an endpoint serves them."""
    require_terminal("the deletion", yes=yes)
    found = find_each(find_custom_model, tuner, models, provider)
    lines = [_description(model) for model in found]
    effect = "A deleted model cannot be restored, and training it again is billed."
    if not confirm_all(lines, "Delete", "custom model", effect=effect, yes=yes):
        return NO

    def delete_model(model: CustomModel) -> None:
        model.delete()
        note(f"custom model {model.name} is deleted")
        show({"id": model.id, "name": model.name, "state": "deleted"})

    for_each(found, delete_model)
    return None


def _description(model: CustomModel) -> str:
    created = "" if model.created is None else f", created {utc_text(model.created)}"
    return f"custom model {model.name} ({model.info.base_model.rsplit('/', 1)[-1]}{created})"
