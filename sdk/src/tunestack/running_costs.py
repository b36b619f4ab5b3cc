"""What is billed now by the hour or by the month."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tunestack.backends.base import EndpointState, Expiry
from tunestack.catalog import Serving
from tunestack.endpoints.expiry import with_expiry
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tunestack.backends.protocols import Backend
    from tunestack.catalog import Price
    from tunestack.catalog.model import PriceKind


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningCost:
    """Something that is billed until it is deleted."""

    id: str
    kind: Literal["endpoint", "custom model", "stored data"]
    name: str
    region: str
    usd: float | None
    """The price in US dollars for each hour or month; `None` if it is unknown."""
    per: Literal["hour", "month"]
    source: str | None = None
    """Where the price is from."""
    created: datetime | None = None
    expiry: Expiry = Expiry.NEVER
    expires_at: datetime | None = None
    """When it is deleted automatically; `None` unless `expiry` is `scheduled`."""


def running_costs(backend: Backend) -> Iterator[RunningCost]:
    """List what is billed in a region: provisioned throughput, stored custom models, and data in S3."""
    if Serving.PROVISIONED not in backend.serving:  # at OpenAI, nothing is billed while idle
        return
    for found in backend.endpoints(serving=Serving.PROVISIONED):
        if found.state is EndpointState.FAILED:  # not billed
            continue
        info = with_expiry(backend, found)
        # Only prices without commitment are known.
        price = None if info.commitment else _price(backend, info.model, "provisioned")
        yield RunningCost(
            id=info.id,
            kind="endpoint",
            name=info.name,
            region=backend.scope,
            usd=None if price is None else price.usd * (info.model_units or 1),
            per="hour",
            source=None if price is None else str(price),
            created=info.created,
            expiry=info.expiry,
            expires_at=info.expires_at,
        )
    for model in backend.custom_models():
        if model.state == "Failed":
            continue
        price = _price(backend, model.id, "storage")
        yield RunningCost(
            id=model.id,
            kind="custom model",
            name=model.name,
            region=backend.scope,
            usd=None if price is None else price.usd,
            per="month",
            source=None if price is None else str(price),
            created=model.created,
        )
    for data in backend.stored_data():
        if data.size != 0:
            yield RunningCost(
                id=data.location,
                kind="stored data",
                name=data.location,
                region=backend.scope,
                usd=data.usd_a_month,
                per="month",
                source=None if data.size is None else f"{data.size:,} bytes in S3 Standard",
            )


def _price(backend: Backend, model: str, kind: PriceKind) -> Price | None:
    with suppress(TunestackError):  # a base model that is not in the catalog
        return backend.prices(backend.base(model)).get(kind)
    return None
