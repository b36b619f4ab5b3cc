"""Fault injection: faults for some operations, a number of times or at a rate, reproducible with a random seed."""

from __future__ import annotations

import difflib
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError
from tunestack_sandbox.messages import COMMON_ERRORS, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from botocore.model import OperationModel


class FaultKind(StrEnum):
    """The kinds of faults."""

    THROTTLE = "throttle"
    """ThrottlingException."""
    ERROR = "error"
    """The error `code` (default: InternalServerException), from operations that list it."""
    LOST_REPLY = "lost-reply"
    """The operation takes effect, then the connection closes without an answer."""
    SLOW = "slow"
    """The response is delayed by `seconds` of real time."""
    EXPIRED_CREDENTIALS = "expired-credentials"
    """ExpiredTokenException."""
    CLOCK_SKEW = "clock-skew"
    """InvalidSignatureException: the time of the signature is wrong."""
    ACCOUNT_NOT_AUTHORIZED = "account-not-authorized"
    """AccessDeniedException: AWS has not enabled the operation for the account, as in some new accounts."""
    NO_MODEL_ACCESS = "no-model-access"
    """AccessDeniedException of a new job or an invocation: the account has no access to the model."""
    ROLE_NOT_READY = "role-not-ready"
    """The role of a new job can't be assumed, until `seconds` after the first refused job, in the sandbox's time."""
    STALL = "stall"
    """A job never starts a phase, `phase` or the next one, without an error."""
    SLOW_PHASE = "slow-phase"
    """A phase of a job takes `seconds` longer, in the sandbox's time."""
    INTERNAL_FAILURE = "internal-failure"
    """A job fails at the end of a phase with an internal error of the service."""
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
"""The phases of a job, by the values of `phase`."""

_MESSAGES = {
    "ThrottlingException": "Too many requests, please wait before trying again.",
    "ServiceUnavailableException": "Bedrock is unable to process your request.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "ModelNotReadyException": "Model is not ready for inference. Wait and try your request again.",
    # aws-samples/amazon-bedrock-workshop#100 and #20.
    FaultKind.ACCOUNT_NOT_AUTHORIZED: "Your account is not authorized to invoke this API operation.",
    # aws-samples/generative-ai-cdk-constructs-samples#25.
    FaultKind.NO_MODEL_ACCESS: "You don't have access to the model with the specified model ID.",
}
"""AWS's messages by fault or error code."""
_ARGUMENTS: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.THROTTLE: ("operation",),
    FaultKind.ERROR: ("operation", "code"),
    FaultKind.LOST_REPLY: ("operation",),
    FaultKind.SLOW: ("operation", "seconds"),
    FaultKind.EXPIRED_CREDENTIALS: ("operation",),
    FaultKind.CLOCK_SKEW: ("operation",),
    FaultKind.ACCOUNT_NOT_AUTHORIZED: ("operation",),
    FaultKind.NO_MODEL_ACCESS: ("operation",),
    FaultKind.ROLE_NOT_READY: ("seconds",),
    FaultKind.STALL: ("phase",),
    FaultKind.SLOW_PHASE: ("phase", "seconds"),
    FaultKind.INTERNAL_FAILURE: ("phase",),
    FaultKind.ENDPOINT_FAILURE: (),
    FaultKind.EVENT_LOSS: (),
    FaultKind.EVENT_DUPLICATION: (),
}
"""The arguments of each kind, beside `times` and `rate`."""
_ERROR_CODES = {
    FaultKind.THROTTLE: "ThrottlingException",
    FaultKind.EXPIRED_CREDENTIALS: "ExpiredTokenException",
    FaultKind.CLOCK_SKEW: "InvalidSignatureException",
    FaultKind.ACCOUNT_NOT_AUTHORIZED: "AccessDeniedException",
    FaultKind.NO_MODEL_ACCESS: "AccessDeniedException",
}
_MODEL_OPERATIONS = frozenset(
    {
        "Converse",
        "ConverseStream",
        "CreateModelCustomizationJob",
        "InvokeModel",
        "InvokeModelWithResponseStream",
    }
)
"""The operations that need access to a model."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
"""The maximum difference between the time of a signature and the service's time."""
_KINDS_WITH_SECONDS = (FaultKind.SLOW, FaultKind.SLOW_PHASE, FaultKind.ROLE_NOT_READY)
_MAX_SECONDS = 366 * 86_400
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_DEFAULT_MESSAGE = (
    "The system encountered an unexpected error during processing. Try your request again."
)


