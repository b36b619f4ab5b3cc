"""The metrics of endpoints, which only some providers have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tunestack.backends.base import EndpointInfo

RETENTION = timedelta(days=455)
"""How long CloudWatch keeps metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointMetrics:
    """The metrics of an endpoint in one period, as the provider counts them."""

    start: datetime
    """The start of the period, in UTC."""
    period: timedelta
    invocations: int = 0
    """Requests that were accepted for processing."""
    client_errors: int = 0
    """Requests that failed because of the request."""
    server_errors: int = 0
    """Requests that failed because of the provider."""
    throttles: int = 0
    """Requests that were throttled; neither invocations nor errors."""
    latency_ms: float | None = None
    """The average time from the request to the last token."""
    latency_p95_ms: float | None = None
    """The 95th percentile of this time."""
    input_tokens: int = 0
    output_tokens: int = 0


@runtime_checkable
class MeteredEndpoints(Protocol):
    """A backend with metrics of its endpoints."""

    def endpoint_metrics(
        self, endpoint: EndpointInfo, since: datetime, period: timedelta | None
    ) -> Sequence[EndpointMetrics]:
        """Read the metrics of an endpoint, the oldest period first; periods without data are left out.

        Args:
            endpoint: the endpoint.
            since: the start.
            period: the length of a period; `None` for one with which there are few periods.

        Raises:
            ConfigError: the provider has no metrics of that time or of that period.
            AccessError: the caller may not read them.
        """
        ...
