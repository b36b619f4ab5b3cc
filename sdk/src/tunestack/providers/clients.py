"""boto3 clients, one for each service and region."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from botocore.config import Config

if TYPE_CHECKING:
    import boto3

# Five calls in all. Every create carries a token that follows from its content, so a repeated one makes nothing new.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, user_agent_extra="tunestack"
)


class Clients:
    """Makes clients of one session, and keeps them; safe to share between threads, which a session is not."""

    def __init__(self, session: boto3.Session) -> None:
        """Take the session, which decides who calls."""
        # The stubs know a method for each service, not one for any.
        self._session: Any = session
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def get(self, service: str, region: str) -> Any:
        """Return the client of a service in a region; callers name its type."""
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._session.client(
                    service, region, config=_CONFIG
                )
            return self._clients[service, region]
