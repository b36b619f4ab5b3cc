"""`tunestack endpoints`: start, invoke and stop endpoints of fine-tuned models."""

from __future__ import annotations

import dataclasses
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

import click

from tunestack._utils.formatting import utc_text
from tunestack.backends.base import EndpointState
from tunestack.catalog import Serving
from tunestack.cli.groups import Group, examples
from tunestack.cli.identifiers import find_custom_model, find_endpoint, find_job
from tunestack.cli.options import (
    base_filter,
    base_option,
    format_option,
    id_only_option,
    limited,
    list_options,
    provider_option,
    state_option,
    tuner_options,
    yes_option,
)
from tunestack.cli.output import NO, is_interactive, is_text, note, out, show, show_each, table
from tunestack.cli.several import confirm_all, find_each, for_each, require_terminal
from tunestack.cli.time_options import Duration
from tunestack.cli.web import open_pages, web_option
from tunestack.endpoints.expiry import expiry_text
from tunestack.records.target import Rendering

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import EndpointInfo
    from tunestack.catalog import BaseModel
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.endpoints.start import ServingChoice
    from tunestack.tuner import Tuner

_PAGE = "jobs.md"
_ttl_help = "The lifetime of the endpoint from now on: 90m, 4h, 2d."


class _Group(Group):
    modules = MappingProxyType({"history": "promote", "metrics": "endpoint_metrics"})


@click.group(
    cls=_Group,
    epilog=examples(
        "tunestack endpoints start JOB --ttl 2h", "tunestack endpoints stop latest", page=_PAGE
    ),
)
def endpoints() -> None:
    """Start, list, invoke, update and stop endpoints of fine-tuned models.

    ENDPOINT is the id of an endpoint: on Bedrock its ARN, its name, or the short id that lists show (or its first characters);
    at OpenAI a model, ft:...; or `latest`.
    """


@endpoints.command(
    epilog=examples(
        "tunestack endpoints start latest",
        "tunestack endpoints start JOB --serving provisioned --ttl 2h",
        page=_PAGE,
    )
)
@click.argument("job")
@click.option(
    "--serving",
    type=click.Choice(["auto", "on-demand", "provisioned"]),
    default="auto",
    show_default=True,
    help="on-demand is free while idle; provisioned is billed by the hour.",
)
@click.option("--ttl", type=Duration(), help=_ttl_help)
@click.option(
    "--units", default=1, show_default=True, help="Model units of provisioned throughput."
)
@click.option(
    "--unguarded",
    is_flag=True,
    help="Start provisioned throughput even if no endpoint guard is deployed.",
)
@yes_option
@provider_option
@tuner_options
@format_option
@id_only_option
def start(
    job: str,
    serving: ServingChoice,
    ttl: timedelta | None,
    units: int,
    provider: Provider,
    tuner: Tuner,
    *,
    unguarded: bool,
    yes: bool,
) -> int | None:
    """Start the endpoint of a job's model and wait until it is ready.

    Provisioned throughput is billed by the hour: a message shows its price and expiry, and in a terminal, the command
    asks for confirmation.
    """
    found = find_job(tuner, job, provider)
    if not yes and is_interactive() and _is_hourly(found.base, serving):
        price = found.backend.prices(found.base).get("provisioned")
        cost = "an unknown price" if price is None else f"{price} for each of {units} model units"
        question = f"Provisioned throughput is billed by the hour, at {cost}. Start it?"
        if not click.confirm(question, err=True):
            note("no endpoint was started")
            return NO
    endpoint = found.start_endpoint(serving, ttl=ttl, model_units=units, unguarded=unguarded)
    info = endpoint.refresh()
    note(f"endpoint {info.name} is ready, expires: {expiry_text(info)}")
    _show(info)
    return None


def _is_hourly(base: BaseModel, serving: ServingChoice) -> bool:
    """Return whether an endpoint is billed by the hour."""
    has_hourly_only = {Serving.ON_DEMAND, Serving.DIRECT}.isdisjoint(base.serving)
    return serving == "provisioned" or (serving == "auto" and has_hourly_only)


