"""Endpoints: how a tuned model answers, from start to gone."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from tunestack.catalog import CATALOG, Serving
from tunestack.errors import (
    ConfigError,
    EndpointFailedError,
    EndpointTimeoutError,
    NotFoundError,
    ProviderError,
)
from tunestack.provider import EndpointInfo, EndpointRequest, EndpointState
from tunestack.waiting import Poll, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.catalog import BaseModel
    from tunestack.provider import Provider

logger = logging.getLogger(__name__)

EXPIRES_AT = "tunestack:expires-at"
"""The tag that says until when an endpoint may live, in ISO 8601."""

DEFAULT_TTL = timedelta(hours=4)
"""How long provisioned throughput may live when the caller does not say."""

START_TIMEOUT = 3600.0
"""Seconds; provisioned throughput takes 20 to 30 minutes, a deployment about 8."""

STOP_TIMEOUT = 1800.0

# As many restarts of one endpoint as a vendor may remember tokens for.
_MOST_GENERATIONS = 200


class EndpointCostWarning(UserWarning):
    """An endpoint was started that is billed by the hour."""


class Endpoint:
    """One endpoint, wherever it was started from."""

    def __init__(self, provider: Provider, info: EndpointInfo, *, poll: Poll) -> None:
        """Take an observation of the endpoint; `tuner.endpoint(...)` makes one from a name or id."""
        self._provider = provider
        self._info = info
        self._poll = poll

    @property
    def id(self) -> str:
        """What Bedrock is called with (`modelId`): the endpoint's ARN."""
        return self._info.id

    @property
    def name(self) -> str:
        """The endpoint's name, unique in the account and region."""
        return self._info.name

    @property
    def serving(self) -> Serving:
        """On demand (free while idle) or provisioned (billed by the hour)."""
        return self._info.serving

    @property
    def model(self) -> str:
        """The tuned model that it serves."""
        return self._info.model

    @property
    def last(self) -> EndpointInfo:
        """The last observation, without another look."""
        return self._info

    def info(self) -> EndpointInfo:
        """Look at the endpoint now.

        Raises:
            NotFoundError: it is gone.
        """
        self._info = self._provider.endpoint(self.id)
        return self._info

    def wait(self, timeout: float = START_TIMEOUT) -> Endpoint:
        """Wait until the endpoint answers.

        Raises:
            EndpointFailedError: it could not be started.
            EndpointTimeoutError: it is not ready after `timeout` seconds; it goes on starting.
        """
        info = self._info
        for info in watch(self.info, until=_is_settled, timeout=timeout, poll=self._poll):
            logger.debug("endpoint %s is %s", info.name, info.raw_state)
        if info.state is EndpointState.READY:
            logger.info("endpoint %s is ready", info.name)
            return self
        if info.state is EndpointState.FAILED:
            reason = info.failure or "no reason given"
            raise EndpointFailedError(
                f"endpoint {info.name!r} could not be started: {reason}: "
                "stop it and start it again",
                endpoint_id=info.id,
                reason=reason,
            )
        billed = ", and may be billed" if info.serving is Serving.PROVISIONED else ""
        raise EndpointTimeoutError(
            f"endpoint {info.name!r} is still {info.raw_state!r} after {timeout:g}s; "
            f"it goes on{billed}: wait again or stop it",
            endpoint_id=info.id,
        )

    def invoke(self, messages: str | Sequence[Mapping[str, str]]) -> str:
        """Ask the tuned model.

        Args:
            messages: a question, or a conversation of `{"role", "content"}`.

        Returns:
            The text of the answer.
        """
        return self._provider.invoke(self.id, conversation(messages))

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Delete the endpoint and wait until it is gone; fine when it is gone already.

        Raises:
            EndpointTimeoutError: it is still there after `timeout` seconds, and may be billed.
        """

        def gone() -> bool:
            try:
                info = self.info()
                # Bedrock refuses to delete what is still starting: wait for it, then delete.
                if info.state not in {EndpointState.STARTING, EndpointState.UPDATING}:
                    self._delete(info)
            except NotFoundError:
                return True
            return False

        if not any(watch(gone, until=bool, timeout=timeout, poll=self._poll)):
            raise EndpointTimeoutError(
                f"endpoint {self.name!r} is still there after {timeout:g}s, and may be billed: "
                "stop it again",
                endpoint_id=self.id,
            )
        logger.info("endpoint %s is gone", self.name)

    def _delete(self, info: EndpointInfo) -> None:
        try:
            self._provider.delete_endpoint(info)
        except NotFoundError:
            raise
        except ProviderError as error:
            # It changed between the look and the delete: the next look tells.
            if error.code not in {"ConflictException", "ValidationException"}:
                raise
            logger.debug("endpoint %s can't be deleted yet: %s", info.name, error)

    def __enter__(self) -> Self:
        """Wait until the endpoint answers."""
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the endpoint, whatever happened."""
        self.stop()

    def __repr__(self) -> str:
        """Show the name, the kind and the last state seen."""
        return f"<Endpoint {self.name} {self.serving.value} {self._info.raw_state}>"


