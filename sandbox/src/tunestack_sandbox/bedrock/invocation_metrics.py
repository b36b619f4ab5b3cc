"""The CloudWatch metrics of an invocation.

Source: user guide, monitoring-runtime-metrics (read 2026-11-29). `Invocations` counts the requests that were accepted for
processing, also if they failed later, but not those that were throttled or rejected during input validation. An earlier version
of the page counts successful requests only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack_sandbox.messages import COMMON_ERRORS

if TYPE_CHECKING:
    from tunestack_sandbox.emulator_metrics import Metric
    from tunestack_sandbox.messages import Invocation

_ACCEPTED: Metric = ("Invocations", "Count", 1)
_NOT_OF_A_MODEL = COMMON_ERRORS.keys() - {"ValidationException"}
"""Errors of credentials, permissions and unknown operations."""
_IN_PROCESSING = ("ModelErrorException", "ModelTimeoutException")
"""Client errors that occur after a request was accepted (API reference, Converse)."""


def list_metrics(invocation: Invocation, latency_ms: float) -> list[Metric]:
    """Return the metrics of a successful invocation."""
    return [
        _ACCEPTED,
        ("InvocationLatency", "Milliseconds", latency_ms),
        ("InputTokenCount", "Count", invocation.input_tokens),
        ("OutputTokenCount", "Count", invocation.output_tokens),
    ]


def list_error_metrics(code: str, status: int) -> list[Metric]:
    """Return the metrics of a failed invocation: none if it was not allowed."""
    if code in _NOT_OF_A_MODEL:
        return []
    if code == "ThrottlingException":
        return [("InvocationThrottles", "Count", 1)]
    if status >= 500:
        return [_ACCEPTED, ("InvocationServerErrors", "Count", 1)]
    accepted = [_ACCEPTED] if code in _IN_PROCESSING else []
    return [*accepted, ("InvocationClientErrors", "Count", 1)]
