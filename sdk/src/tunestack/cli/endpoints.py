"""`tunestack endpoint`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tunestack.cli.options import (
    Duration,
    id_only_option,
    json_option,
    place_options,
    provider_option,
)
from tunestack.cli.output import note, out, show, table
from tunestack.tuner import Tuner

if TYPE_CHECKING:
    from datetime import timedelta


@click.group()
def endpoint() -> None:
    """Start, list, stop and ask the endpoints of tuned models."""


@endpoint.command()
@click.argument("job_id")
@click.option(
    "--serving",
    type=click.Choice(["auto", "on-demand", "provisioned"]),
    default="auto",
    show_default=True,
    help="on-demand costs nothing while idle; provisioned is billed by the hour.",
)
@click.option("--ttl", type=Duration(), help="How long it may live: 90m, 4h, 2d.")
@click.option("--units", default=1, show_default=True, help="Model units (provisioned).")
@click.option("--unguarded", is_flag=True, help="Start it although nothing would end it.")
@place_options
@json_option
@id_only_option
def start(
    job_id: str,
    serving: str,
    ttl: timedelta | None,
    units: int,
    stage: str | None,
    region: str | None,
    *,
    unguarded: bool,
    json_wanted: bool,
) -> None:
    """Start the endpoint of a job's model and wait until it answers."""
    job = Tuner(stage, region=region).job(job_id)
    name = job.start_endpoint(serving, ttl=ttl, model_units=units, unguarded=unguarded)
    note(f"endpoint {name} is ready")
    show(job.endpoint().info(), json_wanted=json_wanted)


@endpoint.command("list")
@provider_option
@place_options
@json_option
@id_only_option
def list_endpoints(
    provider: str, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """List the endpoints of the account in the region, or the tuned models at OpenAI."""
    table(
        [found.last for found in Tuner(stage, region=region).endpoints(provider=provider)],
        ("name", "serving", "state", "created", "id"),
        of="endpoints",
        json_wanted=json_wanted,
    )


@endpoint.command()
@click.argument("endpoint_id")
@click.option("--ttl", type=Duration(), required=True, help="For how long from now: 90m, 4h, 2d.")
@place_options
@json_option
def extend(
    endpoint_id: str, ttl: timedelta, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Let an endpoint live on, by its name or ARN; the stage says for how long at most."""
    found = Tuner(stage, region=region).endpoint(endpoint_id)
    end = found.extend(ttl)
    note(f"endpoint {found.name} ends at {end:%Y-%m-%d %H:%M} UTC")
    show({"id": found.id, "name": found.name, "ends": end}, json_wanted=json_wanted)


@endpoint.command()
@click.argument("endpoint_id")
@click.argument("model")
@place_options
@json_option
def update(
    endpoint_id: str, model: str, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Let an endpoint serve another tuned MODEL (its ARN) of the same base; it answers all the while."""
    found = Tuner(stage, region=region).endpoint(endpoint_id).update(model)
    note(f"endpoint {found.name} serves {model}")
    show(found.last, json_wanted=json_wanted)


@endpoint.command()
@click.argument("endpoint_id")
@place_options
@json_option
def stop(endpoint_id: str, stage: str | None, region: str | None, *, json_wanted: bool) -> None:
    """Stop an endpoint, by its name or ARN, and wait until it is gone."""
    found = Tuner(stage, region=region).endpoint(endpoint_id)
    found.stop()
    note(f"endpoint {found.name} is gone")
    show({"id": found.id, "name": found.name, "state": "gone"}, json_wanted=json_wanted)


@endpoint.command()
@click.argument("endpoint_id")
@click.argument("prompt")
@click.option("--system", help="A system prompt.")
@place_options
@json_option
def invoke(
    endpoint_id: str,
    prompt: str,
    system: str | None,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> None:
    """Ask a tuned model; PROMPT may be - for standard input."""
    question = sys.stdin.read() if prompt == "-" else prompt
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    answer = Tuner(stage, region=region).invoke(endpoint_id, messages)
    if json_wanted:
        show({"id": endpoint_id, "answer": answer}, json_wanted=True)
    else:
        out(answer)
