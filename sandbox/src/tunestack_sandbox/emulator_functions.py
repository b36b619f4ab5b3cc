"""Errors of MiniStack's Lambda functions with the types that AWS reports; MiniStack's own are all `Runtime.HandlerError`.

Source: Lambda developer guide, python-exceptions: the type of an error is the name of the exception's class. A function whose
process ends has the type `Runtime.ExitError`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_UNKNOWN = "Runtime.HandlerError"
_ENDED = "Worker process died"
_LAST_LINE = re.compile(r"^(?:\w+\.)*(?P<name>[A-Za-z_]\w*)(?::|$)", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):\n"


def install() -> None:
    """Correct the errors of functions."""
    from ministack.services import lambda_svc  # noqa: PLC0415 - reads the environment on import

    lambda_svc._execute_function_warm = partial(  # noqa: SLF001
        _execute,
        lambda_svc._execute_function_warm,  # noqa: SLF001
    )


def _execute(execute: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    result = execute(*arguments)
    body = result.get("body")
    if isinstance(body, dict) and result.get("error") and body.get("errorType") == _UNKNOWN:
        body["errorType"] = _find_type(str(body.get("errorMessage")), str(result.get("log")))
    return result


def _find_type(message: str, log: str) -> str:
    if message == _ENDED:
        return "Runtime.ExitError"
    match = _LAST_LINE.search(log.rpartition(_TRACEBACK)[2])
    return _UNKNOWN if match is None or _TRACEBACK not in log else match["name"]