def name_of(model: str, serving: Serving) -> str:
    """Name the endpoint of a tuned model: one of each kind, whoever starts it."""
    return f"tunestack-{model.rsplit('/', 1)[1]}-{serving.value}"


def choose(base: BaseModel, serving: str) -> Serving:
    """Choose how to serve a tuned model.

    Args:
        base: the model that was tuned.
        serving: `on-demand`, `provisioned`, or `auto` for what costs nothing while idle, where the model can be served so.

    Raises:
        ConfigError: the model can't be served that way.
    """
    if serving == "auto":
        return base.serving[0]
    ways = [way.value for way in base.serving]
    if serving not in ways:
        raise ConfigError(
            f"a tuned {base.name} can't be served {serving!r}: use {' or '.join(map(repr, ways))}"
        )
    return Serving(serving)


def start(
    provider: Provider,
    model: str,
    base: BaseModel,
    *,
    serving: str,
    ttl: timedelta | None,
    model_units: int,
    tags: Mapping[str, str],
    poll: Poll,
) -> Endpoint:
    """Start the endpoint of a tuned model, or adopt the one that there is; does not wait until it is ready."""
    way = choose(base, serving)
    name = name_of(model, way)
    with suppress(NotFoundError):
        found = Endpoint(provider, provider.endpoint(name, way), poll=poll)
        if found.info().state is not EndpointState.FAILED:
            logger.info("endpoint %s is there already", name)
            return found
        found.stop()
    if way is Serving.PROVISIONED:
        ttl = ttl or DEFAULT_TTL
        _warn_of_cost(name, base, model_units, ttl)
    if ttl is not None:
        tags = {**tags, EXPIRES_AT: f"{datetime.now(UTC) + ttl:%Y-%m-%dT%H:%M:%SZ}"}
    request = EndpointRequest(
        model=model, serving=way, name=name, model_units=model_units, tags=tags
    )
    created = Endpoint(provider, _create(provider, request), poll=poll)
    logger.info("endpoint %s is being created", name)
    return created


def _create(provider: Provider, request: EndpointRequest) -> EndpointInfo:
    """Create an endpoint exactly once, also after one of the same name was stopped.

    A vendor answers a repeated request with what it made the first time, which may be gone: then the next generation
    is asked for. All callers walk the same generations, so that two at once still make one endpoint.
    """
    for generation in range(_MOST_GENERATIONS):
        try:
            endpoint_id = provider.create_endpoint(replace(request, generation=generation))
        except ProviderError as refused:
            # Somebody else was faster with the same name; Bedrock has no error of its own for that.
            try:
                return provider.endpoint(request.name, request.serving)
            except NotFoundError:
                raise refused from refused.__cause__
        with suppress(NotFoundError):
            return provider.endpoint(endpoint_id, request.serving)
    raise EndpointFailedError(
        f"endpoint {request.name!r} was created and is gone, {_MOST_GENERATIONS} times: "
        "something else deletes it",
        endpoint_id=request.name,
        reason="deleted right after it was created",
    )


def stop_all(provider: Provider, model: str, *, poll: Poll) -> list[str]:
    """Stop the endpoints that Tunestack started for a tuned model; returns the names of those that there were."""
    stopped = []
    for way in (Serving.PROVISIONED, Serving.ON_DEMAND):
        with suppress(NotFoundError):
            found = Endpoint(provider, provider.endpoint(name_of(model, way), way), poll=poll)
            found.stop()
            stopped.append(found.name)
    return stopped


def of_model(provider: Provider, model: str, *, poll: Poll) -> Iterator[Endpoint]:
    """List the endpoints of a tuned model."""
    for info in provider.endpoints(model=model):
        yield Endpoint(provider, info, poll=poll)


def conversation(messages: str | Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """Take a question for a conversation of one message."""
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def base_of(model: str) -> BaseModel:
    """Find the base model that a tuned Bedrock model's ARN names.

    Raises:
        ConfigError: the ARN names none of the catalog.
    """
    base = model.split("/")[1] if model.count("/") == 2 else ""
    for known in CATALOG:
        if known.customization_id == base:
            return known
    raise ConfigError(
        f"{model!r} is not the ARN of a tuned model of the catalog: "
        "expected arn:aws:bedrock:<region>:<account>:custom-model/<base model>/<id>"
    )


def _is_settled(info: EndpointInfo) -> bool:
    return info.state in {EndpointState.READY, EndpointState.FAILED}


def _warn_of_cost(name: str, base: BaseModel, units: int, ttl: timedelta) -> None:
    price = base.prices.get("provisioned")
    cost = (
        "at a price that Tunestack does not know (see the Bedrock pricing page)"
        if price is None
        else f"at about ${price.usd * units:,.2f} an hour (seen {price.seen})"
    )
    hours = ttl / timedelta(hours=1)
    warnings.warn(
        f"endpoint {name!r} is billed by the hour, {cost}, until it is stopped: "
        f"nothing in the account stops it for you. "
        f"It is tagged to end in {hours:g} hours; call stop_endpoint() before.",
        EndpointCostWarning,
        stacklevel=4,
    )
