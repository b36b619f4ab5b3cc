"""The endpoints that a run starts for the evaluation of its models: found, started, extended and stopped by their tag."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from tunestack.backends.base import EndpointState
from tunestack.backends.protocols import Backend, EndpointHost
from tunestack.catalog import Serving
from tunestack.endpoints.endpoint import Endpoint
from tunestack.endpoints.expiry import with_expiry
from tunestack.endpoints.start import DEFAULT_TTL, default_lease, name_of, start_endpoint
from tunestack.errors import (
    ConflictError,
    EndpointFailedError,
    InvalidRequestError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from tunestack.backends.base import EndpointInfo
    from tunestack.polling import Poll

RUN_TAG = "tunestack:run"
"""The tag with the name of the run that started an endpoint, and stops it."""


class RunBackend(Backend, EndpointHost, Protocol):
    """A provider with endpoints, and with runs."""


class RunEndpoints:
    """The on-demand endpoints of one run."""

    def __init__(self, backend: RunBackend, run: str, *, poll: Poll) -> None:
        """Store the arguments.

        Args:
            backend: the provider.
            run: the name of the run.
            poll: how an endpoint that is starting is waited for.
        """
        self._backend = backend
        self._run = run
        self._poll = poll

    def start(self, model: str, tags: Mapping[str, str]) -> EndpointInfo:
        """Start the endpoint of a model with a bounded life, or find it, and extend its life if it is used for long.

        Raises:
            EndpointFailedError: the endpoint that the run started has failed, or the endpoint serves another model.
        """
        with suppress(NotFoundError):
            info = self._backend.endpoint(name_of(model, Serving.ON_DEMAND), Serving.ON_DEMAND)
            if info.model != model:
                raise EndpointFailedError(
                    f"endpoint {info.name!r} was updated to {info.model!r}, so the model can't be evaluated",
                    endpoint_id=info.id,
                    reason="serves another model",
                )
            is_own = self._is_own(info)
            if info.state is EndpointState.FAILED and is_own:
                raise build_failure(info)
            if info.state is EndpointState.READY and is_own:
                self._extend(info)
            if info.state is not EndpointState.FAILED:
                return info
        # One that has failed, of another caller, is replaced.
        return start_endpoint(
            self._backend,
            model,
            self._backend.base(model),
            serving=Serving.ON_DEMAND.value,
            ttl=self._lease,
            model_units=1,
            tags={**tags, RUN_TAG: self._run},
            unguarded=False,
            poll=self._poll,
        ).info

    def is_ready(self, model: str) -> bool:
        """Return whether the endpoint of a model exists and can be invoked."""
        with suppress(NotFoundError):
            info = self._backend.endpoint(name_of(model, Serving.ON_DEMAND), Serving.ON_DEMAND)
            return info.state is EndpointState.READY
        return False

    def stop(self, model: str) -> bool:
        """Delete the endpoint of a model if the run started it; returns whether it is deleted, or being deleted."""
        try:
            info = self._backend.endpoint(name_of(model, Serving.ON_DEMAND), Serving.ON_DEMAND)
            if info.model != model or not self._is_own(info):
                return True
            if info.state is EndpointState.STARTING:
                return False
            self._backend.delete_endpoint(info)
        except NotFoundError:
            return True
        except (ConflictError, InvalidRequestError):  # the state has changed since it was read
            return False
        return True

    def stop_all(self, models: Iterable[str]) -> bool:
        """Delete the endpoints of these models that the run started; returns whether all are deleted, or being deleted."""
        are_stopped = [self.stop(model) for model in models]
        return all(are_stopped)

    def _is_own(self, info: EndpointInfo) -> bool:
        return self._backend.endpoint_tags(info.id).get(RUN_TAG) == self._run

    @property
    def _lease(self) -> timedelta:
        return default_lease(self._backend) or DEFAULT_TTL

    def _extend(self, info: EndpointInfo) -> None:
        end = with_expiry(self._backend, info).expires_at
        if end is not None and end - self._backend.now() < self._lease / 2:
            Endpoint(self._backend, info, poll=self._poll).extend(self._lease)


def build_failure(info: EndpointInfo) -> EndpointFailedError:
    """Return the error of an endpoint that has failed."""
    reason = info.failure or "no reason given"
    return EndpointFailedError(
        f"endpoint {info.name!r} failed: {reason}", endpoint_id=info.id, reason=reason
    )
