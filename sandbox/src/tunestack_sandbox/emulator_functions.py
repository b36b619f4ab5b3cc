"""Lambda functions as on AWS: the types of their errors, and retries of those that EventBridge invokes.

MiniStack's own errors are all `Runtime.HandlerError`. Source: Lambda developer guide, python-exceptions: the type of an error is
the name of the exception's class. A function whose process ends has the type `Runtime.ExitError`.

MiniStack does not repeat what rules and schedules invoke, and sends no dead letters. Source: Lambda developer guide,
invocation-async-error-handling (read 2026-11-29): both invoke functions asynchronously, which is repeated twice after an error.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_UNKNOWN = "Runtime.HandlerError"
_ENDED = ("Worker process died", "Worker process exited immediately")
"""The beginnings of MiniStack's messages for a process that ends in an invocation, or at its start."""
_LAST_LINE = re.compile(r"^(?:\w+\.)*(?P<name>[A-Za-z_]\w*)(?::|$)", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):\n"


def install() -> None:
    """Correct the errors of functions, and repeat asynchronous invocations."""
    from ministack.services import eventbridge, lambda_svc  # noqa: PLC0415 - reads the environment on import

    def invoke(arn: str, payload: str) -> None:
        function, config, _ = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001
        if function and config:
            record = lambda_svc._execution_record_for_config(function, config)  # noqa: SLF001
            lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = invoke  # noqa: SLF001

    lambda_svc._execute_function_warm = partial(  # noqa: SLF001
        _execute,
        lambda_svc._execute_function_warm,  # noqa: SLF001
    )


def _execute(execute: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    result = execute(*arguments)
    body = result.get("body")
    if isinstance(body, dict) and result.get("error"):
        if str(body.get("errorMessage")).startswith(_ENDED):
            body["errorType"] = "Runtime.ExitError"
        elif body.get("errorType") == _UNKNOWN:
            body["errorType"] = _find_type(str(result.get("log")))
    return result


def _find_type(log: str) -> str:
    match = _LAST_LINE.search(log.rpartition(_TRACEBACK)[2])
    return _UNKNOWN if match is None or _TRACEBACK not in log else match["name"]
