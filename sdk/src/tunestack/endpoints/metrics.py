"""Read the metrics of an endpoint."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tunestack.backends.endpoint_metrics import RETENTION, MeteredEndpoints
from tunestack.errors import ConfigError
from tunestack.polling import to_seconds
from tunestack.spec.arguments import check_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.backends.base import EndpointInfo
    from tunestack.backends.endpoint_metrics import EndpointMetrics
    from tunestack.backends.protocols import Backend
    from tunestack.polling import Duration

SINCE = timedelta(hours=3)
"""The default start, before now."""


def read_metrics(
    backend: Backend,
    endpoint: EndpointInfo,
    since: datetime | Duration,
    period: Duration | None,
) -> Sequence[EndpointMetrics]:
    """Read the metrics of an endpoint, see `Endpoint.metrics`."""
    if not isinstance(backend, MeteredEndpoints):
        raise ConfigError(
            f"{endpoint.name!r} is a model of OpenAI, which has no API for the metrics of a model: see the usage page of the project"
        )
    if isinstance(since, datetime):
        start = check_time("since", since)
    else:
        seconds = to_seconds(since, "since", longest=RETENTION.total_seconds())
        start = backend.now() - timedelta(seconds=seconds)
    length = None if period is None else timedelta(seconds=to_seconds(period, "period"))
    return backend.endpoint_metrics(endpoint, start, length)
