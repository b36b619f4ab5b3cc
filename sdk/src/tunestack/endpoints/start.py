"""Start the endpoints of fine-tuned models, each exactly once, and stop them."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from tunestack._utils.formatting import duration_text, utc_text
from tunestack.backends.base import EndpointInfo, EndpointRequest, EndpointState, Expiry
from tunestack.backends.deleted_models import explain_deleted_model
from tunestack.backends.protocols import EndpointHost
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack.endpoints.cost_warning import existing_end, warn_about_cost
from tunestack.endpoints.endpoint import START_TIMEOUT, STOP_TIMEOUT, Endpoint
from tunestack.endpoints.expiry import expiry_text, round_up, time_text, to_ttl, with_expiry
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
from tunestack.polling import Duration, Poll, retry, wait_until_visible, when_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tunestack.backends.protocols import Backend
    from tunestack.catalog import BaseModel, Price

logger = logging.getLogger(__name__)

ServingChoice = Literal["auto", "on-demand", "provisioned"]

DEFAULT_TTL = timedelta(hours=4)
"""The lifetime of provisioned throughput if neither the caller nor the stage specifies one."""

OWN_PREFIX = "tunestack-"
"""The prefix of the names of endpoints that are started here."""
# How often one endpoint can be started again in the time that a repeated token is remembered.
_MAX_GENERATIONS = 20


def name_of(model: str, serving: Serving) -> str:
    """Return the name of the endpoint of a fine-tuned model: the same in every process, one for each kind."""
    return f"{OWN_PREFIX}{model.rsplit('/', 1)[1]}-{serving.value}"


def default_lease(host: EndpointHost) -> timedelta | None:
    """Return the lifetime of an endpoint for a task: 4 hours, or the longest that the guard allows; `None` without a guard."""
    guard = host.guard()
    return None if guard is None else min(DEFAULT_TTL, guard.longest)


def choose_serving(base: BaseModel, serving: str) -> Serving:
    """Choose how to serve a fine-tuned model.

    Args:
        base: the base model.
        serving: `on-demand`, `provisioned`, or `auto`: on demand if the model can be served so, as it costs nothing while idle.

    Raises:
        ConfigError: the model can't be served that way.
    """
    if serving == "auto":
        return base.serving[0]
    ways = [way.value for way in base.serving]
    if serving not in ways:
        raise ConfigError(
            f"a fine-tuned {base.name} can't be served {shortened(serving)}: "
            f"use {' or '.join(map(repr, ways))}"
        )
    return Serving(serving)


def start_endpoint(
    backend: Backend,
    model: str,
    base: BaseModel,
    *,
    serving: str,
    ttl: Duration | None,
    model_units: int,
    tags: Mapping[str, str],
    unguarded: bool,
    poll: Poll,
    name: str | None = None,
) -> Endpoint:
    """Start the endpoint of a fine-tuned model, or adopt the existing one; does not wait until it is ready.

    Its name is derived from the model, if none is given.

    Raises:
        ConfigError: an argument is invalid, or nothing would delete the endpoint; nothing was started.
        ConflictError: it exists already, with another number of model units.
    """
    lifetime = None if ttl is None else to_ttl(ttl)
    _check_model_units(model_units)
    way = choose_serving(base, serving)
    if way is not Serving.PROVISIONED and model_units != 1:
        raise ConfigError(f"model_units {model_units}: only provisioned throughput has units")
    if way is Serving.DIRECT:
        with explain_deleted_model(backend, model):
            return Endpoint(backend, backend.endpoint(model, way), poll=poll)
    host = _require_host(backend)
    name = name or name_of(model, way)
    with suppress(NotFoundError):
        found = backend.endpoint(name, way)
        if found.state is not EndpointState.FAILED:
            found = _adopt(backend, found, model, base, model_units)
            return Endpoint(backend, found, poll=poll)
        Endpoint(backend, found, poll=poll).stop()
    end = None
    if way is Serving.PROVISIONED or lifetime is not None:
        end = _arm_guard(host, backend.now(), name, way, lifetime, unguarded=unguarded)
        tags = {**tags, EXPIRES_AT_TAG: time_text(end.time)}
        if way is Serving.PROVISIONED:
            warn_about_cost(f"endpoint {name!r} is", _price(backend, base), model_units, end.text)
    request = EndpointRequest(
        model=model, serving=way, name=name, model_units=model_units, tags=tags
    )
    with explain_deleted_model(backend, model):
        info = when_free(
            partial(_create, backend, host, request, base, end, poll=poll),
            timeout=START_TIMEOUT,
            poll=poll,
            waits_for="another deployment to be ready",
        )
    logger.info("endpoint %s is %s, expires: %s", name, info.raw_state, expiry_text(info))
    return Endpoint(backend, info, poll=poll)


@dataclass(frozen=True, slots=True)
class _End:
    """When an endpoint is to be deleted automatically, and the sentence for the warning."""

    time: datetime
    text: str
    has_guard: bool = True


def _with_end(info: EndpointInfo, end: _End | None) -> EndpointInfo:
    """Add the end that an endpoint was created with, whose tags may not be readable yet."""
    if end is None:
        return replace(info, expiry=Expiry.NEVER)
    if not end.has_guard:
        return info
    return replace(info, expiry=Expiry.SCHEDULED, expires_at=end.time)


def _require_host(backend: Backend) -> EndpointHost:
    if isinstance(backend, EndpointHost):
        return backend
    raise ConfigError("models of OpenAI are invoked by their names and have no endpoints")


def _arm_guard(
    host: EndpointHost,
    now: datetime,
    name: str,
    way: Serving,
    ttl: timedelta | None,
    *,
    unguarded: bool,
) -> _End:
    """Schedule the deletion of an endpoint that is about to be created.

    Raises:
        ConfigError: no guard is deployed, or it allows less.
    """
    guard = host.guard()
    if guard is None:
        if not unguarded:
            effect = "be billed until you stop it" if way is Serving.PROVISIONED else "not expire"
            raise ConfigError(
                f"no endpoint guard is deployed, so endpoint {name!r} would {effect}: "
                "run `cdk deploy`, or pass unguarded=True (--unguarded)"
            )
        time = round_up(now + (ttl or DEFAULT_TTL))
        return _End(
            time,
            "Nothing in the account deletes it automatically: call stop_endpoint() when you are done",
            has_guard=False,
        )
    ttl = guard.default if ttl is None else ttl
    if ttl > guard.longest:
        raise ConfigError(
            f"invalid ttl {duration_text(ttl)}: this stage allows at most {duration_text(guard.longest)}"
        )
    time = round_up(now + ttl)
    guard.arm(name, way, time)
    return _End(
        time,
        f"The endpoint guard deletes it at {utc_text(time)}, unless stop_endpoint() is called before",
    )


def own_endpoints(backend: Backend, model: str, *, poll: Poll) -> list[Endpoint]:
    """Find the endpoints that Tunestack started for a fine-tuned model, or updated to it, the newest first."""
    found = {
        info.id: info for search in _searches(backend, model, backend.serving) for info in search()
    }
    newest_first = sorted(found.values(), key=_creation_time, reverse=True)
    return [Endpoint(backend, with_expiry(backend, info), poll=poll) for info in newest_first]


def stop_own_endpoints(
    backend: Backend, model: str, *, serving: str | None = None, poll: Poll
) -> None:
    """Stop the endpoints that `own_endpoints` finds; an error for one does not keep the others running.

    Raises:
        ConfigError: the provider does not serve models in this way.
        TunestackError: the first error, after all were tried.
    """
    if serving is not None and serving not in list(backend.serving):
        raise ConfigError(
            f"invalid serving {shortened(serving)}: use {' or '.join(map(shortened, backend.serving))}"
        )

    def stop(search: Callable[[], list[EndpointInfo]]) -> None:
        for info in retry(search, timeout=STOP_TIMEOUT, poll=poll):
            Endpoint(backend, info, poll=poll).stop()

    # A model that is invoked by its name has no endpoint.
    ways = [way for way in backend.serving if way is not Serving.DIRECT and serving in (None, way)]
    try_all(partial(stop, search) for search in _searches(backend, model, ways))


def try_all(actions: Iterable[Callable[[], object]]) -> None:
    """Call all functions, even if one fails.

    Raises:
        TunestackError: the first error, after all were called.
    """
    failures: list[TunestackError] = []
    for act in actions:
        try:
            act()
        except TunestackError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _searches(
    backend: Backend, model: str, ways: Iterable[Serving]
) -> Iterator[Callable[[], list[EndpointInfo]]]:
    for way in ways:
        # A list may not show a new endpoint yet; an endpoint that was updated to this model has another name.
        yield partial(_find_by_name, backend, model, way)
        if way is not Serving.DIRECT:
            yield partial(_list_updated, backend, model, way)


def _find_by_name(backend: Backend, model: str, way: Serving) -> list[EndpointInfo]:
    """Find the endpoint of the model's name, unless it was updated to another model."""
    name = model if way is Serving.DIRECT else name_of(model, way)
    try:
        found = backend.endpoint(name, way)
    except NotFoundError:
        return []
    if found.model != model:
        logger.warning("endpoint %s was updated to %s, and was not stopped", name, found.model)
        return []
    return [found]


