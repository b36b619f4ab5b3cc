"""Everything that can be known of a model before money is spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.errors import ModelError
from tunestack.provider import Check, Verdict

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel
    from tunestack.provider import Provider


def check_model(provider: Provider, model: BaseModel, region: str) -> Check:
    """Check that a model can be tuned today, in a region, and tell how what comes of it is served."""
    today = datetime.now(UTC).date()
    name = f"model {model.key}"
    try:
        catalog.require(model.key, on=today, provider=model.provider, region=region)
        said = provider.lifecycle(model)
        catalog.require_living(model, on=today, said=said)
    except ModelError as error:
        return Check(
            name=name, verdict=Verdict.FAIL, detail=str(error), fix="see `tunestack models`"
        )
    ways = " or ".join(way.value for way in model.serving)
    return Check(
        name=name,
        verdict=Verdict.UNKNOWN if said is None else Verdict.PASS,
        detail="by the catalog it can be tuned; the vendor did not say"
        if said is None
        else f"can be tuned in {region}, and served {ways}",
    )
