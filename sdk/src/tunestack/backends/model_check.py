"""Everything that can be known of a model before money is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.backends.base import Check, Verdict
from tunestack.errors import ModelError, TunestackError

if TYPE_CHECKING:
    from tunestack.backends.base import Backend
    from tunestack.catalog import BaseModel


def check_model(backend: Backend, model: BaseModel, region: str | None) -> Check:
    """Check that a model can be tuned today, in a region, and tell how what comes of it is served."""
    name = f"model {model.key}"
    try:
        catalog.require(model.key, on=backend.now().date(), backend=model.backend, region=region)
        said = backend.lifecycle(model)
        catalog.require_living(model, on=backend.now().date(), said=said)
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
    serving = " or ".join(way.value for way in model.serving)
    return Check(
        name=name,
        verdict=Verdict.PASS,
        detail=f"can be tuned in {region}, and served {serving}",
    )
