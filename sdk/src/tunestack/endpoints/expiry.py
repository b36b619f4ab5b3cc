"""When endpoints are deleted automatically."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tunestack._utils.formatting import utc_text, value_text
from tunestack.backends.protocols import EndpointHost
from tunestack.errors import ConfigError, ProviderError
from tunestack.polling import to_seconds

if TYPE_CHECKING:
    from tunestack.backends.base import EndpointInfo, Expiry
    from tunestack.backends.protocols import Backend

logger = logging.getLogger(__name__)

_STEP = timedelta(minutes=5)
"""Times in requests are rounded up to a multiple of this, so that concurrent processes send equal requests."""


def with_expiry(backend: Backend, info: EndpointInfo) -> EndpointInfo:
    """Add the end of an endpoint to an observation; it stays unknown if the caller may not read it, or not now."""
    if not isinstance(backend, EndpointHost):
        return info
    try:
        return backend.with_expiry(info)
    except ProviderError as error:
        logger.debug("the end of endpoint %s is unknown: %s", info.name, error)
        return info


def expiry_text(info: EndpointInfo) -> str:
    """Format the end of an endpoint: `2026-11-28 22:25 UTC`, `never` or `unknown`."""
    return end_text(info.expiry, info.expires_at)


def end_text(expiry: Expiry, expires_at: datetime | None) -> str:
    """Format an end, as `expiry_text` does."""
    return expiry.value if expires_at is None else utc_text(expires_at)


def to_ttl(ttl: object) -> timedelta:
    """Return the lifetime of an endpoint.

    Raises:
        ConfigError: it is not a positive duration, or longer than a year.
    """
    lifetime = timedelta(seconds=to_seconds(ttl, "ttl"))
    if lifetime <= timedelta(0):
        raise ConfigError(f"invalid ttl {value_text(ttl)}: use a duration longer than 0")
    return lifetime


def round_up(time: datetime) -> datetime:
    """Round up, so that two callers at about the same time use the same time."""
    step = _STEP.total_seconds()
    return datetime.fromtimestamp(-(time.timestamp() // -step) * step, UTC)


def time_text(time: datetime) -> str:
    """Format a time for a tag: `2026-11-28T22:25:00Z`."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
