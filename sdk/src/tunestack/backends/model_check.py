"""The preflight check of a base model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.backends.base import Check, Verdict
from tunestack.errors import ModelError, TunestackError

if TYPE_CHECKING:
    from tunestack.backends.protocols import Backend
    from tunestack.catalog import BaseModel


def check_model(backend: Backend, model: BaseModel, region: str | None) -> Check:
    """Check whether a model can be fine-tuned today, in a region; the detail says how it is served."""
    name = f"model {model.key}"
    today = backend.now().date()
    try:
        catalog.require(model.key, on=today, provider=model.provider, region=region)
        state = backend.lifecycle(model)
        if state is not None or backend.has_catalog_dates:
            catalog.require_living(model, on=backend.now().date(), service_state=state)
    except ModelError as error:
        return Check(
            name=name, verdict=Verdict.FAIL, detail=str(error), fix="see `tunestack models list`"
        )
    except TunestackError as error:
        return Check(name=name, verdict=Verdict.UNKNOWN, detail=str(error))
    if state is None:
        return Check(
            name=name,
            verdict=Verdict.UNKNOWN,
            detail="it can be fine-tuned according to the catalog, but the provider does not list it, or the caller may "
            "not list models: the job may be refused",
        )
    ways = " or ".join(way.value for way in model.serving)
    return Check(
        name=name,
        verdict=Verdict.PASS,
        detail=f"can be fine-tuned in {region}, and served {ways}",
    )
