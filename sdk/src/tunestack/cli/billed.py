"""`tunestack cost --billed`: what AWS billed, from AWS Cost Explorer."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from tunestack.cli.options import new_tuner, once
from tunestack.cli.output import ID_ONLY, is_text, note, table
from tunestack.deployment import STAGE_TAG
from tunestack.spec.cost import usd_text

if TYPE_CHECKING:
    from tunestack.backends.bills import BilledCost, BilledCosts

_USD_PER_REQUEST = 0.01
"""Source: AWS Cost Explorer FAQs (read 2026-11-29)."""


def show_billed_costs(
    stage: str | None, region: str | None, *, tags: tuple[tuple[str, str], ...], **arguments: Any
) -> None:
    """Print what AWS billed the account for Bedrock, by default in all regions."""
    if stage is not None:
        raise click.UsageError(
            f"--stage has no effect with --billed: use --tag {STAGE_TAG}={stage}"
        )
    if click.get_current_context().meta.get(ID_ONLY):
        raise click.UsageError("--id-only has no effect with --billed: costs have no ids")
    filters = once(tags)
    costs = new_tuner(None, region).billed_costs(region=region, tags=filters, **arguments)
    table(
        [_row(cost) for cost in costs],
        ("start", "cost", "usage", "model", "quantity", "usage_type", "service"),
        of="billed costs of Amazon Bedrock" + (f" in {region}" if region else ""),
    )
    _note_total(costs)
    if filters and not costs:
        note(
            "tags are on the bill only after they were activated as cost allocation tags in the management account"
        )


def _row(cost: BilledCost) -> dict[str, object]:
    fields = {field.name: getattr(cost, field.name) for field in dataclasses.fields(cost)}
    if not is_text():
        return fields
    unit = "" if cost.unit == "N/A" else f" {cost.unit}"
    return fields | {
        "cost": usd_text(cost.usd),
        "usage": cost.kind or cost.usage_type,
        "quantity": f"{cost.quantity:,.6g}{unit}",
    }


def _note_total(costs: BilledCosts) -> None:
    if costs:
        first, last = costs[0].start, max(cost.end for cost in costs) - timedelta(days=1)
        note(f"in total {usd_text(costs.usd)} from {first} to {last} (UTC){_estimated(costs)}")
    count = f"{costs.requests} request" + ("s" if costs.requests > 1 else "")
    note(f"AWS bills {usd_text(costs.requests * _USD_PER_REQUEST)} for {count} to Cost Explorer")


def _estimated(costs: BilledCosts) -> str:
    if all(cost.is_estimated for cost in costs):
        return ", estimated"
    return ", partly estimated" if any(cost.is_estimated for cost in costs) else ""
