"""Ids at OpenAI."""

from __future__ import annotations

from tunestack.backends.identifiers import IdKind, invalid_id

PREFIX = "openai/"
JOB_PREFIX = "ftjob-"
MODEL_PREFIX = "ft:"


def check_openai_id(kind: IdKind, identifier: str) -> str:
    """Return an id at OpenAI, without `openai/`, if it can be one of a kind; other servers' ids may have any form.

    Raises:
        ConfigError: it can't; a `ModelError` for models.
    """
    identifier = identifier.removeprefix(PREFIX)
    if not identifier:
        raise invalid_id(kind, identifier, "it is empty")
    if kind is IdKind.JOB and identifier.startswith(MODEL_PREFIX):
        raise invalid_id(kind, identifier, "it is a fine-tuned model")
    if kind is not IdKind.JOB and identifier.startswith(JOB_PREFIX):
        raise invalid_id(kind, identifier, "it is a fine-tuning job")
    return identifier