def _list_updated(backend: Backend, model: str, way: Serving) -> list[EndpointInfo]:
    """Find the endpoints that were started for other models and updated to this one."""
    listed = backend.endpoints(model=model, serving=way)
    return [info for info in listed if info.name.startswith(OWN_PREFIX)]


def _check_model_units(model_units: object) -> None:
    if isinstance(model_units, bool) or not isinstance(model_units, int) or model_units < 1:
        raise ConfigError(f"invalid model_units {shortened(model_units)}: use an integer from 1")


def _adopt(
    backend: Backend, found: EndpointInfo, model: str, base: BaseModel, model_units: int
) -> EndpointInfo:
    """Return the existing endpoint if it is the requested one."""
    if found.model != model:
        raise ConflictError(
            f"endpoint {found.name!r} exists and serves another model, {found.model!r}: "
            "stop it first, or use it by its name"
        )
    if found.model_units not in (None, model_units):
        raise ConflictError(
            f"endpoint {found.name!r} exists with {found.model_units} model units, "
            f"not {model_units}: stop it first"
        )
    found = with_expiry(backend, found)
    if found.model_units is not None:
        warn_about_cost(
            f"endpoint {found.name!r} exists already,",
            _price(backend, base),
            found.model_units,
            existing_end(found),
        )
    logger.info("endpoint %s exists already, expires: %s", found.name, expiry_text(found))
    return found


