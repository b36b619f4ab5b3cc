"""`tunestack env`: the environment variables of a deployment."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import click

from tunestack.cli.options import place_options
from tunestack.cli.output import out
from tunestack.discovery import find_stage, published, require_region
from tunestack.providers.clients import Clients, new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LINES: Mapping[str, Callable[[str, str], str]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "dotenv": lambda name, value: f"{name}='{_escaped(value)}'",
    "powershell": lambda name, value: f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'",
}
FORMATS = (*_LINES, "json")


@click.command()
@place_options
@click.option("form", "--format", type=click.Choice(FORMATS), default="sh", show_default=True)
@click.option("json_wanted", "--json", is_flag=True, help="The same as --format json.")
def env(stage: str | None, region: str | None, form: str, *, json_wanted: bool) -> None:
    """Print the environment variables of a deployment: eval "$(tunestack env)"."""
    session = new_session()
    deployment = published(
        Clients(session),
        stage=find_stage(stage, os.environ),
        region=require_region(session, region, os.environ),
    )
    out(written(deployment.environment(), "json" if json_wanted else form))


def written(variables: Mapping[str, str], form: str) -> str:
    """Write variables for a shell, or another reader of environments."""
    if form == "json":
        return json.dumps(variables, indent=2)
    return "\n".join(_LINES[form](name, value) for name, value in variables.items())


def _escaped(value: str) -> str:
    """Write a value for single quotes as python-dotenv reads them."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
