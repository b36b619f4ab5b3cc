"""boto3 sessions and clients."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tunestack.backends.bedrock.errors import translated
from tunestack.environment import require_same_endpoints, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Five calls in all. Every create carries a token that follows from its content, so a repeated one makes nothing new.
_CONTROL = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, user_agent_extra="tunestack"
)
# An answer may take minutes, and one that is asked for again is billed again.
_RUNTIME = _CONTROL.merge(Config(read_timeout=600))
_SERVICES = ("bedrock", "bedrock-runtime", "s3", "scheduler", "sqs", "ssm")
"""What a job and its endpoint call."""
_EXPIRED = ("ExpiredToken", "ExpiredTokenException")


def new_session() -> boto3.Session:
    """Make boto3's default session.

    Raises:
        ConfigError: the profile or the configuration file is wrong.
    """
    with translated("finding the AWS settings"):
        return boto3.Session()


class Clients:
    """Makes clients of one session, and keeps them; safe to share between threads, which a session is not."""

    def __init__(
        self,
        session: boto3.Session,
        environment: Mapping[str, str] | None = None,
        *,
        renew: Callable[[], boto3.Session] | None = None,
    ) -> None:
        """Keep the session, which has the credentials.

        Args:
            session: boto3's.
            environment: the variables that clients are created from; the present ones if not given.
            renew: makes another, with the credentials that there are then; called after those of this one have expired.
        """
        # The stubs know a method for each service, not one for any.
        self._session: Any = session
        self._environment = snapshot() if environment is None else environment
        self._renew = renew
        self._expired = False
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._ahead: dict[str, timedelta] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Leave out the session, its credentials and the clients: another process has its own."""
        return _new_clients, ()

    @property
    def session(self) -> boto3.Session:
        """The session whose credentials are used."""
        session: boto3.Session = self._session
        return session

    def get(self, service: str, region: str) -> Any:
        """Return the client of a service in a region; callers name its type.

        Raises:
            ConfigError: unknown region, an endpoint that is set is not a URL, or the environment names other endpoints
                than when this object was created.
        """
        with self._lock, translated(f"connecting to {service} in {region}"):
            if self._expired and self._renew is not None:
                require_same_endpoints(self._environment)
                self._session, self._expired = self._renew(), False
                self._clients.clear()
            if (service, region) not in self._clients:
                require_same_endpoints(self._environment)
                self._clients[service, region] = self._session.client(
                    service,
                    region,
                    config=_RUNTIME if service == "bedrock-runtime" else _CONTROL,
                )
                heard = partial(self._hear, service, region)
                self._clients[service, region].meta.events.register("after-call", heard)
            return self._clients[service, region]

    def open(self, region: str) -> None:
        """Create the clients that a job and its endpoint need; a later change of the environment does not concern them."""
        for service in _SERVICES:
            self.get(service, region)

    def now(self, region: str) -> datetime:
        """Tell the time by Bedrock's clock in a region, as of its last answer; by this machine's before the first.

        What ends endpoints goes by that clock, and that of a laptop may be wrong.
        """
        return datetime.now(UTC) + self.ahead(region)

    def ahead(self, region: str) -> timedelta:
        """Tell by how much Bedrock's clock is ahead of this machine's, as of its last answer."""
        return self._ahead.get(region, timedelta(0))

    def _hear(
        self, service: str, region: str, *, http_response: Any, parsed: Any, **_: object
    ) -> None:
        """Take from every answer what time it is, and whether the credentials have expired."""
        if parsed.get("Error", {}).get("Code") in _EXPIRED:
            self._expired = True
        if service == "bedrock":
            with suppress(ValueError, TypeError, KeyError):
                said = parsedate_to_datetime(http_response.headers["date"])
                self._ahead[region] = said - datetime.now(UTC)


def _new_clients() -> Clients:
    """Return clients of boto3's default session, as they are made where no session is given."""
    return Clients(new_session(), renew=new_session)
