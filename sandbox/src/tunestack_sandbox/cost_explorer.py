"""AWS Cost Explorer: `GetCostAndUsage` and `GetDimensionValues` for what Bedrock has billed in the sandbox.

Sources (read 2026-11-29): botocore's service model; AWS Cost Management user guide, ce-api and ce-enable; the messages of
ValidationException in public issues, such as aws/aws-sdk-js#2732. The other messages are the sandbox's own.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tunestack_sandbox.cost_records import (
    CostRecord,
    build_filter,
    build_group_key,
    build_validation_error,
    get_dimension,
    list_records,
)
from tunestack_sandbox.messages import OperationCall, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tunestack_sandbox.authentication import Caller
    from tunestack_sandbox.bedrock.state import Region
    from tunestack_sandbox.clock import Clock

Params = dict[str, Any]
Row = TypeVar("Row")

_COSTS = ("AmortizedCost", "BlendedCost", "NetAmortizedCost", "NetUnblendedCost", "UnblendedCost")
"""The metrics of costs, which are equal without discounts, reservations and other accounts."""
_QUANTITY = "UsageQuantity"
_GRANULARITIES = ("DAILY", "MONTHLY")
_MAX_GROUPS = 2
_MONTHS = 13
"""The months before the current one that have data."""
_PAGE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """A group of records in a period; without a key, those of the whole period."""

    start: date
    end: date
    key: tuple[str, ...] = ()
    records: Sequence[CostRecord] = ()


class CostExplorer:
    """The service, a `JsonService`."""

    name = "ce"
    invalid_code = "ValidationException"

    def __init__(self, regions: Callable[[str], Sequence[Region]], clock: Clock) -> None:
        """Initialize the service.

        Args:
            regions: Returns the state of Bedrock in the regions of an account.
            clock: The sandbox's clock.
        """
        self._regions = regions
        self._clock = clock

    @property
    def operations(self) -> Mapping[str, Callable[[OperationCall, Caller], Mapping[str, Any]]]:
        """The operations that the sandbox implements."""
        return {
            "GetCostAndUsage": self._get_cost_and_usage,
            "GetDimensionValues": self._get_dimension_values,
        }

    def _get_cost_and_usage(self, call: OperationCall, caller: Caller) -> Mapping[str, Any]:
        params = call.params
        _check_metrics(params)
        definitions = params.get("GroupBy", [])
        records = self._read_records(params, caller)
        page, token = _cut_page(list(_list_groups(records, params)), params)
        today = self._clock.now().date()
        return {
            "GroupDefinitions": definitions,
            "ResultsByTime": [
                {
                    "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
                    "Estimated": end > today.replace(day=1),
                    **_build_amounts(list(groups), params["Metrics"], is_grouped=bool(definitions)),
                }
                for (start, end), groups in itertools.groupby(
                    page, key=lambda group: (group.start, group.end)
                )
            ],
            "DimensionValueAttributes": [],
            **token,
        }

    def _get_dimension_values(self, call: OperationCall, caller: Caller) -> Mapping[str, Any]:
        params = call.params
        for name in ("SortBy", "MaxResults"):
            if name in params:
                raise build_validation_error(f"The sandbox does not implement {name}.")
        read = get_dimension(params["Dimension"])
        searched = params.get("SearchString", "").lower()
        values = {read(record) for record in self._read_records(params, caller)}
        found = sorted(value for value in values if searched in value.lower())
        page, token = _cut_page(found, params)
        return {
            "DimensionValues": [{"Value": value, "Attributes": {}} for value in page],
            "ReturnSize": len(page),
            "TotalSize": len(found),
            **token,
        }

    def _read_records(self, params: Params, caller: Caller) -> list[CostRecord]:
        """Return the records of a request's period that match its filter."""
        matches = build_filter(params.get("Filter", {}))
        with self._clock.lock:
            self._clock.settle()
            start, end = _read_period(params, self._clock.now().date())
            return [
                record
                for region in self._regions(caller.account)
                for record in list_records(region)
                if start <= record.day < end and matches(record)
            ]


