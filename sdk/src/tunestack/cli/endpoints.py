"""`tunestack endpoint`."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any, get_args

import click

from tunestack._utils.formatting import utc_text
from tunestack.cli.options import (
    Duration,
    id_only_option,
    json_option,
    new_tuner,
    place_options,
    provider_option,
)
from tunestack.cli.output import note, out, show, table
from tunestack.endpoints.expiry import expiry_text
from tunestack.records.target import Rendering

if TYPE_CHECKING:
    from datetime import timedelta

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import EndpointInfo
    from tunestack.endpoints.start import ServingChoice


@click.group()
def endpoint() -> None:
    """Start, list, invoke and stop endpoints of fine-tuned models."""


@endpoint.command()
@click.argument("job_id")
@click.option(
    "--serving",
    type=click.Choice(["auto", "on-demand", "provisioned"]),
    default="auto",
    show_default=True,
    help="on-demand is free while idle; provisioned is billed by the hour.",
)
@click.option("--ttl", type=Duration(), help="The lifetime of the endpoint: 90m, 4h, 2d.")
@click.option(
    "--units", default=1, show_default=True, help="Model units of provisioned throughput."
)
@click.option(
    "--unguarded",
    is_flag=True,
    help="Start provisioned throughput even if no endpoint guard is deployed.",
)
@place_options
@json_option
@id_only_option
def start(
    job_id: str,
    serving: ServingChoice,
    ttl: timedelta | None,
    units: int,
    stage: str | None,
    region: str | None,
    *,
    unguarded: bool,
    json_wanted: bool,
) -> None:
    """Start the endpoint of a job's model and wait until it is ready."""
    job = new_tuner(stage, region).job(job_id)
    endpoint = job.start_endpoint(serving, ttl=ttl, model_units=units, unguarded=unguarded)
    info = endpoint.refresh()
    note(f"endpoint {info.name} is ready, end: {expiry_text(info)}")
    _show(info, json_wanted=json_wanted)


@endpoint.command("list")
@provider_option
@place_options
@json_option
@id_only_option
def list_endpoints(
    provider: Provider, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """List the endpoints of the account in the region, or the fine-tuned models at OpenAI, with their ends."""
    infos = [found.info for found in new_tuner(stage, region).endpoints(provider=provider)]
    table(
        infos if json_wanted else [_fields(info) for info in infos],
        ("name", "serving", "state", "expires_at", "created", "id"),
        of="endpoints",
        json_wanted=json_wanted,
    )


@endpoint.command("show")
@click.argument("endpoint_id")
@place_options
@json_option
def show_endpoint(
    endpoint_id: str, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Show an endpoint, by its name or ARN."""
    _show(new_tuner(stage, region).endpoint(endpoint_id).info, json_wanted=json_wanted)


def _show(info: EndpointInfo, *, json_wanted: bool) -> None:
    show(info if json_wanted else _fields(info), json_wanted=json_wanted)


def _fields(info: EndpointInfo) -> dict[str, Any]:
    """Return the fields to print, with the end as text."""
    fields = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    del fields["expiry"]
    return fields | {"expires_at": expiry_text(info)}


@endpoint.command()
@click.argument("endpoint_id")
@click.option(
    "--ttl", type=Duration(), required=True, help="The lifetime from now on: 90m, 4h, 2d."
)
@place_options
@json_option
def extend(
    endpoint_id: str, ttl: timedelta, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Extend the lifetime of an endpoint to TTL from now; never shortens it."""
    found = new_tuner(stage, region).endpoint(endpoint_id)
    old, new = found.expires_at, found.extend(ttl)
    if new is None:
        note(f"endpoint {found.name} has no expiry: nothing was changed")
    elif new == old:
        note(
            f"endpoint {found.name} already expires later, at {utc_text(new)}: nothing was changed"
        )
    else:
        before = "unknown" if old is None else utc_text(old)
        note(f"endpoint {found.name} expires at {utc_text(new)} (before: {before})")
    show(
        {"id": found.id, "name": found.name, "previous_expires_at": old, "expires_at": new},
        json_wanted=json_wanted,
    )


@endpoint.command()
@click.argument("endpoint_id")
@click.argument("model")
@place_options
@json_option
def update(
    endpoint_id: str, model: str, stage: str | None, region: str | None, *, json_wanted: bool
) -> None:
    """Update an endpoint to another fine-tuned MODEL (its ARN) of the same base model, without interruption."""
    found = new_tuner(stage, region).endpoint(endpoint_id).update(model)
    note(f"endpoint {found.name} serves {model}")
    _show(found.info, json_wanted=json_wanted)


@endpoint.command()
@click.argument("endpoint_id")
@place_options
@json_option
def stop(endpoint_id: str, stage: str | None, region: str | None, *, json_wanted: bool) -> None:
    """Stop an endpoint, by its name or ARN, and wait until it is deleted."""
    found = new_tuner(stage, region).endpoint(endpoint_id)
    found.stop()
    note(f"endpoint {found.name} is deleted")
    show({"id": found.id, "name": found.name, "state": "deleted"}, json_wanted=json_wanted)


@endpoint.command()
@click.argument("endpoint_id")
@click.argument("prompt")
@click.option("--system", help="A system prompt.")
@click.option(
    "--rendering",
    type=click.Choice(get_args(Rendering)),
    help="How the prompt is written, for a model trained on prompts; by default as in its training data.",
)
@place_options
@json_option
def invoke(
    endpoint_id: str,
    prompt: str,
    system: str | None,
    rendering: Rendering | None,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> None:
    """Invoke an endpoint; PROMPT may be - for standard input."""
    question = sys.stdin.read() if prompt == "-" else prompt
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    answer = new_tuner(stage, region).invoke(endpoint_id, messages, rendering=rendering)
    if json_wanted:
        show({"id": endpoint_id, "answer": answer}, json_wanted=True)
    else:
        out(answer)
