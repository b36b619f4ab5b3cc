"""Everything that can be known of a model before money is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.errors import ModelError, TunestackError
from tunestack.provider import Check, Verdict

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel
    from tunestack.provider import Provider


def check_model(provider: Provider, model: BaseModel, region: str | None) -> Check:
    """Check that a model can be tuned today, in a region, and tell how what comes of it is served."""
    name = f"model {model.key}"
    try:
        catalog.require(model.key, on=provider.now().date(), provider=model.provider, region=region)
        said = provider.lifecycle(model)
        catalog.require_living(model, on=provider.now().date(), service_state=said)
    except ModelError as error:
        return Check(
            name=name, verdict=Verdict.FAIL, detail=str(error), fix="see `tunestack models`"
        )
    except TunestackError as error:
        return Check(name=name, verdict=Verdict.UNKNOWN, detail=str(error))
    if said is None:
        return Check(
            name=name,
            verdict=Verdict.UNKNOWN,
            detail="by the catalog it can be tuned; the vendor did not say",
        )
    ways = " or ".join(way.value for way in model.serving)
    return Check(
        name=name,
        verdict=Verdict.PASS,
        detail=f"can be tuned in {region}, and served {ways}",
    )
