"""CloudWatch's metrics inside the emulator: those of Bedrock, and GetMetricData and ListMetrics as on AWS.

MiniStack keeps metrics for two weeks, and its GetMetricData has neither order nor pages. Source: CloudWatch API reference,
GetMetricData, MetricStat and ListMetrics (read 2026-11-29).
"""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Metric = tuple[str, str, float]
    """Name, unit and value."""
    HttpResponse = tuple[int, dict[str, str], bytes]
    Operation = Callable[..., HttpResponse]

_NAMESPACE = "AWS/Bedrock"
_DAY = 86_400
_RETENTION = 455 * _DAY
_RESOLUTIONS = ((63 * _DAY, 3600), (15 * _DAY, 300), (0, 60))
"""The age from which CloudWatch has a resolution only, in seconds."""
_ACTIVE, _RECENTLY_ACTIVE = 14 * _DAY, 3 * 3600
"""The age of metrics that ListMetrics returns, and with `RecentlyActive`."""
_MAX_QUERIES, _MAX_DATA_POINTS, _MAX_METRICS = 500, 100_800, 500

_latest: dict[tuple[str, str, tuple[str, str, str]], tuple[float, dict[float, dict[str, Any]]]] = {}
"""The points of the latest minute of each metric, by value."""
_file: BinaryIO
"""The metrics that the sandbox writes, a line of JSON for each invocation. Commands would delay the invocations."""


def install(path: str) -> None:
    """Change MiniStack's CloudWatch. The Query protocol, which old SDKs use, keeps MiniStack's behavior.

    Args:
        path: The file with Bedrock's metrics: account, region, time and model of an invocation, and its metrics.
    """
    global _file  # noqa: PLW0603
    from ministack.services import cloudwatch  # noqa: PLC0415

    _file = Path(path).open("rb")  # noqa: SIM115 - until the process ends
    # MiniStack calls it before each operation.
    cloudwatch._evict_old_metrics = _update  # noqa: SLF001 - no public API; the version of MiniStack is pinned
    for name, operation in (("_get_metric_data", _get_data), ("_list_metrics", _list_metrics)):
        setattr(cloudwatch, name, partial(_handle, getattr(cloudwatch, name), operation))


def delete() -> None:
    """Delete the metrics of Bedrock. The sandbox has emptied the file."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    _file.seek(0)
    metrics = cloudwatch._metrics._data  # noqa: SLF001
    for account, region, key in list(metrics):
        if key[0] == _NAMESPACE:
            del metrics[account, region, key]


def _update() -> None:
    """Record what the sandbox has written, and delete what CloudWatch does not keep."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    for line in _file:
        if not line.endswith(b"\n"):  # it is being written
            _file.seek(-len(line), os.SEEK_CUR)
            break
        _record(*json.loads(line))
    oldest = time.time() - _RETENTION
    for key, points in cloudwatch._metrics.items():  # noqa: SLF001
        if any(point["Timestamp"] < oldest for point in points):
            points[:] = [point for point in points if point["Timestamp"] >= oldest]
            if not points:
                del cloudwatch._metrics[key]  # noqa: SLF001


def _record(account: str, region: str, at: float, model: str, metrics: Sequence[Metric]) -> None:
    """Record metrics with the dimension `ModelId`.

    Equal values of a minute, the resolution of Bedrock's metrics, are one point with a count.
    """
    from ministack.services import cloudwatch  # noqa: PLC0415

    dimensions, minute = {"ModelId": model}, at // 60 * 60
    for name, unit, value in metrics:
        key = (_NAMESPACE, name, cloudwatch._dims_key(dimensions))  # noqa: SLF001
        points = cloudwatch._metrics.get_scoped(account, region, key)  # noqa: SLF001
        if points is None:
            points = []
            cloudwatch._metrics.set_scoped(account, region, key, points)  # noqa: SLF001
        latest = _latest.get((account, region, key))
        if latest is None or latest[0] != minute or not points:
            latest = _latest[account, region, key] = (minute, {})
        point = latest[1].get(value)
        if point is None:
            point = latest[1][value] = {"Timestamp": minute, "Value": value, "Count": 0.0}
            point |= {"Unit": unit, "Dimensions": dimensions}
            points.append(point)
        point["Count"] += 1


