"""Translate the errors of the openai package to those of `tunestack.errors`."""

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
    "the project or the key has no permission. OpenAI (not other servers with its API) ends fine-tuning: since 2026-05-07 organizations that never fine-tuned "
    "can't create jobs, since 2026-07-02 those that did not use a fine-tuned model recently can't either, and from 2027-01-06 "
    "no organization can: see `tunestack models list` for models that can be fine-tuned on Bedrock"
)
_INCOMPATIBLE = (
    "the server does not have OpenAI's API, or has another version of it: check the base URL"
)
_MAX_TEXT = 500

BY_CLASS: Mapping[type[openai.OpenAIError], tuple[type[ProviderError], str]] = MappingProxyType(
    {
        openai.AuthenticationError: (AccessError, _KEY),
        openai.PermissionDeniedError: (AccessError, _ELIGIBLE),
        openai.NotFoundError: (NotFoundError, "check the id, and that the key is of its project"),
        openai.ConflictError: (ConflictError, "try again later"),
        openai.BadRequestError: (InvalidRequestError, "fix the request"),
        openai.UnprocessableEntityError: (InvalidRequestError, "fix the request"),
        openai.RateLimitError: (BusyError, "try again later"),
        openai.InternalServerError: (BusyError, "try again later"),
        openai.APITimeoutError: (NetworkError, "try again later"),
        openai.APIConnectionError: (NetworkError, "check the network and the base URL"),
        openai.APIResponseValidationError: (ProviderError, _INCOMPATIBLE),
    }
)
"""For each class of the openai package: the class of the error, and what to do; subclasses come before their base."""
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
"""The same for codes that are more specific than the class."""
_TEMPORARY_QUOTAS = ("daily_rate_limit_exceeded", "exceeded_quota")
"""Codes of quotas that are free again when other jobs have ended, or the next day."""


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Translate errors of the openai package to `ProviderError`.

    Args:
        operation: what is being done, for the messages: `creating job 'x'`.

    Raises:
        ProviderError: the server refused the request or can't be reached; `__cause__` is the error of the openai package.
    """
    try:
        yield
    except openai.APIError as error:
        kind, remedy = _classify(error)
        translated = kind(
            f"{operation}: {_server_message(error)}: {remedy}",
            code=error.code,
            request_id=getattr(error, "request_id", None),
        )
        if isinstance(translated, QuotaError):
            translated.frees_itself = error.code in _TEMPORARY_QUOTAS
        raise translated from error
    except openai.OpenAIError as error:
        raise AccessError(f"{operation}: {error}: {_KEY}") from error
    except TunestackError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The package does not validate responses, so a response of another form fails where it is read.
        raise ProviderError(f"{operation}: the response can't be read: {_INCOMPATIBLE}") from error


def _classify(error: openai.APIError) -> tuple[type[ProviderError], str]:
    """Return the class of an error, and what to do."""
    if error.code is not None and error.code in BY_CODE:
        return BY_CODE[error.code]
    for kind, meaning in BY_CLASS.items():
        if isinstance(error, kind):
            return meaning
    return ProviderError, "try again later"


def _server_message(error: openai.APIError) -> str:
    """Return the message of the server; in version 2 of the package, the error's text is the whole body."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])[:_MAX_TEXT].rstrip(".")
    # Never the body itself: some servers return the request, with training data, in it.
    status = getattr(error, "status_code", None)
    return f"HTTP {status}" if status else error.message[:_MAX_TEXT].rstrip(".")
