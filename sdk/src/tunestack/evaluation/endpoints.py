"""Find the endpoints of the models of an evaluation, and start and stop those that are missing."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tunestack.backends.base import EndpointState
from tunestack.backends.protocols import EndpointHost
from tunestack.catalog import Serving
from tunestack.endpoints.endpoint import STOP_TIMEOUT, Endpoint
from tunestack.endpoints.start import (
    choose_serving,
    default_lease,
    own_endpoints,
    start_endpoint,
    try_all,
)
from tunestack.errors import ConfigError, CostError
from tunestack.polling import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tunestack.backends.base import EndpointInfo
    from tunestack.evaluation.candidates import Candidate
    from tunestack.evaluation.requests import Budget
    from tunestack.evaluation.spec import EvaluationSpec
    from tunestack.polling import Duration, Poll

logger = logging.getLogger(__name__)

_TAG = "tunestack:started-by"
"""The tag of an endpoint that an evaluation started, with the evaluation that stops it; it may use others."""


@contextmanager
def provide_endpoints(
    candidates: Sequence[Candidate],
    spec: EvaluationSpec,
    *,
    tags: Callable[[Candidate], Mapping[str, str]],
    budget: Budget,
    poll: Poll,
) -> Iterator[dict[str, EndpointInfo]]:
    """Return the endpoint of each model, by the model's name; endpoints that are started here are stopped at the end.

    They are also stopped after an error and Ctrl-C. If this process is killed, the endpoint guard deletes them.

    Raises:
        ConfigError: a model has no endpoint, and none may be started.
    """
    endpoints: dict[str, EndpointInfo] = {}
    missing = []
    for candidate in candidates:
        found = candidate.endpoint or find_endpoint(candidate, poll)
        if found is not None:
            if found.state is EndpointState.STARTING:
                found = Endpoint(candidate.backend, found, poll=poll).wait().info
            endpoints[candidate.name] = found
        elif spec.start_endpoint:
            missing.append(candidate)
        else:
            raise ConfigError(
                f"{candidate.name!r} ({candidate.model}) has no endpoint that is ready: start one, or let the evaluation "
                "start it and stop it at the end with start_endpoint=True (--start-endpoint)"
            )
    started: list[Candidate] = []
    own = f"evaluation-{uuid.uuid4().hex}"
    try:
        for candidate in missing:
            _require_price(candidate, spec)
            # Before the request: Ctrl-C may come when it is sent already.
            started.append(candidate)
            endpoint = start_endpoint(
                candidate.backend,
                candidate.model,
                candidate.backend.base(candidate.model),
                serving=spec.serving,
                ttl=_ttl(candidate, spec),
                model_units=1,
                tags={**tags(candidate), _TAG: own},
                unguarded=False,
                poll=poll,
            )
            if endpoint.serving is Serving.PROVISIONED:
                budget.start_hourly(_hourly(candidate) or 0.0)
            endpoints[candidate.name] = endpoint.wait().info
        yield endpoints
    finally:
        try_all(partial(_stop, candidate, own, poll) for candidate in started)


def _stop(candidate: Candidate, tag: str, poll: Poll) -> None:
    """Stop the endpoint of a model, if it has the tag of this evaluation."""
    logger.info("stopping the endpoint of %s", candidate.model)
    search = partial(own_endpoints, candidate.backend, candidate.model, poll=poll)
    host = candidate.backend
    for endpoint in retry(search, timeout=STOP_TIMEOUT, poll=poll):
        if isinstance(host, EndpointHost) and host.endpoint_tags(endpoint.id).get(_TAG) == tag:
            endpoint.stop()


def find_endpoint(candidate: Candidate, poll: Poll) -> EndpointInfo | None:
    """Find an endpoint of a model, one that Tunestack started or another one, that is ready or will be."""
    if not isinstance(candidate.backend, EndpointHost):
        return candidate.backend.endpoint(candidate.model)
    own = [
        endpoint.info for endpoint in own_endpoints(candidate.backend, candidate.model, poll=poll)
    ]
    found = [
        info
        for info in (*own, *candidate.backend.endpoints(model=candidate.model))
        if info.model == candidate.model
    ]
    for state in (EndpointState.READY, EndpointState.STARTING):
        for info in found:
            if info.state is state:
                return info
    return None


def _ttl(candidate: Candidate, spec: EvaluationSpec) -> Duration | None:
    """Return the lifetime: also on demand there is one if a guard is deployed, as this process may be killed."""
    host = candidate.backend
    if spec.ttl is None and isinstance(host, EndpointHost):
        return default_lease(host)
    return spec.ttl


def _hourly(candidate: Candidate) -> float | None:
    price = candidate.backend.prices(candidate.backend.base(candidate.model)).get("provisioned")
    return None if price is None else price.usd


def _require_price(candidate: Candidate, spec: EvaluationSpec) -> None:
    way = choose_serving(candidate.backend.base(candidate.model), spec.serving)
    if spec.max_cost is None or way is not Serving.PROVISIONED:
        return
    hourly = _hourly(candidate)
    if hourly is None or hourly > spec.max_cost:
        cost = "an unknown amount" if hourly is None else f"${hourly:,.2f}"
        raise CostError(
            f"an endpoint of {candidate.name!r} costs {cost} an hour, which max_cost {spec.max_cost:g} does not allow: "
            "raise or remove max_cost"
        )
