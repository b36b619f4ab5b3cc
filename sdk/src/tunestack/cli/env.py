"""`tunestack env`: the environment variables of a deployment."""

from __future__ import annotations

import os

import click

from tunestack.cli.groups import examples
from tunestack.cli.options import place_options
from tunestack.cli.output import out
from tunestack.deployment import ENVIRONMENT_FORMATS, format_environment


@click.command(
    epilog=examples(
        'eval "$(tunestack env)"',
        "tunestack env --stage prod --region us-west-2 --format dotenv",
        page="start/application-developer.md",
    )
)
@place_options
@click.option(
    "form",
    "--format",
    type=click.Choice(ENVIRONMENT_FORMATS),
    default="sh",
    show_default=True,
    help="The format of the output.",
)
@click.option("json_wanted", "--json", is_flag=True, help="The same as --format json.")
def env(stage: str | None, region: str | None, form: str, *, json_wanted: bool) -> None:
    """Print the environment variables of a deployment."""
    from tunestack.backends.bedrock.clients import Clients, new_session  # noqa: PLC0415 - loads boto3
    from tunestack.backends.bedrock.discovery import (  # noqa: PLC0415
        find_stage,
        read_published_deployment,
        require_region,
    )

    session = new_session()
    deployment = read_published_deployment(
        Clients(session),
        stage=find_stage(stage, os.environ),
        region=require_region(session, region, os.environ),
    )
    out(format_environment(deployment.environment(), "json" if json_wanted else form))
