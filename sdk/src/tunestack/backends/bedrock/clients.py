"""boto3 sessions and clients."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ProfileNotFound

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.environment import require_same_endpoints, snapshot
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# At most five attempts. All create calls have idempotency tokens, so a repeated call creates nothing new.
_CONTROL = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, user_agent_extra="tunestack"
)
# A response may take minutes, and a repeated request is billed again.
_RUNTIME = _CONTROL.merge(Config(read_timeout=600))
# A cost estimate has the prices of the catalog if the price list can't be read, so it does not wait long.
_PRICING = _CONTROL.merge(
    Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
)
_CONFIGS = {"bedrock-runtime": _RUNTIME, "pricing": _PRICING}
_SERVICES = ("bedrock", "bedrock-runtime", "s3", "scheduler", "sqs", "ssm")
"""The services that a job and its endpoint need."""
_EXPIRED = ("ExpiredToken", "ExpiredTokenException")


def new_session() -> boto3.Session:
    """Create boto3's default session.

    Raises:
        ConfigError: the profile or the configuration file is invalid.
    """
    with translate_errors("reading the AWS settings"):
        try:
            return boto3.Session()
        except ProfileNotFound as error:
            profiles = botocore.session.Session().available_profiles
            known = ", ".join(profiles) or "none: `aws configure` creates one"
            raise ConfigError(
                f"the AWS profile {error.kwargs['profile']!r} is not configured: set AWS_PROFILE to one of those that are ({known})"
            ) from error


class Clients:
    """Creates clients of one session, and caches them; thread-safe, which a session is not."""

    def __init__(
        self,
        session: boto3.Session,
        environment: Mapping[str, str] | None = None,
        *,
        renew: Callable[[], boto3.Session] | None = None,
    ) -> None:
        """Store the session; no call is made here.

        Args:
            session: the boto3 session with the credentials.
            environment: the variables that clients are created from; the current ones if not given.
            renew: creates another session with new credentials; called after the credentials of this one have expired.
        """
        # The stubs have an overload for each service, and none for a variable.
        self._session: Any = session
        self._environment = snapshot() if environment is None else environment
        self._renew = renew
        self._expired = False
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._clock_offsets: dict[str, timedelta] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Leave out the session, its credentials and the clients: another process creates its own."""
        return _new_clients, ()

    @property
    def session(self) -> boto3.Session:
        """The session whose credentials are used."""
        session: boto3.Session = self._session
        return session

    def get(self, service: str, region: str) -> Any:
        """Return the client of a service in a region; callers cast it to its type.

        Raises:
            ConfigError: the region is unknown, an endpoint URL in the settings is invalid, or the endpoints in the
                environment have changed since this object was created.
        """
        with self._lock, translate_errors(f"connecting to {service} in {region}"):
            if self._expired and self._renew is not None:
                require_same_endpoints(self._environment)
                self._session, self._expired = self._renew(), False
                self._clients.clear()
            if (service, region) not in self._clients:
                require_same_endpoints(self._environment)
                self._clients[service, region] = self._session.client(
                    service,
                    region,
                    config=_CONFIGS.get(service, _CONTROL),
                )
                handler = partial(self._read_headers, service, region)
                self._clients[service, region].meta.events.register("after-call", handler)
            return self._clients[service, region]

    def open(self, region: str) -> None:
        """Create the clients that a job and its endpoint need; later changes of the environment have no effect on them."""
        for service in _SERVICES:
            self.get(service, region)

    def now(self, region: str) -> datetime:
        """Return the time by Bedrock's clock in a region, as of its last response. Before the first response, return the local time.

        The endpoint guard uses AWS's clock, and the clock of this machine may be wrong.
        """
        return datetime.now(UTC) + self.clock_offset(region)

    def clock_offset(self, region: str) -> timedelta:
        """Return by how much Bedrock's clock is ahead of this machine's, as of its last response."""
        return self._clock_offsets.get(region, timedelta(0))

    def _read_headers(
        self, service: str, region: str, *, http_response: Any, parsed: Any, **_: object
    ) -> None:
        """Read the time from each response, and whether the credentials have expired."""
        if parsed.get("Error", {}).get("Code") in _EXPIRED:
            self._expired = True
        if service == "bedrock":
            with suppress(ValueError, TypeError, KeyError):
                bedrock_time = parsedate_to_datetime(http_response.headers["date"])
                self._clock_offsets[region] = bedrock_time - datetime.now(UTC)


def _new_clients() -> Clients:
    """Return clients of boto3's default session."""
    return Clients(new_session(), renew=new_session)
