"""`tunestack models`: the models that can be fine-tuned."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from tunestack import catalog
from tunestack.catalog import CATALOG, BaseModel
from tunestack.catalog.load import PRICE_UNITS
from tunestack.cli.options import json_option
from tunestack.cli.output import as_json, out, show, table
from tunestack.errors import ModelError


@click.command()
@click.argument("name", required=False)
@click.option(
    "everything",
    "--all",
    is_flag=True,
    help="Include retired models and models that Tunestack can't fine-tune.",
)
@click.option("--region", help="Only models that can be fine-tuned in this region.")
@json_option
def models(name: str | None, region: str | None, *, everything: bool, json_wanted: bool) -> None:
    """List the base models that can be fine-tuned today, or show the one called NAME."""
    today = datetime.now(UTC).date()
    if name is not None:
        model = catalog.find(name)
        if model is None:
            raise ModelError(
                f"{name!r} is not in the catalog: `tunestack models --all` lists all models"
            )
        _show(model, json_wanted=json_wanted)
        return
    chosen = list(CATALOG) if everything else catalog.tunable(on=today)
    table(
        [
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
        ],
        ("id", "state", "provider", "model", "regions", "serving"),
        of="models",
        json_wanted=json_wanted,
    )


def _show(model: BaseModel, *, json_wanted: bool) -> None:
    state = model.lifecycle.state(datetime.now(UTC).date())
    if json_wanted:
        out(
            as_json(
                {
                    "id": model.key,
                    "state": state.value,
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
            )
        )
        return
    show(
        {
            "id": model.key,
            "name": model.name,
            "state": state.value,
            "model": model.customization_id,
            "inference ids": model.inference_ids,
            "regions": model.regions,
            "serving": [way.value for way in model.serving],
            "format": model.record_format.value,
            "records": f"{model.limits.min_records or '?'} to {model.limits.max_records or '?'}",
            "unsupported": model.unsupported,
            "source": f"{model.source} (read {model.seen})",
        },
        json_wanted=False,
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
