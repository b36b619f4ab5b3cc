"""Checks of a program that an optimizer is about to fine-tune."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import dspy
from dspy.teleprompt import bootstrap_finetune as upstream

from tunestack.errors import ConfigError


def require_lms(program: Any) -> None:
    """Raise an error if a predictor has no LM."""
    missing = [name for name, predictor in program.named_predictors() if predictor.lm is None]
    if missing:
        raise ConfigError(
            f"predictor {', '.join(map(repr, missing))} does not have an LM assigned: call program.set_lm(lm) first"
        )


def require_finetunable_lms(program: Any) -> None:
    """Raise an error if the provider of an LM does not support fine-tuning."""
    for name, predictor in program.named_predictors():
        provider = getattr(predictor.lm, "provider", None)
        if provider is not None and not provider.finetunable:
            raise ConfigError(
                f"the LM of predictor {name!r}, {predictor.lm.model}, has no provider that supports fine-tuning: "
                "create it with provider=BedrockProvider() or OpenAIProvider()"
            )


def data_format_of(adapter: Any) -> Any:
    """Return the format in which an adapter writes training data.

    Raises:
        ConfigError: the adapter does not support training data.
    """
    method = getattr(type(adapter), "format_finetune_data", None)
    with suppress(ValueError):
        if method not in (None, dspy.JSONAdapter.format_finetune_data):
            return upstream.infer_data_format(adapter)
    raise ConfigError(
        f"{type(adapter).__name__} does not support training data: use dspy.ChatAdapter or dspy.XMLAdapter"
    )
