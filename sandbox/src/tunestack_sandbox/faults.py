"""What goes wrong on request: by name, for some operations, some times or at some rate, the same for the same seed."""

from __future__ import annotations

import difflib
import random
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError
from tunestack_sandbox.wire import COMMON_ERRORS, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from botocore.model import OperationModel


class FaultKind(StrEnum):
    """What can go wrong."""

    THROTTLE = "throttle"
    """ThrottlingException."""
    ERROR = "error"
    """The error of `code`, InternalServerException if not given, from operations that list it."""
    LOST_REPLY = "lost-reply"
    """The operation takes effect, then the connection closes without an answer."""
    SLOW = "slow"
    """The answer takes `seconds` longer, of real time."""
    EXPIRED_CREDENTIALS = "expired-credentials"
    """ExpiredTokenException."""
    CLOCK_SKEW = "clock-skew"
    """InvalidSignatureException: the signature is of another time."""
    STALL = "stall"
    """A job gets stuck before a phase, `phase` or whichever comes first, and nothing says why."""
    SLOW_PHASE = "slow-phase"
    """A phase of a job takes `seconds` longer, of the sandbox's time."""
    INTERNAL_FAILURE = "internal-failure"
    """A job fails at the end of a phase, and the reason is AWS's own."""
    ENDPOINT_FAILURE = "endpoint-failure"
    """An endpoint becomes Failed instead of ready."""
    EVENT_LOSS = "event-loss"
    """A job's event is not sent."""
    EVENT_DUPLICATION = "event-duplication"
    """A job's event is sent twice."""


PHASES = {
    "validation": "validationDetails",
    "data-processing": "dataProcessingDetails",
    "training": "trainingDetails",
}
"""The phases of a job, by the names that `phase` takes."""

_MESSAGES = {
    "ThrottlingException": "Too many requests, please wait before trying again.",
    "ServiceUnavailableException": "Bedrock is unable to process your request.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "ModelNotReadyException": "Model is not ready for inference. Wait and try your request again.",
}
_ARGUMENTS: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.THROTTLE: ("operation",),
    FaultKind.ERROR: ("operation", "code"),
    FaultKind.LOST_REPLY: ("operation",),
    FaultKind.SLOW: ("operation", "seconds"),
    FaultKind.EXPIRED_CREDENTIALS: ("operation",),
    FaultKind.CLOCK_SKEW: ("operation",),
    FaultKind.STALL: ("phase",),
    FaultKind.SLOW_PHASE: ("phase", "seconds"),
    FaultKind.INTERNAL_FAILURE: ("phase",),
    FaultKind.ENDPOINT_FAILURE: (),
    FaultKind.EVENT_LOSS: (),
    FaultKind.EVENT_DUPLICATION: (),
}
"""What each takes beside `times` and `rate`."""
_CODES = {
    FaultKind.THROTTLE: "ThrottlingException",
    FaultKind.EXPIRED_CREDENTIALS: "ExpiredTokenException",
    FaultKind.CLOCK_SKEW: "InvalidSignatureException",
}
SKEW = timedelta(minutes=5)
"""How far a signature's time may be from the service's."""
_TIMED = (FaultKind.SLOW, FaultKind.SLOW_PHASE)
_YEAR = 366 * 86_400
_STAMP = "%Y%m%dT%H%M%SZ"
_UNEXPECTED = (
    "The system encountered an unexpected error during processing. Try your request again."
)


@dataclass(kw_only=True, slots=True)
class Rule:
    """One thing that goes wrong."""

    kind: FaultKind
    operation: str = "*"
    """Which operations, by name; `*` and `?` are wildcards."""
    times: int | None = None
    """How often at most; for ever if not given."""
    rate: float = 1.0
    """How likely each time, from 0 to 1."""
    code: str = "InternalServerException"
    seconds: float = 0.0
    phase: str | None = None
    struck: int = 0
    """How often it went wrong so far."""

    def __post_init__(self) -> None:
        """Refuse what could never go wrong as asked."""
        for name, right, use in (
            ("operation", isinstance(self.operation, str), "an operation's name"),
            ("times", self.times is None or _is(int, self.times, 1), "a whole number from 1"),
            ("rate", _is(float, self.rate, 0) and 0 < self.rate <= 1, "above 0, to 1"),
            ("code", isinstance(self.code, str), "the name of an error"),
            ("seconds", _is(float, self.seconds, 0) and self.seconds < _YEAR, "0 to a year"),
            ("phase", self.phase in (None, *PHASES), ", ".join(PHASES)),
            ("seconds", self.seconds > 0 or self.kind not in _TIMED, "how many it is to take"),
        ):
            if not right:
                raise ConfigError(
                    f"{name}={getattr(self, name)!r} of fault {self.kind.value!r}: use {use}"
                )


def _is(kind: type[float], value: object, least: float) -> bool:
    """Tell whether a value is a number of a kind, and not below another."""
    allowed = int if kind is int else (int, float)
    return isinstance(value, allowed) and not isinstance(value, bool) and value >= least


