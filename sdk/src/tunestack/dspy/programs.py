"""Functions for programs and LMs that were loaded: set their providers, and stop their endpoints."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import dspy

from tunestack import catalog
from tunestack.dspy.bedrock_provider import BedrockProvider
from tunestack.dspy.lm_state import LMState, set_region_and_price
from tunestack.dspy.openai_provider import OpenAIProvider
from tunestack.endpoints.start import try_all

if TYPE_CHECKING:
    from dspy.clients.provider import Provider

    from tunestack.tuner import Tuner

logger = logging.getLogger(__name__)

Attached = TypeVar("Attached", dspy.LM, dspy.Module)


def attach(
    target: Attached, provider: Provider | None = None, *, tuner: Tuner | None = None
) -> Attached:
    """Set the provider of an LM, or of each LM of a program, which DSPy does not save. Needed to fine-tune or launch it.

    ```python
    program.load("program.json")
    attach(program)
    program.lm.launch()  # deploys the fine-tuned model again if its deployment was deleted
    ```

    Logs a warning if DSPy is configured with a different adapter than the one that wrote the training data.

    Args:
        target: an LM or a program, as loaded.
        provider: the provider of all LMs. If not given, it is chosen by the name of the model, and LMs of other providers than
            Bedrock and OpenAI are left unchanged.
        tuner: the tuner of the providers that are created here.

    Returns:
        `target`.
    """
    created: dict[type[Provider], Provider] = {}
    for lm in _lms_of(target):
        provider_class = _provider_class_of(lm)
        if provider is None and provider_class is None:
            continue
        if provider is None and provider_class is not None and provider_class not in created:
            created[provider_class] = provider_class(tuner)
        lm.provider = provider or created[provider_class]
        if isinstance(lm.provider, OpenAIProvider):
            lm.kwargs.update(lm.provider.lm_settings)
        state = LMState.of(lm)
        if state is not None:
            # An earlier version may have saved the LM without them.
            set_region_and_price(lm, state.model, catalog.find(state.base))
            _warn_about_adapter(lm, state)
    return target


def stop(target: dspy.LM | dspy.Module) -> None:
    """Stop all endpoints of a fine-tuned LM, or of the LMs of a program, including on-demand deployments.

    LMs without endpoints are left unchanged.
    """
    lms = [lm for lm in _lms_of(target) if isinstance(lm.provider, BedrockProvider)]
    try_all(partial(lm.provider.stop, lm) for lm in lms)


def _lms_of(target: Any) -> list[Any]:
    if isinstance(target, dspy.LM):
        return [target]
    lms = [predictor.lm for predictor in target.predictors()]
    return [lm for lm in lms if isinstance(lm, dspy.LM)]


def _provider_class_of(lm: dspy.LM) -> Any:
    for provider_class in (BedrockProvider, OpenAIProvider):
        if provider_class.is_provider_model(lm.model):
            return provider_class
    return None


def _warn_about_adapter(lm: dspy.LM, state: LMState) -> None:
    configured = type(dspy.settings.adapter or dspy.ChatAdapter()).__name__
    if state.adapter and state.adapter != configured:
        logger.warning(
            "the training data of %s was written by %s, but DSPy is configured with %s: "
            "call dspy.configure(adapter=dspy.%s())",
            lm.model,
            state.adapter,
            configured,
            state.adapter,
        )
