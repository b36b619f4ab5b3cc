"""`tunestack cost --running`: what is billed now by the hour or by the month."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tunestack.catalog import CATALOG
from tunestack.cli.options import new_tuner
from tunestack.cli.output import is_text, note, table
from tunestack.endpoints.expiry import end_text
from tunestack.spec.cost import usd_text

if TYPE_CHECKING:
    from tunestack.running_costs import RunningCost


def show_running_costs(stage: str | None, region: str | None) -> None:
    """Print what is billed in a region, by default in all regions where models can be fine-tuned."""
    regions = [region] if region else sorted({code for model in CATALOG for code in model.regions})
    costs = [cost for code in regions for cost in new_tuner(stage, code).running_costs()]
    table(
        [_row(cost) for cost in costs],
        ("id", "kind", "price", "expires_at", "region", "name"),
        of=f"costs by the hour or month in {', '.join(regions)}",
    )
    if is_text() and costs:
        note(f"in total: {_total(costs, 'hour')}, {_total(costs, 'month')}, by list prices")


def _row(cost: RunningCost) -> dict[str, object]:
    fields = {field.name: getattr(cost, field.name) for field in dataclasses.fields(cost)}
    if not is_text():
        return fields
    return fields | {
        "price": f"{usd_text(cost.usd)} per {cost.per}",
        "expires_at": end_text(cost.expiry, cost.expires_at),
    }


def _total(costs: list[RunningCost], per: str) -> str:
    prices = [cost.usd for cost in costs if cost.per == per]
    unknown = prices.count(None)
    total = usd_text(sum(price for price in prices if price is not None))
    return f"{total} per {per}" + (f" and {unknown} unknown prices" if unknown else "")
