"""What the openai package's errors are in our words."""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import openai

from tunestack.errors import (
    AccessError,
    BusyError,
    ConflictError,
    InvalidRequestError,
    NetworkError,
    NotFoundError,
    ProviderError,
    QuotaError,
    TunestackError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEY = "check the key (OPENAI_API_KEY, or the client that was passed) and its project"
_ELIGIBLE = (
    "the project or the key may not; since 2026-05-07 organizations that never fine-tuned may create no jobs, since "
    "2026-07-02 neither may those without recent use of a tuned model, and from 2027-01-06 on nobody: "
    "see `tunestack models` for what can be tuned on Bedrock"
)

_OTHER = "the server does not speak OpenAI's API, or another version of it: check the base URL"
_LONGEST = 500

BY_CLASS: Mapping[type[openai.OpenAIError], tuple[type[ProviderError], str]] = MappingProxyType(
    {
        openai.AuthenticationError: (AccessError, _KEY),
        openai.PermissionDeniedError: (AccessError, _ELIGIBLE),
        openai.NotFoundError: (NotFoundError, "check the id, and that the key is of its project"),
        openai.ConflictError: (ConflictError, "try again later"),
        openai.BadRequestError: (InvalidRequestError, "mend the request"),
        openai.UnprocessableEntityError: (InvalidRequestError, "mend the request"),
        openai.RateLimitError: (BusyError, "try again later"),
        openai.InternalServerError: (BusyError, "try again later"),
        openai.APITimeoutError: (NetworkError, "try again later"),
        openai.APIConnectionError: (NetworkError, "check the network and the base URL"),
        openai.APIResponseValidationError: (ProviderError, _OTHER),
    }
)
"""Of each class of error what it is here, and what to do; a subclass comes before its base."""
BY_CODE: Mapping[str, tuple[type[ProviderError], str]] = MappingProxyType(
    {
        "insufficient_quota": (QuotaError, "add credit, or raise the limit of the project"),
        "billing_hard_limit_reached": (QuotaError, "raise the billing limit of the organization"),
        "daily_rate_limit_exceeded": (
            QuotaError,
            "no more jobs are allowed today: submit again tomorrow, or with queue=True (--queue)",
        ),
        "exceeded_quota": (
            QuotaError,
            "wait until other jobs have ended (submit with queue=True, or --queue), or ask OpenAI for a higher limit",
        ),
        "invalid_api_key": (AccessError, _KEY),
        "model_not_available": (AccessError, _ELIGIBLE),
        "training_not_available": (AccessError, _ELIGIBLE),
    }
)
"""Of codes that say more than the class."""
_FREE_THEMSELVES = ("daily_rate_limit_exceeded", "exceeded_quota")
"""Codes of quotas that are free again when other jobs have ended, or the next day."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the vendor's errors as ours.

    Args:
        doing: what is being done, for the message: `creating job 'x'`.

    Raises:
        ProviderError: whatever the vendor or the way to it had to say; `__cause__` is the openai package's own error.
    """
    try:
        yield
    except openai.APIError as error:
        kind, hint = _meaning(error)
        ours = kind(
            f"{doing}: {_said(error)}: {hint}",
            code=error.code,
            request_id=getattr(error, "request_id", None),
        )
        if isinstance(ours, QuotaError):
            ours.frees_itself = error.code in _FREE_THEMSELVES
        raise ours from error
    except openai.OpenAIError as error:
        raise AccessError(f"{doing}: {error}: {_KEY}") from error
    except TunestackError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The package takes whatever a server says for what it should have said.
        raise ProviderError(f"{doing}: the answer can't be read: {_OTHER}") from error


def _meaning(error: openai.APIError) -> tuple[type[ProviderError], str]:
    if error.code is not None and error.code in BY_CODE:
        return BY_CODE[error.code]
    for kind, meaning in BY_CLASS.items():
        if isinstance(error, kind):
            return meaning
    return ProviderError, "try again later"


def _said(error: openai.APIError) -> str:
    """Take the vendor's words: the text of version 2 is the whole body."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])[:_LONGEST].rstrip(".")
    # Never the body itself: some servers send back what they were sent.
    status = getattr(error, "status_code", None)
    return f"HTTP {status}" if status else error.message[:_LONGEST].rstrip(".")
