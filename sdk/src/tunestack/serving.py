"""Start the endpoints of tuned models, each exactly once, and stop them."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from tunestack.catalog import Serving
from tunestack.deleted_models import explained
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack.endpoints import (
    START_TIMEOUT,
    STOP_TIMEOUT,
    Endpoint,
    expiry_text,
    rounded,
    time_text,
    with_expiry,
)
from tunestack.errors import (
    ConfigError,
    ConflictError,
    EndpointFailedError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    TunestackError,
    shortened,
)
from tunestack.formatting import duration_text, utc_text, value_text
from tunestack.provider import EndpointInfo, EndpointRequest, EndpointState, Expiry
from tunestack.waiting import Poll, answer, appears, when_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tunestack.catalog import BaseModel
    from tunestack.provider import Provider

logger = logging.getLogger(__name__)

DEFAULT_TTL = timedelta(hours=4)
"""How long provisioned throughput may live when neither the caller nor a stage says."""

_PREFIX = "tunestack-"
"""What the name of every endpoint begins with that is started here."""
_LONGEST_TTL = timedelta(days=366)
# How often one endpoint may be started again in such a time.
_MOST_GENERATIONS = 20


class EndpointCostWarning(UserWarning):
    """An endpoint is billed by the hour."""


def name_of(model: str, serving: Serving) -> str:
    """Name the endpoint of a tuned model: one of each kind, whoever starts it."""
    return f"{_PREFIX}{model.rsplit('/', 1)[1]}-{serving.value}"


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
            f"a tuned {base.name} can't be served {shortened(serving)}: "
            f"use {' or '.join(map(repr, ways))}"
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
    unguarded: bool,
    poll: Poll,
) -> Endpoint:
    """Start the endpoint of a tuned model, or adopt the one that there is; does not wait until it is ready.

    Raises:
        ConfigError: an argument is not possible, or nothing would end the endpoint; nothing was started.
        ConflictError: there is one already, with another number of model units.
    """
    _check(ttl, model_units)
    way = choose(base, serving)
    if way is not Serving.PROVISIONED and model_units != 1:
        raise ConfigError(f"model_units {model_units}: only provisioned throughput has units")
    if way is Serving.DIRECT:
        with explained(provider, model):
            return Endpoint(provider, provider.endpoint(model, way), poll=poll)
    name = name_of(model, way)
    with suppress(NotFoundError):
        found = provider.endpoint(name, way)
        if found.state is not EndpointState.FAILED:
            found = _adopted(provider, found, model, base, model_units)
            return Endpoint(provider, found, poll=poll)
        Endpoint(provider, found, poll=poll).stop()
    end = None
    if way is Serving.PROVISIONED or ttl is not None:
        end = _armed(provider, name, way, ttl, unguarded=unguarded)
        tags = {**tags, EXPIRES_AT_TAG: time_text(end.time)}
        if way is Serving.PROVISIONED:
            _warn_of_cost(f"endpoint {name!r} is", base, model_units, end.words)
    request = EndpointRequest(
        model=model, serving=way, name=name, model_units=model_units, tags=tags
    )
    with explained(provider, model):
        info = when_free(
            partial(_create, provider, request, base, end, poll=poll),
            timeout=START_TIMEOUT,
            poll=poll,
            waits_for="another deployment to be ready",
        )
    logger.info("endpoint %s is %s, end: %s", name, info.raw_state, expiry_text(info))
    return Endpoint(provider, info, poll=poll)


@dataclass(frozen=True, slots=True)
class _End:
    """When an endpoint is to be deleted automatically, and the sentence for the warning."""

    time: datetime
    words: str
    has_guard: bool = True


def _with_end(info: EndpointInfo, end: _End | None) -> EndpointInfo:
    """Add the end that an endpoint was created with, whose tags may not be readable yet."""
    if end is None:
        return replace(info, expiry=Expiry.NEVER)
    if not end.has_guard:
        return info
    return replace(info, expiry=Expiry.SCHEDULED, expires_at=end.time)


def _armed(
    provider: Provider, name: str, way: Serving, ttl: timedelta | None, *, unguarded: bool
) -> _End:
    """Let the guard end an endpoint that is about to be created.

    Raises:
        ConfigError: there is no guard, or it allows less.
    """
    guard = provider.guard()
    if guard is None:
        if not unguarded:
            raise ConfigError(
                f"no endpoint guard is deployed here, so nothing would end endpoint {name!r} if this process does not: "
                "run `cdk deploy`, or accept that with unguarded=True (--unguarded)"
            )
        time = rounded(provider.now() + (ttl or DEFAULT_TTL))
        return _End(
            time,
            "Nothing in the account stops it for you: call stop_endpoint() when you are done",
            has_guard=False,
        )
    ttl = guard.default if ttl is None else ttl
    if ttl > guard.longest:
        raise ConfigError(
            f"invalid ttl {duration_text(ttl)}: this stage allows at most {duration_text(guard.longest)}"
        )
    time = rounded(provider.now() + ttl)
    guard.arm(name, way, time)
    return _End(
        time,
        f"The endpoint guard deletes it at {utc_text(time)}, if stop_endpoint() is not called before",
    )


def own(provider: Provider, model: str, *, poll: Poll) -> list[Endpoint]:
    """Find the endpoints that Tunestack started for a tuned model, or pointed to it since, the newest first."""
    found = {info.id: info for look in _looks(provider, model, provider.ways) for info in look()}
    newest_first = sorted(found.values(), key=_created, reverse=True)
    return [Endpoint(provider, with_expiry(provider, info), poll=poll) for info in newest_first]


def stop_own(provider: Provider, model: str, *, serving: str | None = None, poll: Poll) -> None:
    """Stop the endpoints that `own` finds; what can't be stopped, or looked for, keeps no other running.

    Raises:
        TunestackError: the first thing that went wrong, once all were tried.
    """

    def stop(look: Callable[[], list[EndpointInfo]]) -> None:
        for info in answer(look, timeout=STOP_TIMEOUT, poll=poll):
            Endpoint(provider, info, poll=poll).stop()

    # Of what answers by its name there is nothing beside the model.
    ways = [way for way in provider.ways if way is not Serving.DIRECT and serving in (None, way)]
    try_all(partial(stop, look) for look in _looks(provider, model, ways))


def try_all(actions: Iterable[Callable[[], object]]) -> None:
    """Do all of several things, although one fails.

    Raises:
        TunestackError: the first thing that went wrong, once all were tried.
    """
    failures: list[TunestackError] = []
    for act in actions:
        try:
            act()
        except TunestackError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _looks(
    provider: Provider, model: str, ways: Iterable[Serving]
) -> Iterator[Callable[[], list[EndpointInfo]]]:
    for way in ways:
        # A list may not show yet what was just started; a name does not tell what was pointed elsewhere.
        yield partial(_named, provider, model, way)
        if way is not Serving.DIRECT:
            yield partial(_listed, provider, model, way)


def _named(provider: Provider, model: str, way: Serving) -> list[EndpointInfo]:
    """Find the endpoint of our name, unless it was pointed to another model meanwhile."""
    name = model if way is Serving.DIRECT else name_of(model, way)
    try:
        found = provider.endpoint(name, way)
    except NotFoundError:
        return []
    if found.model != model:
        logger.warning("endpoint %s serves %s by now, and belongs to it", name, found.model)
        return []
    return [found]


def _listed(provider: Provider, model: str, way: Serving) -> list[EndpointInfo]:
    """Find the endpoints that were started for other models, and pointed to this one."""
    listed = provider.endpoints(model=model, serving=way)
    return [info for info in listed if info.name.startswith(_PREFIX)]


def _check(ttl: object, model_units: object) -> None:
    if isinstance(model_units, bool) or not isinstance(model_units, int) or model_units < 1:
        raise ConfigError(f"model_units {shortened(model_units)} is not possible: use 1 or more")
    if ttl is None:
        return
    if not isinstance(ttl, timedelta) or not timedelta(0) < ttl <= _LONGEST_TTL:
        raise ConfigError(
            f"invalid ttl {value_text(ttl)}: "
            f"specify a timedelta longer than 0 and at most {duration_text(_LONGEST_TTL)}"
        )


def _adopted(
    provider: Provider, found: EndpointInfo, model: str, base: BaseModel, model_units: int
) -> EndpointInfo:
    """Take an endpoint that is there for the one that was asked for, if it is that."""
    if found.model != model:
        raise ConflictError(
            f"endpoint {found.name!r} is there and serves another model, {found.model!r}: "
            "stop it first, or ask it by its name"
        )
    if found.model_units not in (None, model_units):
        raise ConflictError(
            f"endpoint {found.name!r} is there with {found.model_units} model units, "
            f"not {model_units}: stop it first"
        )
    found = with_expiry(provider, found)
    if found.model_units is not None:
        _warn_of_cost(
            f"endpoint {found.name!r} exists already,", base, found.model_units, _kept_end(found)
        )
    logger.info("endpoint %s exists already, end: %s", found.name, expiry_text(found))
    return found


def _kept_end(info: EndpointInfo) -> str:
    """Say when an existing endpoint is deleted; a ttl that is given now does not change it."""
    if info.expires_at is not None:
        return (
            f"The endpoint guard deletes it at {utc_text(info.expires_at)}, as it was started: "
            "extend() moves that"
        )
    if info.expiry is Expiry.NEVER:
        return "Nothing deletes it automatically"
    return "When it is deleted automatically is unknown: its tags or its stage can't be read"


def _create(
    provider: Provider, request: EndpointRequest, base: BaseModel, end: _End | None, *, poll: Poll
) -> EndpointInfo:
    """Create an endpoint exactly once, also after one of the same name was stopped.

    The vendor answers a repeated request with what it made the first time, which may be gone: then the next generation
    is asked for. Callers at about the same time send the same requests in the same order, and so make one endpoint;
    the name, which is unique, holds the others off.
    """
    now = time_text(rounded(datetime.now(UTC)))
    created: str | None = None
    for number in range(_MOST_GENERATIONS):
        asked = replace(request, generation=f"{now}/{number}")
        try:
            endpoint_id = provider.create_endpoint(asked)
        except ProviderError as refused:
            # Somebody else was faster with the same name; Bedrock has no error of its own for that.
            try:
                found = provider.endpoint(request.name, request.serving)
            except ProviderError:
                if created is not None and isinstance(refused, ConflictError | InvalidRequestError):
                    # The name is taken by what was created here, and is not shown yet.
                    return _with_end(_starting(created, request), end)
                raise refused from refused.__cause__
            if found.state is EndpointState.FAILED:
                raise
            return _adopted(provider, found, request.model, base, request.model_units)
        seen = _shown(provider, endpoint_id, request, poll=poll)
        if seen is not None:
            return _with_end(seen, end)
        created = endpoint_id
    raise EndpointFailedError(
        f"endpoint {request.name!r} was created and is gone, {_MOST_GENERATIONS} times: "
        "something else deletes it",
        endpoint_id=request.name,
        reason="deleted right after it was created",
    )


def _shown(
    provider: Provider, endpoint_id: str, request: EndpointRequest, *, poll: Poll
) -> EndpointInfo | None:
    """Look at what was created; `None` if it is nowhere, as what was stopped long ago."""
    try:
        seen = appears(partial(provider.endpoint, endpoint_id, request.serving), poll=poll)
        if seen is not None:
            return seen
        for info in provider.endpoints(model=request.model, serving=request.serving):
            if info.name == request.name or info.id == endpoint_id:
                return info
    except ProviderError as error:
        # It is there, and may be billed, whether it can be seen or not.
        logger.warning("endpoint %s was created and can't be looked at: %s", request.name, error)
        return _starting(endpoint_id, request)
    return None


def _starting(endpoint_id: str, request: EndpointRequest) -> EndpointInfo:
    """Describe an endpoint that was just created."""
    provisioned = request.serving is Serving.PROVISIONED
    return EndpointInfo(
        id=endpoint_id,
        name=request.name,
        serving=request.serving,
        state=EndpointState.STARTING,
        raw_state="created",
        model=request.model,
        model_units=request.model_units if provisioned else None,
    )


def _created(info: EndpointInfo) -> datetime:
    return info.created or datetime.min.replace(tzinfo=UTC)


def _warn_of_cost(what: str, base: BaseModel, units: int, end: str) -> None:
    price = base.prices.get("provisioned")
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