@dataclass(kw_only=True, slots=True)
class FaultRule:
    """A fault to inject."""

    kind: FaultKind
    operation: str = "*"
    """The name of the operation, with the wildcards `*` and `?`."""
    times: int | None = None
    """The maximum number of times; unlimited if `None`."""
    rate: float = 1.0
    """The probability at each time, above 0, up to 1."""
    code: str = "InternalServerException"
    seconds: float = 0.0
    phase: str | None = None
    injected_count: int = 0
    """The number of times that the fault was injected."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: A value is invalid.
        """
        for name, is_valid, expected in (
            ("operation", isinstance(self.operation, str), "the name of an operation"),
            ("times", self.times is None or _is_number(self.times, int, 1), "an integer from 1"),
            ("rate", _is_number(self.rate) and 0 < self.rate <= 1, "a number above 0, up to 1"),
            ("code", isinstance(self.code, str), "the code of an error"),
            (
                "seconds",
                _is_number(self.seconds) and self.seconds < _MAX_SECONDS,
                "a number from 0 to a year",
            ),
            ("phase", self.phase in (None, *PHASES), ", ".join(PHASES)),
            (
                "seconds",
                self.kind not in _KINDS_WITH_SECONDS or self.seconds > 0,
                "a number above 0",
            ),
        ):
            if not is_valid:
                raise ConfigError(
                    f"invalid {name}={getattr(self, name)!r} of fault {self.kind.value!r}: "
                    f"use {expected}"
                )

    @property
    def error_code(self) -> str:
        """The code of the error, if the fault is an error."""
        return _ERROR_CODES.get(self.kind, self.code)

    def affects(self, operation: str) -> bool:
        """Return whether the fault can occur in an operation."""
        return fnmatchcase(operation, self.operation) and (
            self.kind is not FaultKind.NO_MODEL_ACCESS or operation in _MODEL_OPERATIONS
        )


def _is_number(value: object, kind: type[float] = float, minimum: float = 0) -> bool:
    types = int if kind is int else (int, float)
    return isinstance(value, types) and not isinstance(value, bool) and value >= minimum


class LostReplyError(Exception):
    """The connection must be closed without a response."""


