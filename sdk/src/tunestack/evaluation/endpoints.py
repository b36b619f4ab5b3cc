"""Find the endpoints of the models of an evaluation, and start and stop those that are missing."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunestack.backends.base import EndpointState
from tunestack.backends.protocols import EndpointHost
from tunestack.catalog import Serving
from tunestack.endpoints.start import (
    DEFAULT_TTL,
    choose_serving,
    own_endpoints,
    start_endpoint,
    stop_own_endpoints,
)
from tunestack.errors import ConfigError, CostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tunestack.backends.base import EndpointInfo
    from tunestack.evaluation.candidates import Candidate
    from tunestack.evaluation.requests import Budget
    from tunestack.evaluation.spec import EvaluationSpec
    from tunestack.polling import Duration, Poll

logger = logging.getLogger(__name__)


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
        found = candidate.endpoint or _find(candidate, poll)
        if found is not None:
            endpoints[candidate.name] = found
        elif spec.start_endpoint:
            missing.append(candidate)
        else:
            raise ConfigError(
                f"{candidate.name!r} ({candidate.model}) has no endpoint that is ready: start one, or let the evaluation "
                "start it and stop it at the end with start_endpoint=True (--start-endpoint)"
            )
    started: list[Candidate] = []
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
                tags=tags(candidate),
                unguarded=False,
                poll=poll,
            )
            if endpoint.serving is Serving.PROVISIONED:
                budget.start_hourly(_hourly(candidate) or 0.0)
            endpoints[candidate.name] = endpoint.wait().info
        yield endpoints
    finally:
        for candidate in started:
            logger.info("stopping the endpoint of %s", candidate.model)
            stop_own_endpoints(candidate.backend, candidate.model, poll=poll)


def _find(candidate: Candidate, poll: Poll) -> EndpointInfo | None:
    """Find a ready endpoint of a model: one that Tunestack started, or another one."""
    if not isinstance(candidate.backend, EndpointHost):
        return candidate.backend.endpoint(candidate.model)
    own = [
        endpoint.info for endpoint in own_endpoints(candidate.backend, candidate.model, poll=poll)
    ]
    for info in (*own, *candidate.backend.endpoints(model=candidate.model)):
        if info.state is EndpointState.READY and info.model == candidate.model:
            return info
    return None


def _ttl(candidate: Candidate, spec: EvaluationSpec) -> Duration | None:
    """Return the lifetime: also on demand there is one if a guard is deployed, as this process may be killed."""
    host = candidate.backend
    if spec.ttl is None and isinstance(host, EndpointHost) and (guard := host.guard()) is not None:
        return min(DEFAULT_TTL, guard.longest)
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
