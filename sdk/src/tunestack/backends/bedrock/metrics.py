"""The metrics of endpoints in CloudWatch.

Sources (read 2026-11-29): Bedrock user guide, monitoring-runtime-metrics, for the metrics; CloudWatch API reference, GetMetricData
and MetricStat, for periods and retention; CloudWatch user guide, cloudwatch_concepts, for the longest period.

The user guide does not say which `ModelId` an endpoint has. Other tools use the ARN, with which endpoints are invoked
(cloud-custodian/cloud-custodian#10916); application inference profiles are seen by their ids. So both spellings are read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tunestack._utils.formatting import duration_text, utc_text
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.backends.endpoint_metrics import RETENTION, EndpointMetrics
from tunestack.errors import AccessError, BusyError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.backends.base import EndpointInfo

_STATISTICS = {
    "invocations": ("Invocations", "Sum"),
    "client_errors": ("InvocationClientErrors", "Sum"),
    "server_errors": ("InvocationServerErrors", "Sum"),
    "throttles": ("InvocationThrottles", "Sum"),
    "latency_ms": ("InvocationLatency", "Average"),
    "latency_p95_ms": ("InvocationLatency", "p95"),
    "input_tokens": ("InputTokenCount", "Sum"),
    "output_tokens": ("OutputTokenCount", "Sum"),
}
"""CloudWatch's metric and statistic, by the fields of `EndpointMetrics`."""
_MINUTE, _DAY = 60, 86_400
_PERIODS = (60, 300, 900, 3600, 6 * 3600, _DAY)
_MOST_PERIODS = 40
"""How many periods there are at most, if the caller specifies no period and 86,400 seconds are not too short."""
_RESOLUTIONS = ((timedelta(days=63), 3600), (timedelta(days=15), 300), (timedelta(0), _MINUTE))
"""The age from which CloudWatch has values for multiples of a period only, in seconds."""
_MARGIN = timedelta(hours=1)


class BedrockMetrics(BedrockRegion):
    """`tunestack.backends.endpoint_metrics.MeteredEndpoints`, in one region of one account."""

    def endpoint_metrics(
        self, endpoint: EndpointInfo, since: datetime, period: timedelta | None
    ) -> Sequence[EndpointMetrics]:
        """Read the metrics with one GetMetricData request, or more if there are many periods."""
        now = self.now()
        seconds = _choose_period(since, now, period)
        # Data points begin at multiples of the period. The time is that of an earlier response, so the end is later.
        latest = (now + _MARGIN).timestamp()
        start, end = (
            datetime.fromtimestamp(number * seconds, UTC)
            for number in (since.timestamp() // seconds, math.ceil(latest / seconds))
        )
        with translate_errors(f"reading the metrics of endpoint {endpoint.name!r}"):
            values = self._read_values(_list_queries(endpoint.id, seconds), start, end)
        length = timedelta(seconds=seconds)
        return [
            EndpointMetrics(start=at, period=length, **fields)
            for at, fields in sorted(values.items())
        ]

    def _read_values(
        self, queries: Sequence[Any], start: datetime, end: datetime
    ) -> dict[datetime, dict[str, Any]]:
        """Return the value of each field by the start of its period."""
        pages = (
            self._clients.get("cloudwatch", self._region)
            .get_paginator("get_metric_data")
            .paginate(MetricDataQueries=queries, StartTime=start, EndTime=end)
        )
        values: defaultdict[datetime, dict[str, Any]] = defaultdict(dict)
        for page in pages:
            for result in page["MetricDataResults"]:
                if result["StatusCode"] == "InternalError":
                    raise BusyError(
                        f"CloudWatch can't return {result['Label']} now: try again later"
                    )
                if result["StatusCode"] == "Forbidden":
                    raise AccessError(
                        f"CloudWatch does not allow reading {result['Label']}: allow cloudwatch:GetMetricData"
                    )
                field, _, _ = result["Id"].rpartition("_")
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    is_count = _STATISTICS[field][1] == "Sum"
                    values[at.astimezone(UTC)][field] = round(value) if is_count else float(value)
        return values


def _list_queries(arn: str, seconds: int) -> list[dict[str, Any]]:
    """Return the queries of all fields for both spellings of the endpoint."""
    return [
        {
            "Id": f"{field}_{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Bedrock",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "ModelId", "Value": model}],
                },
                "Period": seconds,
                "Stat": statistic,
            },
        }
        for number, model in enumerate((arn.rpartition("/")[2], arn))
        for field, (metric, statistic) in _STATISTICS.items()
    ]


def _choose_period(since: datetime, now: datetime, period: timedelta | None) -> int:
    """Return the period in seconds: the given one, or the shortest with which there are few periods.

    Raises:
        ConfigError: CloudWatch has no values of that time or for that period.
    """
    age = now - since
    if age <= timedelta(0):
        raise ConfigError(f"invalid since {utc_text(since)}: use a time before now")
    if age > RETENTION + _MARGIN:
        raise ConfigError(
            f"invalid since {utc_text(since)}: CloudWatch keeps metrics for {duration_text(RETENTION)}"
        )
    limit, resolution = next(row for row in _RESOLUTIONS if age > row[0])
    if period is None:
        few = (length for length in _PERIODS if age.total_seconds() / length <= _MOST_PERIODS)
        return max(next(few, _DAY), resolution)
    seconds = period.total_seconds()
    if not _MINUTE <= seconds <= _DAY or seconds % _MINUTE:
        raise ConfigError(
            f"invalid period of {duration_text(period)}: use a multiple of 1 minute, up to 1 day"
        )
    if seconds % resolution:
        raise ConfigError(
            f"invalid period of {duration_text(period)}: CloudWatch keeps values of more than {duration_text(limit)} ago for "
            f"multiples of {duration_text(resolution)} only: use such a period, or a later since"
        )
    return int(seconds)