@endpoints.command(
    "list",
    epilog=examples(
        "tunestack endpoints list", "tunestack endpoints list --region us-west-2 --json", page=_PAGE
    ),
)
@state_option(EndpointState)
@base_option
@list_options("created", "name", "state")
@provider_option
@tuner_options
@format_option
@id_only_option
def list_endpoints(
    states: tuple[str, ...],
    model: str | None,
    limit: int,
    sort: str,
    since: datetime | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """List the endpoints of the account in the region with their expiry times, or the fine-tuned models at OpenAI."""
    has_base = base_filter(model, provider)
    infos = [
        endpoint.info
        for endpoint in tuner.endpoints(provider=provider)
        if (not states or endpoint.info.state in states)
        and (since is None or (endpoint.info.created and endpoint.info.created >= since))
        and has_base(endpoint, endpoint.info.model)
    ]
    if sort == "created":
        infos.sort(key=lambda info: info.created.timestamp() if info.created else 0, reverse=True)
    else:
        infos.sort(key=lambda info: str(getattr(info, sort)))
    table(
        [_fields(info) for info in limited(infos, limit)],
        ("id", "state", "name", "serving", "expires_at", "created"),
        of="endpoints",
    )


@endpoints.command(
    "show",
    epilog=examples(
        "tunestack endpoints show latest", "tunestack endpoints show ENDPOINT --web", page=_PAGE
    ),
)
@click.argument("endpoints", metavar="ENDPOINT...", nargs=-1, required=True)
@web_option
@provider_option
@tuner_options
@format_option
@id_only_option
def show_endpoints(
    endpoints: tuple[str, ...], provider: Provider, tuner: Tuner, *, web: bool
) -> None:
    """Show endpoints and when they are deleted."""
    found = find_each(find_endpoint, tuner, endpoints, provider)
    if web:
        open_pages((endpoint.id, endpoint.info.model) for endpoint in found)
    else:
        show_each(_fields(endpoint.info) for endpoint in found)


def _show(info: EndpointInfo) -> None:
    show(_fields(info))


def _fields(info: EndpointInfo) -> dict[str, Any]:
    """Return the fields to print; in text, the expiry is one field."""
    fields = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    if not is_text():
        return fields
    del fields["expiry"]
    return fields | {"expires_at": expiry_text(info)}


@endpoints.command(
    epilog=examples(
        "tunestack endpoints extend ENDPOINT --ttl 2h",
        "tunestack endpoints extend latest --ttl 90m --json",
        page=_PAGE,
    )
)
@click.argument("endpoint")
@click.option("--ttl", type=Duration(), required=True, help=_ttl_help)
@provider_option
@tuner_options
@format_option
def extend(endpoint: str, ttl: timedelta, provider: Provider, tuner: Tuner) -> None:
    """Extend the lifetime of an endpoint; never shortens it."""
    found = find_endpoint(tuner, endpoint, provider)
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
    show({"id": found.id, "name": found.name, "previous_expires_at": old, "expires_at": new})


@endpoints.command(
    epilog=examples(
        "tunestack endpoints update ENDPOINT MODEL",
        "tunestack endpoints update latest latest --json",
        page=_PAGE,
    )
)
@click.argument("endpoint")
@click.argument("model")
@provider_option
@tuner_options
@format_option
def update(endpoint: str, model: str, provider: Provider, tuner: Tuner) -> None:
    """Update an endpoint to another custom model of the same base model, without interruption.

    MODEL is the id of a custom model, see `tunestack custom-models list`.
    """
    target = find_custom_model(tuner, model, provider)
    found = find_endpoint(tuner, endpoint, provider).update(target.id)
    note(f"endpoint {found.name} serves {target.name}")
    _show(found.info)


@endpoints.command(
    epilog=examples(
        "tunestack endpoints stop latest",
        "tunestack endpoints stop ENDPOINT ENDPOINT --yes",
        page=_PAGE,
    )
)
@click.argument("endpoints", metavar="ENDPOINT...", nargs=-1, required=True)
@yes_option
@provider_option
@tuner_options
@format_option
def stop(endpoints: tuple[str, ...], provider: Provider, tuner: Tuner, *, yes: bool) -> int | None:
    """Stop endpoints and wait until they are deleted. Asks for confirmation in a terminal."""
    if len(endpoints) > 1:
        require_terminal("the deletion of several endpoints", yes=yes)
    found = find_each(find_endpoint, tuner, endpoints, provider)
    lines = [f"endpoint {each.name}: {each.info.state}, serves {each.info.model}" for each in found]
    effect = "Requests to a stopped endpoint fail."
    if not confirm_all(lines, "Stop", "endpoint", effect=effect, yes=yes):
        return NO

    def stop_endpoint(endpoint: Endpoint) -> None:
        endpoint.stop()
        note(f"endpoint {endpoint.name} is deleted")
        show({"id": endpoint.id, "name": endpoint.name, "state": "deleted"})

    for_each(found, stop_endpoint)
    return None


@endpoints.command(
    epilog=examples(
        'tunestack endpoints invoke ENDPOINT "Where is my parcel?"',
        "tunestack endpoints invoke latest - < prompt.txt",
        page=_PAGE,
    )
)
@click.argument("endpoint")
@click.argument("prompt")
@click.option("--system", help="A system prompt.")
@click.option(
    "--rendering",
    type=click.Choice(get_args(Rendering)),
    help="How the prompt is written, for a model trained on prompts; by default as in its training data.",
)
@provider_option
@tuner_options
@format_option
def invoke(
    endpoint: str,
    prompt: str,
    system: str | None,
    rendering: Rendering | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """Invoke an endpoint and print the answer; it is billed by the token.

    PROMPT may be - for standard input.
    """
    question = sys.stdin.read() if prompt == "-" else prompt
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    answer = find_endpoint(tuner, endpoint, provider).invoke(messages, rendering=rendering)
    if is_text():
        out(answer)
    else:
        show({"id": endpoint, "answer": answer})