class LostReplyError(Exception):
    """The connection is to be closed without an answer."""


class Faults:
    """What goes wrong in a sandbox."""

    def __init__(self, seed: int = 0, errors: Mapping[str, Collection[str]] | None = None) -> None:
        """Take what decides.

        Args:
            seed: of the dice that a `rate` below 1 rolls.
            errors: those that each operation lists, to refuse what could never strike; not looked at when not given.
        """
        self._errors = errors
        self._random = random.Random(seed)  # noqa: S311 - to be repeatable, not secret
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, kind: str, /, **how: Any) -> Rule:
        """Let something go wrong from now on.

        Args:
            kind: a `FaultKind`, or its name.
            how: `operation` (a name, with `*` and `?`), `times`, `rate`, and where it counts `code`, `seconds`, `phase`.

        Returns:
            The rule; its `struck` counts how often it came to pass.

        Raises:
            ConfigError: no such fault, or one that takes no such argument.
        """
        if kind not in list(FaultKind):
            raise ConfigError(f"there is no fault {kind!r}: use {', '.join(FaultKind)}")
        allowed = [*_ARGUMENTS[FaultKind(kind)], "times", "rate"]
        if unknown := how.keys() - set(allowed):
            raise ConfigError(
                f"fault {FaultKind(kind).value!r} takes no argument {min(unknown)!r}: "
                f"use {', '.join(allowed)}"
            )
        rule = Rule(kind=FaultKind(kind), **how)
        self._require_possible(rule)
        with self._lock:
            self._rules.append(rule)
        return rule

    def _require_possible(self, rule: Rule) -> None:
        if self._errors is None:
            return
        named = [name for name in self._errors if fnmatchcase(name, rule.operation)]
        if not named:
            near = difflib.get_close_matches(rule.operation, self._errors, 1, 0) or ["List*"]
            raise ConfigError(
                f"operation={rule.operation!r} of fault {rule.kind.value!r}: the sandbox "
                f"has none of this name; use names as the vendor writes them, {near[0]!r} for one"
            )
        if rule.kind is FaultKind.ERROR and not any(
            rule.code in self._errors[name] for name in named
        ):
            known = sorted(set().union(*(self._errors[name] for name in named)))
            raise ConfigError(
                f"code={rule.code!r} of fault 'error': no {rule.operation} answers it; "
                f"use {', '.join(known)}"
            )

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """List what goes wrong, for a dump."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def strike(
        self, kind: FaultKind, *, operation: str = "", phase: str | None = None
    ) -> Rule | None:
        """Tell which rule of a kind comes to pass now, if any."""
        return self._strike(
            lambda rule: rule.kind is kind and (rule.phase is None or PHASES[rule.phase] == phase),
            operation,
        )

    def _strike(self, fits: Callable[[Rule], bool], operation: str) -> Rule | None:
        with self._lock:
            for rule in self._rules:
                if (
                    fits(rule)
                    and (rule.times is None or rule.struck < rule.times)
                    and (not operation or fnmatchcase(operation, rule.operation))
                    and self._random.random() < rule.rate
                ):
                    rule.struck += 1
                    return rule
        return None

    def before(self, operation: OperationModel) -> None:
        """Let an operation go wrong before it takes effect.

        Raises:
            Fault: what goes wrong.
        """
        listed = {shape.name for shape in operation.error_shapes} | COMMON_ERRORS.keys()
        code = self.code(operation.name, listed)
        if code is None:
            return
        skew = code == _CODES[FaultKind.CLOCK_SKEW]
        raise Fault(code, skewed() if skew else _MESSAGES.get(code, _UNEXPECTED))

    def code(self, operation: str, listed: Collection[str]) -> str | None:
        """Tell which error of those listed an operation answers with, instead of taking effect, if any."""
        rule = self._strike(
            lambda rule: (
                _CODES.get(rule.kind, rule.code) in listed
                and (rule.kind in _CODES or rule.kind is FaultKind.ERROR)
            ),
            operation,
        )
        return None if rule is None else _CODES.get(rule.kind, rule.code)

    def after(self, operation: str) -> None:
        """Let an operation go wrong after it took effect.

        Raises:
            LostReplyError: the connection is to be closed.
        """
        slow = self.strike(FaultKind.SLOW, operation=operation)
        if slow is not None:
            time.sleep(slow.seconds)
        if self.strike(FaultKind.LOST_REPLY, operation=operation):
            raise LostReplyError


def skewed(signed: datetime | None = None) -> str:
    """Say that a signature is of another time, one hour ago if not given."""
    now = datetime.now(UTC)
    signed = signed or now - timedelta(hours=1)
    if signed < now:
        return (
            f"Signature expired: {signed:{_STAMP}} is now earlier than {now - SKEW:{_STAMP}} "
            f"({now:{_STAMP}} - 5 min.)"
        )
    return (
        f"Signature not yet current: {signed:{_STAMP}} is still later than {now + SKEW:{_STAMP}} "
        f"({now:{_STAMP}} + 5 min.)"
    )