class _Error(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _handle(
    original: Operation,
    operation: Callable[[Mapping[str, Any]], dict[str, Any] | None],
    query: Any,
    params: Mapping[str, Any],
    *encodings: bool,
) -> HttpResponse:
    """Handle an operation with parameters in CBOR or JSON, or leave it to MiniStack."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    is_cbor, is_json = encodings
    response: HttpResponse
    try:
        result = operation(params) if is_cbor or is_json else None
    except _Error as error:
        response = cloudwatch._error(error.code, str(error), 400, is_json, is_cbor)  # noqa: SLF001
        return response
    if result is None:
        return original(query, params, *encodings)
    if is_cbor:
        for row in result.get("MetricDataResults", ()):
            row["Timestamps"] = list(map(cloudwatch._cbor_timestamp, row["Timestamps"]))  # noqa: SLF001
    response = (cloudwatch._cbor_ok if is_cbor else cloudwatch._json_ok)(result)  # noqa: SLF001
    return response


def _get_data(params: Mapping[str, Any]) -> dict[str, Any] | None:
    from ministack.services import cloudwatch  # noqa: PLC0415

    queries = params.get("MetricDataQueries") or []
    if any("Expression" in query for query in queries):
        return None
    start, end = (cloudwatch._parse_ts(params[name]) for name in ("StartTime", "EndTime"))  # noqa: SLF001
    if start >= end:
        raise _Error(
            "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
        )
    if len(queries) > _MAX_QUERIES:
        raise _Error("ValidationError", f"At most {_MAX_QUERIES} queries are allowed.")
    start -= start % _find_resolution(start)
    points = [
        (at, number, value)
        for number, query in enumerate(queries)
        if query.get("ReturnData", True)
        for at, value in _aggregate(query["MetricStat"], start, end)
    ]
    is_ascending = params.get("ScanBy") == "TimestampAscending"
    points.sort(key=lambda point: (point[0] if is_ascending else -point[0], point[1]))
    page, token = _take_page(points, params, params.get("MaxDatapoints") or _MAX_DATA_POINTS)
    left = {number for _, number, _ in points[int(token["NextToken"]) :]} if token else set()
    results = [
        {
            "Id": query["Id"],
            "Label": query.get("Label") or query["MetricStat"]["Metric"]["MetricName"],
            "Timestamps": [at for at, owner, _ in page if owner == number],
            "Values": [value for _, owner, value in page if owner == number],
            "StatusCode": "PartialData" if number in left else "Complete",
        }
        for number, query in enumerate(queries)
        if query.get("ReturnData", True)
    ]
    return {"MetricDataResults": results, **token}


def _aggregate(statistic: Mapping[str, Any], start: float, end: float) -> Iterator[tuple[int, Any]]:
    """Yield the time and value of each period with data."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    metric, period, name = statistic["Metric"], int(statistic["Period"]), statistic["Stat"]
    if period % 60 and period not in (1, 5, 10, 20, 30):
        raise _Error("ValidationError", f"Period {period} is not a multiple of 60.")
    dimensions = cloudwatch._dims_from_list(metric.get("Dimensions") or [])  # noqa: SLF001
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))  # noqa: SLF001
    periods: dict[int, list[Any]] = {}
    for point in cloudwatch._metrics.get(key, ()):  # noqa: SLF001
        at = point["Timestamp"]
        if start <= at < end and (period < 60 or period % _find_resolution(at) == 0):
            periods.setdefault(int(at // period) * period, []).append(point)
    for at, points in periods.items():
        value = cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points)  # noqa: SLF001
        if value is not None:
            yield at, value


def _find_resolution(at: float) -> int:
    age = time.time() - at
    return next((resolution for limit, resolution in _RESOLUTIONS if age > limit), 60)


def _list_metrics(params: Mapping[str, Any]) -> dict[str, Any]:
    from ministack.services import cloudwatch  # noqa: PLC0415

    age = _RECENTLY_ACTIVE if params.get("RecentlyActive") else _ACTIVE
    oldest = time.time() - age
    wanted = [(row["Name"], row.get("Value")) for row in params.get("Dimensions") or []]
    found = [
        {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [
                {"Name": key, "Value": value} for key, value in points[0]["Dimensions"].items()
            ],
        }
        for (namespace, name, _), points in cloudwatch._metrics.items()  # noqa: SLF001
        if params.get("Namespace", namespace) == namespace
        and params.get("MetricName", name) == name
        and any(point["Timestamp"] >= oldest for point in points)
        and all(
            key in points[0]["Dimensions"] and value in (None, points[0]["Dimensions"][key])
            for key, value in wanted
        )
    ]
    page, token = _take_page(found, params, _MAX_METRICS)
    return {"Metrics": page, **token}


def _take_page(
    rows: list[Any], params: Mapping[str, Any], size: int
) -> tuple[list[Any], dict[str, str]]:
    """Return the rows of the page that the token of a request names, and the token of the next page."""
    token = str(params.get("NextToken") or 0)
    if not token.isdecimal():
        raise _Error("InvalidNextToken", "The next token specified is invalid.")
    end = int(token) + size
    return rows[int(token) : end], {"NextToken": str(end)} if end < len(rows) else {}
