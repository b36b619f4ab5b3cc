"""The Lambda functions of runs: one evaluates their models and promotes the best ones, the other starts the runs of schedules.

The state machine of runs invokes the first one, and EventBridge Scheduler the second one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from tunestack.backends.accounts import AccountResolver
from tunestack.errors import TransientError
from tunestack.polling import Poll
from tunestack.runs.evaluator import RunEvaluator
from tunestack.runs.sweep import start_sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.backends.accounts import Accounts

_MARGIN = 120.0
"""Seconds before the timeout of the function after which no request is sent: a request in progress may take that long."""


class RetryableError(Exception):
    """A service does not answer. The state machine invokes the function again after errors of this name."""


class Context(Protocol):
    """The context of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the function is ended."""
        ...


def evaluate(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Do a part of the evaluation of a run.

    Args:
        event: `run`, the name of the run, and `key`, the key of its file.
        context: the context of the invocation.

    Returns:
        `done`, and in how many `seconds` the function is to be invoked again.
    """
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _MARGIN
    try:
        progress = RunEvaluator(
            _resolve_accounts(),
            event["run"],
            event["key"].rpartition("/")[2].removesuffix(".jsonl"),
            is_over=lambda: time.monotonic() > end,
        ).advance()
    except TransientError as error:
        raise RetryableError(str(error)) from error
    return {"done": progress.is_done, "seconds": progress.seconds}


def start(event: Mapping[str, Any], _: Context) -> dict[str, Any]:
    """Start the run of a schedule. If the data has not changed since it was started last, that run is returned.

    Args:
        event: `sweep`, the S3 URI of the sweep file.

    Returns:
        `run`, the name of the run.
    """
    run = start_sweep(
        _resolve_accounts(),
        event["sweep"],
        name=None,
        max_parallel=None,
        budget=None,
        confirm=None,
        poll=Poll(),
    )
    return {"run": run.name}


def _resolve_accounts() -> Accounts:
    """Return the accounts of the stage that the environment names."""
    return AccountResolver(
        stage=None, region=None, deployment=None, session=None, openai=None, poll=Poll()
    ).accounts
