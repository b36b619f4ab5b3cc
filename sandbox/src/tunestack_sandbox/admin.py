"""The sandbox's own HTTP API, `/_tunestack/...`, for programs that are not written in Python."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError, TunestackError
from tunestack_sandbox.messages import Request, Response
from tunestack_sandbox.routing import ANY_METHOD, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import FaultInjector

_PREFIX = "/_tunestack/"


class AdminApi:
    """The routes `GET state`, `POST reset`, `GET|POST|DELETE faults` and `GET|POST clock`."""

    def __init__(
        self,
        *,
        clock: Clock,
        faults: FaultInjector,
        state: Callable[[], dict[str, Any]],
        reset: Callable[[], None],
    ) -> None:
        """Initialize the API.

        Args:
            clock: The sandbox's clock.
            faults: The sandbox's fault injector.
            state: Returns the state of the sandbox.
            reset: Resets the sandbox.
        """
        self._clock = clock
        self._faults = faults
        self._operations: Mapping[tuple[str, str], Callable[[Any], object]] = {
            ("GET", "state"): lambda _: state(),
            ("POST", "reset"): lambda _: reset(),
            ("GET", "faults"): lambda _: faults.listed(),
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): lambda _: faults.clear(),
            ("GET", "clock"): lambda _: self._read_clock(),
            ("POST", "clock"): self._advance_clock,
        }

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        routes = [
            Route(
                method=method,
                path=_PREFIX + name,
                handle=partial(self._handle, operation),
                handle_crash=_build_crash,
            )
            for (method, name), operation in self._operations.items()
        ]
        unknown = Route(
            method=ANY_METHOD,
            path=f"{_PREFIX}{{path+}}",
            handle=self._handle_unknown,
            handle_crash=_build_crash,
        )
        return [*routes, unknown]

    def _handle(
        self, operation: Callable[[Any], object], request: Request, _: Mapping[str, str]
    ) -> Response:
        try:
            result = operation(json.loads(request.body or b"{}"))
        except (ConfigError, LookupError, TypeError, ValueError, RecursionError) as error:
            return _build_response(400, {"error": str(error)})
        except TunestackError as error:
            return _build_response(500, {"error": str(error)})
        return _build_response(200, {} if result is None else result)

    def _handle_unknown(self, request: Request, _: Mapping[str, str]) -> Response:
        known = ", ".join(f"{method} {_PREFIX}{name}" for method, name in self._operations)
        message = f"unknown operation {request.method} {request.path}: use {known}"
        return _build_response(404, {"error": message})

    def _add_faults(self, body: Any) -> object:
        for fault in body if isinstance(body, list) else [body]:
            if not isinstance(fault, dict) or "kind" not in fault:
                raise ConfigError(f"invalid fault {fault!r}: use an object with a kind")
            self._faults.add(fault.pop("kind"), **fault)
        return self._faults.listed()

    def _advance_clock(self, body: Any) -> object:
        if not isinstance(body, dict) or not isinstance(body.get("advance"), int | float):
            raise ConfigError('use {"advance": <seconds>}')
        self._clock.advance(body["advance"])
        return self._read_clock()

    def _read_clock(self) -> dict[str, str]:
        return {"now": self._clock.now().isoformat()}


def _build_crash(error: Exception) -> Response:
    return _build_response(500, {"error": f"the sandbox failed: {error!r}"})


def _build_response(status: int, content: object) -> Response:
    return Response(status=status, body=json.dumps(content, default=str, indent=1).encode())