def _price(backend: Backend, base: BaseModel) -> Price | None:
    return backend.prices(base).get("provisioned")


def _create(
    backend: Backend,
    host: EndpointHost,
    request: EndpointRequest,
    base: BaseModel,
    end: _End | None,
    *,
    poll: Poll,
) -> EndpointInfo:
    """Create an endpoint exactly once, also after one of the same name was stopped.

    The provider answers a repeated request with the endpoint of the first, which may be deleted: then the next generation
    is requested. Concurrent callers send the same requests in the same order, so they create one endpoint; the name, which
    is unique, prevents a second one.
    """
    now = time_text(round_up(datetime.now(UTC)))
    created: str | None = None
    for number in range(_MAX_GENERATIONS):
        numbered = replace(request, generation=f"{now}/{number}")
        try:
            endpoint_id = host.create_endpoint(numbered)
        except ProviderError as refused:
            # Another process created the same name before; Bedrock has no specific error for that.
            try:
                found = backend.endpoint(request.name, request.serving)
            except ProviderError:
                if created is not None and isinstance(refused, ConflictError | InvalidRequestError):
                    # The name is taken by the endpoint that was created here, which is not visible yet.
                    return _with_end(_just_created(created, request), end)
                raise refused from refused.__cause__
            if found.state is EndpointState.FAILED:
                raise
            return _adopt(backend, found, request.model, base, request.model_units)
        info = _find_created(backend, endpoint_id, request, poll=poll)
        if info is not None:
            return _with_end(info, end)
        created = endpoint_id
    raise EndpointFailedError(
        f"endpoint {request.name!r} was created and deleted {_MAX_GENERATIONS} times: another process deletes it",
        endpoint_id=request.name,
        reason="deleted right after it was created",
    )


def _find_created(
    backend: Backend, endpoint_id: str, request: EndpointRequest, *, poll: Poll
) -> EndpointInfo | None:
    """Get the endpoint that was created; `None` if it does not exist, because it was stopped before."""
    try:
        info = wait_until_visible(
            partial(backend.endpoint, endpoint_id, request.serving), poll=poll
        )
        if info is not None:
            return info
        for info in backend.endpoints(model=request.model, serving=request.serving):
            if info.name == request.name or info.id == endpoint_id:
                return info
    except ProviderError as error:
        # It exists, and may be billed, even if it can't be read.
        logger.warning("endpoint %s was created and can't be read: %s", request.name, error)
        return _just_created(endpoint_id, request)
    return None


def _just_created(endpoint_id: str, request: EndpointRequest) -> EndpointInfo:
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


def _creation_time(info: EndpointInfo) -> datetime:
    return info.created or datetime.min.replace(tzinfo=UTC)
