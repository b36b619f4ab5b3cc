"""Warn about endpoints that are billed by the hour."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from tunestack._utils.formatting import utc_text
from tunestack.backends.base import Expiry

if TYPE_CHECKING:
    from tunestack.backends.base import EndpointInfo
    from tunestack.catalog import Price


class EndpointCostWarning(UserWarning):
    """An endpoint is billed by the hour."""


def warn_about_cost(what: str, price: Price | None, units: int, end: str) -> None:
    """Warn that an endpoint is billed by the hour, with its price and its expiry."""
    cost = (
        "at a price that Tunestack does not know (see the Bedrock pricing page)"
        if price is None
        else f"at {price} for each of {units} model units"
    )
    warnings.warn(
        f"{what} billed by the hour, {cost}, until it is stopped. {end}.",
        EndpointCostWarning,
        stacklevel=4,
    )


def existing_end(info: EndpointInfo) -> str:
    """Return when an existing endpoint is deleted; a ttl that is passed now does not change it."""
    if info.expires_at is not None:
        return (
            f"The endpoint guard deletes it at {utc_text(info.expires_at)}, as set when it was started: "
            "to change that, call extend()"
        )
    if info.expiry is Expiry.NEVER:
        return "Nothing deletes it automatically"
    return "Its expiry is unknown: its tags or its stage can't be read"
