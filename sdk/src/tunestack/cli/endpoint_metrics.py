"""`tunestack endpoints metrics`."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tunestack._utils.formatting import duration_text, utc_text
from tunestack.cli.groups import examples
from tunestack.cli.identifiers import find_endpoint
from tunestack.cli.options import format_option, provider_option, tuner_options
from tunestack.cli.output import is_text, note, table
from tunestack.cli.time_options import Duration, since_option
from tunestack.endpoints.metrics import SINCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from tunestack.backends.accounts import Provider
    from tunestack.backends.endpoint_metrics import EndpointMetrics
    from tunestack.tuner import Tuner

_COLUMNS = (
    *("start", "invocations", "latency_ms", "latency_p95_ms", "client_errors"),
    *("server_errors", "throttles", "input_tokens", "output_tokens"),
)


@click.command(
    epilog=examples(
        "tunestack endpoints metrics latest",
        "tunestack endpoints metrics ENDPOINT --since 7d --period 1d --json",
        page="jobs.md",
    )
)
@click.argument("endpoint")
@since_option(keep_durations=True)
@click.option(
    "--period",
    type=Duration(),
    help="The length of a period, a multiple of 1m up to 1d; by default one with which there are at most 40 periods, or 1d for a longer time.",
)
@provider_option
@tuner_options
@format_option
def metrics(
    endpoint: str,
    since: datetime | timedelta | None,
    period: timedelta | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """Show the metrics of an endpoint on Bedrock, from CloudWatch: invocations, latency, errors, throttles and tokens.

    Without --since, those of the last 3 hours. Each line is a period with data. CloudWatch has the metrics some minutes after
    the invocations, and bills reading them: less than $0.001 for this command.
    """
    found = find_endpoint(tuner, endpoint, provider)
    since = SINCE if since is None else since
    rows = found.metrics(since, period)
    if rows:
        note(_describe_total(rows))
    else:
        if isinstance(since, datetime):
            start = f"since {utc_text(since)}"
        else:
            start = f"in the last {duration_text(since)}"
        note(
            f"no metrics of endpoint {found.name} {start}: CloudWatch has them some minutes after the invocations"
        )
        return
    table(map(_text_fields, rows) if is_text() else rows, _COLUMNS, of="metrics")


def _text_fields(row: EndpointMetrics) -> dict[str, Any]:
    fields = dataclasses.asdict(row)
    rounded = {
        name: round(fields[name])
        for name in ("latency_ms", "latency_p95_ms")
        if fields[name] is not None
    }
    return fields | rounded


def _describe_total(rows: Sequence[EndpointMetrics]) -> str:
    def count(name: str, one: str, many: str) -> str:
        number = sum(getattr(row, name) for row in rows)
        return f"{number:,} {one if number == 1 else many}"

    return "total: " + ", ".join(
        (
            count("invocations", "invocation", "invocations"),
            count("client_errors", "client error", "client errors"),
            count("server_errors", "server error", "server errors"),
            count("throttles", "throttled request", "throttled requests"),
            count("input_tokens", "input token", "input tokens"),
            count("output_tokens", "output token", "output tokens"),
        )
    )