class FaultInjector:
    """Injects faults into a sandbox.

    ```python
    lost = sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
    ...
    assert lost.injected_count == 1
    ```
    """

    def __init__(self, seed: int = 0, errors: Mapping[str, Collection[str]] | None = None) -> None:
        """Initialize the injector.

        Args:
            seed: The random seed for faults with a `rate` below 1.
            errors: The error codes of each operation, to reject faults that can never occur. If not given, faults are not
                checked.
        """
        self._errors = errors
        self._random = random.Random(seed)  # noqa: S311 - to be repeatable, not secret
        self._rules: list[FaultRule] = []
        self._is_paused = False
        self._lock = threading.Lock()

    def add(self, kind: str, /, **how: Any) -> FaultRule:
        """Inject a fault from now on.

        Args:
            kind: A `FaultKind`, or its value.
            how: `operation` (a name, with the wildcards `*` and `?`), `times`, `rate`, and the arguments of the kind:
                `code`, `seconds` or `phase`.

        Returns:
            The rule. Its `injected_count` is the number of times that the fault was injected.

        Raises:
            ConfigError: The kind or an argument is invalid, or the fault can never occur.
        """
        if kind not in list(FaultKind):
            raise ConfigError(f"unknown fault {kind!r}: use {', '.join(FaultKind)}")
        allowed = [*_ARGUMENTS[FaultKind(kind)], "times", "rate"]
        if unknown := how.keys() - set(allowed):
            raise ConfigError(
                f"unknown argument {min(unknown)!r} of fault {FaultKind(kind).value!r}: "
                f"use {', '.join(allowed)}"
            )
        rule = FaultRule(kind=FaultKind(kind), **how)
        self._require_possible(rule)
        with self._lock:
            self._rules.append(rule)
        return rule

    def _require_possible(self, rule: FaultRule) -> None:
        if self._errors is None:
            return
        names = [name for name in self._errors if fnmatchcase(name, rule.operation)]
        if not names:
            closest = difflib.get_close_matches(rule.operation, self._errors, 1, 0) or ["List*"]
            raise ConfigError(
                f"unknown operation {rule.operation!r} of fault {rule.kind.value!r}: use the "
                f"provider's name of an operation of the sandbox, for example {closest[0]!r}"
            )
        if rule.kind in _ERROR_CODES and not any(
            rule.affects(name) and rule.error_code in self._errors[name] for name in names
        ):
            raise ConfigError(
                f"invalid operation={rule.operation!r} of fault {rule.kind.value!r}: "
                "the fault never occurs in it"
            )
        codes: set[str] = set().union(*(self._errors[name] for name in names))
        if rule.kind is FaultKind.ERROR and rule.code not in codes:
            raise ConfigError(
                f"invalid code={rule.code!r} of fault 'error': {rule.operation} never returns it; "
                f"use {', '.join(sorted(codes))}"
            )

    def remove(self, rule: FaultRule) -> None:
        """Remove a fault, if it was not removed before."""
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return the faults as dictionaries."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    @property
    def rules(self) -> list[FaultRule]:
        """The faults in the order in which they were added."""
        with self._lock:
            return list(self._rules)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inject no faults in a `with` block."""
        was_paused, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = was_paused

    def trigger(
        self, kind: FaultKind, *, operation: str = "", phase: str | None = None
    ) -> FaultRule | None:
        """Return the rule of a kind that applies now, if there is one, and count it."""
        return self._trigger(
            lambda rule: rule.kind is kind and (rule.phase is None or PHASES[rule.phase] == phase),
            operation,
        )

    def _trigger(self, matches: Callable[[FaultRule], bool], operation: str) -> FaultRule | None:
        with self._lock:
            for rule in () if self._is_paused else self._rules:
                if (
                    matches(rule)
                    and (rule.times is None or rule.injected_count < rule.times)
                    and (not operation or rule.affects(operation))
                    and self._random.random() < rule.rate
                ):
                    rule.injected_count += 1
                    return rule
        return None

    def raise_error(self, operation: OperationModel) -> None:
        """Raise the error to inject before an AWS operation takes effect, if there is one.

        Raises:
            ServiceError: The error.
        """
        listed = {shape.name for shape in operation.error_shapes} | COMMON_ERRORS.keys()
        rule = self._trigger_error(operation.name, listed)
        if rule is None:
            return
        if rule.error_code == _ERROR_CODES[FaultKind.CLOCK_SKEW]:
            raise ServiceError(rule.error_code, build_clock_skew_message())
        message = _MESSAGES.get(rule.kind) or _MESSAGES.get(rule.error_code, _DEFAULT_MESSAGE)
        raise ServiceError(rule.error_code, message)

    def trigger_error(self, operation: str, codes: Collection[str]) -> str | None:
        """Return the code of the error to inject before an operation takes effect, if there is one.

        Args:
            operation: The name of the operation.
            codes: The error codes that the operation can return.
        """
        rule = self._trigger_error(operation, codes)
        return None if rule is None else rule.error_code

    def _trigger_error(self, operation: str, codes: Collection[str]) -> FaultRule | None:
        return self._trigger(
            lambda rule: (
                rule.error_code in codes
                and (rule.kind in _ERROR_CODES or rule.kind is FaultKind.ERROR)
            ),
            operation,
        )

    def delay_or_lose_reply(self, operation: str) -> None:
        """Inject the faults of the response, after an operation took effect.

        Raises:
            LostReplyError: The connection must be closed.
        """
        self.delay(operation)
        self.lose_reply(operation)

    def delay(self, operation: str) -> float:
        """Delay the response after an operation took effect, if that is to be injected, and return the seconds."""
        slow = self.trigger(FaultKind.SLOW, operation=operation)
        if slow is None:
            return 0
        time.sleep(slow.seconds)
        return slow.seconds

    def lose_reply(self, operation: str) -> None:
        """Lose the response after an operation took effect, if that is to be injected.

        Raises:
            LostReplyError: The connection must be closed.
        """
        if self.trigger(FaultKind.LOST_REPLY, operation=operation):
            raise LostReplyError


def build_clock_skew_message(signed: datetime | None = None) -> str:
    """Build AWS's message for a signature with a wrong time (default: one hour ago)."""
    now = datetime.now(UTC)
    signed = signed or now - timedelta(hours=1)
    if signed < now:
        return (
            f"Signature expired: {signed:{_TIME_FORMAT}} is now earlier than "
            f"{now - MAX_CLOCK_SKEW:{_TIME_FORMAT}} ({now:{_TIME_FORMAT}} - 5 min.)"
        )
    return (
        f"Signature not yet current: {signed:{_TIME_FORMAT}} is still later than "
        f"{now + MAX_CLOCK_SKEW:{_TIME_FORMAT}} ({now:{_TIME_FORMAT}} + 5 min.)"
    )