def _check_metrics(params: Params) -> None:
    unknown = set(params["Metrics"]) - {*_COSTS, _QUANTITY}
    if unknown or not params["Metrics"]:
        raise build_validation_error(f"The metrics {sorted(unknown)} are invalid.")
    if params["Granularity"] not in _GRANULARITIES:
        raise build_validation_error("The sandbox does not implement the granularity HOURLY.")
    if len(params.get("GroupBy", ())) > _MAX_GROUPS:
        raise build_validation_error(f"At most {_MAX_GROUPS} groups are allowed.")


def _read_period(params: Params, today: date) -> tuple[date, date]:
    """Return the first day of a request, and the day after the last one."""
    try:
        start, end = (date.fromisoformat(params["TimePeriod"][name]) for name in ("Start", "End"))
    except ValueError:
        raise build_validation_error("Dates must have the format YYYY-MM-DD.") from None
    if start >= end:
        raise build_validation_error("Start date (and hour) should be before end date (and hour)")
    if end > _next_month(today):
        raise build_validation_error("end date past the beginning of next month")
    if start > today:
        raise build_validation_error("Start date should not be after the current date.")
    months = 12 * today.year + today.month - 1 - _MONTHS
    if start < date(months // 12, months % 12 + 1, 1):
        raise build_validation_error("You haven't enabled historical data beyond 14 months.")
    return start, end


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _list_groups(records: Sequence[CostRecord], params: Params) -> Iterator[_Group]:
    """Yield the groups of all periods, in their order; a period without records has one empty group."""
    start, end = (date.fromisoformat(params["TimePeriod"][name]) for name in ("Start", "End"))
    build_key = build_group_key(params.get("GroupBy", []))
    by_key = sorted(records, key=build_key)
    while start < end:
        is_daily = params["Granularity"] == "DAILY"
        next_start = min(end, start + timedelta(days=1) if is_daily else _next_month(start))
        found = [record for record in by_key if start <= record.day < next_start]
        for key, rows in itertools.groupby(found, key=build_key):
            yield _Group(start=start, end=next_start, key=key, records=list(rows))
        if not found:
            yield _Group(start=start, end=next_start)
        start = next_start


def _build_amounts(groups: Sequence[_Group], metrics: list[str], *, is_grouped: bool) -> Params:
    """Build the groups of a period, or its total if the request has no groups."""
    if not is_grouped:
        return {"Total": _measure(groups[0].records, metrics), "Groups": []}
    return {
        "Total": {},
        "Groups": [
            {"Keys": list(group.key), "Metrics": _measure(group.records, metrics)}
            for group in groups
            if group.key
        ],
    }


def _measure(records: Sequence[CostRecord], metrics: list[str]) -> dict[str, dict[str, str]]:
    """Build the metrics of records. A quantity has a unit if all records have the same one."""
    units = {record.unit for record in records}
    quantity_unit = units.pop() if len(units) == 1 else "N/A"
    return {
        metric: {
            "Amount": f"{sum(record.quantity for record in records):.10f}",
            "Unit": quantity_unit,
        }
        if metric == _QUANTITY
        else {"Amount": f"{sum(record.usd for record in records):.10f}", "Unit": "USD"}
        for metric in metrics
    }


def _cut_page(rows: Sequence[Row], params: Params) -> tuple[Sequence[Row], dict[str, str]]:
    """Return the rows of the requested page, and the token of the next one.

    Raises:
        ServiceError: The token is invalid, or that of another request.
    """
    others = {name: value for name, value in params.items() if name != "NextPageToken"}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
    start = 0
    if "NextPageToken" in params:
        try:
            start, first_digest = json.loads(base64.b64decode(params["NextPageToken"]))
        except (ValueError, TypeError):
            raise ServiceError(
                "InvalidNextTokenException", "The pagination token is invalid."
            ) from None
        if first_digest != digest:
            message = "Your request parameters changed between pages."
            raise ServiceError("RequestChangedException", message)
    end = start + _PAGE
    if end >= len(rows):
        return rows[start:], {}
    token = base64.b64encode(json.dumps([end, digest]).encode()).decode()
    return rows[start:end], {"NextPageToken": token}
