"""What AWS has billed for Amazon Bedrock, read with the Cost Explorer API.

Sources (read 2026-11-29): botocore's service model of `ce`; AWS Cost Management user guide, ce-api and ce-api-best-practices; AWS
Cost Explorer FAQs ($0.01 for each request and page). Services and usage types: bills that users published (public repositories),
such as `Claude 3 Haiku (Amazon Bedrock Edition)` with `USW2-MP:USW2_InputTokenCount-Units`.
"""

from __future__ import annotations

import logging
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bills import BilledCost, BilledCosts, Granularity, UsageKind
from tunestack.catalog import CATALOG
from tunestack.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.backends.bedrock.clients import Clients

logger = logging.getLogger(__name__)

_REGION = "us-east-1"
"""Cost Explorer has one endpoint for all regions, which is in this one."""
_SERVICES = "Bedrock"
"""A part of the names of all services that bill models on Bedrock: models of other publishers have services of their own."""
_GRANULARITIES = {Granularity.DAY: "DAILY", Granularity.MONTH: "MONTHLY"}
_COST, _QUANTITY = "UnblendedCost", "UsageQuantity"
_WITHOUT_UNIT = "N/A"
_KINDS = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"-Customization-Training|-RFT-Training", UsageKind.TRAINING),
        (r"-Customization-Storage", UsageKind.MODEL_STORAGE),
        (r"ProvisionedThroughput", UsageKind.PROVISIONED),
        (r"-input-tokens-custom-model", UsageKind.CUSTOM_INPUT),
        (r"-output-tokens-custom-model", UsageKind.CUSTOM_OUTPUT),
        (r"cache[-_]?read.*token", UsageKind.CACHE_READ),
        (r"cache[-_]?write.*token", UsageKind.CACHE_WRITE),
        (r"input[-_]?token", UsageKind.INPUT),
        (r"output[-_]?token", UsageKind.OUTPUT),
    )
)
"""The kinds of usage types, in which the region's code and the model come first: `USE1-NovaMicro-Customization-Training`."""


def read_billed_costs(
    clients: Clients,
    start: date,
    end: date,
    *,
    granularity: Granularity,
    region: str | None,
    tags: Mapping[str, str],
) -> BilledCosts:
    """Read what AWS billed for Bedrock; see `BilledAccount`.

    Raises:
        AccessError: the caller may not read bills, or Cost Explorer is not enabled.
        ProviderError: AWS refused the request or failed.
    """
    interval = {"TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()}}
    costs = BilledCosts()
    services = [
        row["Value"]
        for page in _pages(
            clients,
            "get_dimension_values",
            costs,
            Dimension="SERVICE",
            SearchString=_SERVICES,
            **interval,
        )
        for row in page["DimensionValues"]
    ]
    logger.debug("services on the bill: %s", ", ".join(services) or "none")
    if not services:
        return costs
    pages = _pages(
        clients,
        "get_cost_and_usage",
        costs,
        Granularity=_GRANULARITIES[granularity],
        Metrics=[_COST, _QUANTITY],
        GroupBy=[{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "USAGE_TYPE")],
        Filter=_build_filter(services, region, tags),
        **interval,
    )
    costs.extend(cost for page in pages for cost in _read_page(page))
    # A page may end in the middle of a period.
    costs.sort(key=lambda cost: (cost.start, -cost.usd))
    return costs


def _pages(clients: Clients, operation: str, costs: BilledCosts, **arguments: Any) -> Iterator[Any]:
    """Yield all pages of an operation, each of which is billed, and count them."""
    send = getattr(clients.get("ce", _REGION), operation)
    is_last = False
    while not is_last:
        with translate_errors("reading the bill"):
            page = send(**arguments)
        costs.requests += 1
        yield page
        arguments["NextPageToken"] = page.get("NextPageToken")
        is_last = not arguments["NextPageToken"]


def _build_filter(
    services: list[str], region: str | None, tags: Mapping[str, str]
) -> dict[str, Any]:
    filters: list[dict[str, Any]] = [{"Dimensions": {"Key": "SERVICE", "Values": services}}]
    if region is not None:
        filters.append({"Dimensions": {"Key": "REGION", "Values": [region]}})
    filters += [{"Tags": {"Key": key, "Values": [value]}} for key, value in tags.items()]
    return filters[0] if len(filters) == 1 else {"And": filters}


def _read_page(page: Mapping[str, Any]) -> Iterator[BilledCost]:
    for result in page["ResultsByTime"]:
        for group in result["Groups"]:
            service, usage_type = group["Keys"]
            cost, quantity = (group["Metrics"][name] for name in (_COST, _QUANTITY))
            if cost["Unit"] not in ("USD", _WITHOUT_UNIT):
                raise ProviderError(f"the bill is in {cost['Unit']}: only US dollars are supported")
            yield BilledCost(
                start=date.fromisoformat(result["TimePeriod"]["Start"]),
                end=date.fromisoformat(result["TimePeriod"]["End"]),
                service=service,
                usage_type=usage_type,
                kind=find_kind(usage_type),
                model=_find_model(usage_type),
                quantity=float(quantity["Amount"]),
                unit=quantity.get("Unit") or _WITHOUT_UNIT,
                usd=float(cost["Amount"]),
                is_estimated=bool(result.get("Estimated")),
            )


def find_kind(usage_type: str) -> UsageKind | None:
    """Return what a usage type means, or `None` if it is unknown."""
    return next((kind for pattern, kind in _KINDS if pattern.search(usage_type)), None)


def _find_model(usage_type: str) -> str | None:
    """Return the base model whose name a usage type contains."""
    return next(
        (
            model.key
            for model in CATALOG
            if model.usage_type and f"-{model.usage_type}-" in usage_type
        ),
        None,
    )
