"""The Lambda function that evaluates the models of runs, and promotes the best ones; the state machine of runs invokes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from tunestack.backends.accounts import AccountResolver
from tunestack.errors import TransientError
from tunestack.polling import Poll
from tunestack.runs.evaluator import RunEvaluator

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARGIN = 120.0
"""Seconds before the timeout of the function after which no request is sent: a request in progress may take that long."""


class RetryableError(Exception):
    """A service does not answer. The state machine invokes the function again after errors of this name."""


class Context(Protocol):
    """The context of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the function is ended."""
        ...


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Do a part of the evaluation of a run.

    Args:
        event: `run`, the name of the run, and `key`, the key of its file.
        context: the context of the invocation.

    Returns:
        `done`, and in how many `seconds` the function is to be invoked again.
    """
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _MARGIN
    resolver = AccountResolver(
        stage=None, region=None, deployment=None, session=None, openai=None, poll=Poll()
    )
    try:
        progress = RunEvaluator(
            resolver.accounts,
            event["run"],
            event["key"].rpartition("/")[2].removesuffix(".jsonl"),
            is_over=lambda: time.monotonic() > end,
        ).advance()
    except TransientError as error:
        raise RetryableError(str(error)) from error
    return {"done": progress.is_done, "seconds": progress.seconds}
