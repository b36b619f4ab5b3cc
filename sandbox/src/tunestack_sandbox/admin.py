"""What a sandbox can be told over HTTP that AWS can't: `/_tunestack/...`, for whatever is not Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError, TunestackError
from tunestack_sandbox.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import Faults

_PREFIX = "/_tunestack/"


class Admin:
    """Answers `GET state`, `POST reset`, `GET|POST|DELETE faults` and `GET|POST clock`."""

    def __init__(
        self,
        *,
        clock: Clock,
        faults: Faults,
        state: Callable[[], dict[str, Any]],
        reset: Callable[[], None],
    ) -> None:
        """Take what can be told."""
        self._clock = clock
        self._faults = faults
        self._does: dict[tuple[str, str], Callable[[Any], object]] = {
            ("GET", "state"): lambda _: state(),
            ("POST", "reset"): lambda _: reset(),
            ("GET", "faults"): lambda _: faults.listed(),
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): lambda _: faults.clear(),
            ("GET", "clock"): lambda _: self._time(),
            ("POST", "clock"): self._turn_clock,
        }

    def __call__(self, request: Request) -> Answer | None:
        """Answer; `None` what is for AWS."""
        path = request.target.partition("?")[0]
        if not path.startswith(_PREFIX):
            return None
        does = self._does.get((request.method, path.removeprefix(_PREFIX)))
        if does is None:
            known = ", ".join(f"{method} {_PREFIX}{name}" for method, name in self._does)
            return _answer(404, {"error": f"there is no {request.method} {path}: use {known}"})
        try:
            result = does(json.loads(request.body or b"{}"))
        except (ConfigError, LookupError, TypeError, ValueError, RecursionError) as error:
            return _answer(400, {"error": str(error)})
        except TunestackError as error:
            return _answer(500, {"error": str(error)})
        return _answer(200, {} if result is None else result)

    def _add_faults(self, asked: Any) -> object:
        for fault in asked if isinstance(asked, list) else [asked]:
            if not isinstance(fault, dict) or "kind" not in fault:
                raise ConfigError(f"{fault!r} is no fault: use an object with a kind")
            self._faults.add(fault.pop("kind"), **fault)
        return self._faults.listed()

    def _turn_clock(self, asked: Any) -> object:
        if not isinstance(asked, dict) or not isinstance(asked.get("advance"), int | float):
            raise ConfigError('use {"advance": <seconds>}')
        self._clock.advance(asked["advance"])
        return self._time()

    def _time(self) -> dict[str, str]:
        return {"now": self._clock.now().isoformat()}


def _answer(status: int, content: object) -> Answer:
    return Answer(status=status, body=json.dumps(content, default=str, indent=1).encode())
