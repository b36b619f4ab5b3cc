"""`tunestack models`: the base models that can be fine-tuned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tunestack import catalog
from tunestack.catalog import CATALOG
from tunestack.catalog.load import PRICE_UNITS
from tunestack.cli.groups import Group, examples
from tunestack.cli.options import format_option, limit_option, limited, sort_option
from tunestack.cli.output import is_text, out, show, table, write

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel

_PAGE = "cli.md"


@click.group(
    cls=Group,
    epilog=examples("tunestack models list", "tunestack models show nova-micro", page=_PAGE),
)
def models() -> None:
    """List the base models that can be fine-tuned, or show one."""


@models.command(
    "list",
    epilog=examples(
        "tunestack models list --region us-west-2", "tunestack models list --all --json", page=_PAGE
    ),
)
@click.option(
    "everything",
    "--all",
    is_flag=True,
    help="Include retired models and models that Tunestack can't fine-tune.",
)
@click.option("--region", help="Only models that can be fine-tuned in this AWS region.")
@limit_option
@sort_option("catalog", "id", "state", "provider")
@format_option
def list_models(region: str | None, limit: int, sort: str, *, everything: bool) -> None:
    """List the base models that can be fine-tuned today."""
    today = datetime.now(UTC).date()
    chosen = list(CATALOG) if everything else catalog.tunable(on=today)
    rows = [
        {
            "id": model.key,
            "state": model.lifecycle.state(today).value,
            "model": model.customization_id,
            "regions": model.regions,
            "serving": [way.value for way in model.serving],
            "format": model.record_format.value,
            "provider": model.provider,
        }
        for model in chosen
        if region in (None, *model.regions)
    ]
    if sort != "catalog":
        rows.sort(key=lambda row: str(row[sort]))
    columns = ("id", "state", "provider", "serving", "regions", "model")
    table(limited(rows, limit), columns, of="models")


@models.command(
    "show",
    epilog=examples(
        "tunestack models show nova-micro",
        "tunestack models show us.amazon.nova-micro-v1:0 --json",
        page=_PAGE,
    ),
)
@click.argument("model")
@format_option
def show_model(model: str) -> None:
    """Show a base model, by any of its names: its limits, hyperparameters and prices."""
    found = catalog.get(model)
    if is_text():
        _show_text(found)
    else:
        write(_details(found))


def _details(model: BaseModel) -> dict[str, object]:
    return {
        "id": model.key,
        "state": _state(model),
        "model": model.customization_id,
        "name": model.name,
        "publisher": model.publisher,
        "provider": model.provider,
        "inference_ids": model.inference_ids,
        "regions": model.regions,
        "serving": model.serving,
        "record_format": model.record_format,
        "lifecycle": model.lifecycle,
        "limits": model.limits,
        "hyperparameters": {
            name: {
                "type": row.type.value,
                "min": row.min,
                "max": row.max,
                "default": row.default,
                "confidence": row.confidence,
                "source": row.source,
            }
            for name, row in model.hyperparameters.items()
        },
        "prices": dict(model.prices),
        "source": model.source,
        "seen": model.seen,
    }


def _show_text(model: BaseModel) -> None:
    show(
        {
            "id": model.key,
            "name": model.name,
            "state": _state(model),
            "model": model.customization_id,
            "inference ids": model.inference_ids,
            "regions": model.regions,
            "serving": [way.value for way in model.serving],
            "format": model.record_format.value,
            "records": f"{model.limits.min_records or '?'} to {model.limits.max_records or '?'}",
            "unsupported": model.unsupported,
            "source": f"{model.source} (read {model.seen})",
        }
    )
    out("\nHyperparameters")
    for name, row in model.hyperparameters.items():
        default = "" if row.default is None else f", default {row.default:g}"
        out(f"  {name}: {row.min:g} to {row.max:g}{default} ({row.confidence} confidence)")
    out("\nPrices")
    for what, price in model.prices.items():
        out(f"  {price} {PRICE_UNITS[what]}")
    if not model.prices:
        out("  unknown")


def _state(model: BaseModel) -> str:
    return model.lifecycle.state(datetime.now(UTC).date()).value
