"""The loopback addresses of this machine."""

from __future__ import annotations

import ipaddress

LOOPBACK = "127.0.0.1"
"""The only address that the sandbox listens on."""


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is one of the loopback interface."""
    host = host.strip("[]").partition("%")[0].lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified
