"""Programs and LMs as they are loaded: give them what DSPy does not save, and stop what serves them."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import dspy

from tunestack import catalog
from tunestack.dspy.kept import Kept, adapt
from tunestack.dspy.providers import BedrockProvider, OpenAIProvider
from tunestack.endpoints.start import try_all

if TYPE_CHECKING:
    from dspy.clients.provider import Provider

    from tunestack.tuner import Tuner

logger = logging.getLogger(__name__)

Attached = TypeVar("Attached", dspy.LM, dspy.Module)


def attach(
    target: Attached, provider: Provider | None = None, *, tuner: Tuner | None = None
) -> Attached:
    """Give an LM, or each LM of a program, the provider that DSPy does not save, so that it can be tuned and launched again.

    A tuned model that is served on demand, and was deployed no more, is deployed again by `lm.launch()`.
    Logs a warning where DSPy is configured with another adapter than the one that wrote what a model was tuned with.

    Args:
        target: an LM, or a program, as loaded.
        provider: for all of them; if not given, by the model's name, those of neither vendor are left alone.
        tuner: for the providers that are made here.

    Returns:
        The same.
    """
    made: dict[type[Provider], Provider] = {}
    for lm in _lms(target):
        kind = _kind(lm)
        if provider is None and kind is None:
            continue
        if provider is None and kind is not None and kind not in made:
            made[kind] = kind(tuner)
        lm.provider = provider or made[kind]
        if isinstance(lm.provider, OpenAIProvider):
            lm.kwargs.update(lm.provider.asked_by)
        found = Kept.of(lm)
        if found is not None:  # also what an earlier version saved
            adapt(lm, found.model, catalog.find(found.base))
        _warn_of_adapter(lm)
    return target


def stop(target: dspy.LM | dspy.Module) -> None:
    """Stop every endpoint of a tuned LM, or of those of a program, also what costs nothing while idle; fine without any."""
    served = [lm for lm in _lms(target) if isinstance(lm.provider, BedrockProvider)]
    try_all(partial(lm.provider.stop, lm) for lm in served)


def _lms(target: Any) -> list[Any]:
    found = [target] if isinstance(target, dspy.LM) else [one.lm for one in target.predictors()]
    return [lm for lm in found if isinstance(lm, dspy.LM)]


def _kind(lm: object) -> Any:
    if isinstance(lm, dspy.LM):
        for kind in (BedrockProvider, OpenAIProvider):
            if kind.is_provider_model(lm.model):
                return kind
    return None


def _warn_of_adapter(lm: dspy.LM) -> None:
    found = Kept.of(lm)
    now = type(dspy.settings.adapter or dspy.ChatAdapter()).__name__
    if found is not None and found.adapter and found.adapter != now:
        logger.warning(
            "%s was tuned with what %s wrote, and DSPy is configured with %s: "
            "dspy.configure(adapter=dspy.%s())",
            lm.model,
            found.adapter,
            now,
            found.adapter,
        )
