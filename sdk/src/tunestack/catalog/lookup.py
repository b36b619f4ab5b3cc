"""Find a base model by any of its names, and check that it can be fine-tuned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog.load import CATALOG
from tunestack.catalog.model import (
    BaseModel,
    Confidence,
    Content,
    Lifecycle,
    LifecycleState,
    Limits,
    RecordFormat,
)
from tunestack.catalog.names import parse_name
from tunestack.errors import ModelError, shortened

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

_SIMILAR = 0.82
"""The least similarity of a name that is suggested; gpt-4 and gpt-9 have 0.8."""
_CUSTOM_MODEL_ARN = re.compile(r"arn:[^/]+:custom-model/([^/]+)/[^/]+")


def find(name: str) -> BaseModel | None:
    """Return the base model with a name, or `None`.

    Accepts a catalog key, a customization id, an inference id, the ARN of a foundation model or inference profile, and
    OpenAI's name of a fine-tuned model (`ft:<base model>:...`). The prefixes of litellm and DSPy (`bedrock/`,
    `bedrock/converse/`, `bedrock/us-west-2/`, `openai/`) and the geography of cross-region inference (`us.`) are ignored.
    """
    identifier = parse_name(name).identifier
    for model in CATALOG:
        if identifier in {parse_name(known).identifier for known in model.names()}:
            return model
    return None


def get(name: str) -> BaseModel:
    """Return the base model with a name that `find` accepts.

    Raises:
        ModelError: it is not in the catalog; the message has a similar name.
    """
    model = find(name)
    if model is None:
        raise ModelError(
            f"unknown model {shortened(name)}: {_suggestion(name)}see `tunestack models list --all`"
        )
    return model


def _suggestion(name: str) -> str:
    """Return a question with the catalog key of a similar name, if there is one."""
    from difflib import get_close_matches  # noqa: PLC0415 - for messages only

    keys = {parse_name(known).identifier: model.key for model in CATALOG for known in model.names()}
    near = get_close_matches(parse_name(name).identifier.lower(), keys, n=1, cutoff=_SIMILAR)
    return f"did you mean {keys[near[0]]!r}? " if near else ""


def of_custom_model(arn: str) -> BaseModel:
    """Return the base model of a custom model on Bedrock, which is part of its ARN.

    Raises:
        ModelError: the ARN is invalid, or its base model is not in the catalog.
    """
    match = _CUSTOM_MODEL_ARN.fullmatch(arn)
    for model in CATALOG:
        if match and model.customization_id == match[1]:
            return model
    raise ModelError(
        f"{shortened(arn)} is not the ARN of a custom model with a base model of the catalog: "
        "expected arn:aws:bedrock:<region>:<account>:custom-model/<base model>/<id>"
    )


def unknown(name: str) -> BaseModel:
    """Return a description of a model on an OpenAI-compatible server that is not in the catalog.

    It has the limits and hyperparameters that OpenAI's API documents for all models, with low confidence.
    """
    template = CATALOG["gpt-4o-mini-2024-07-18"]
    source = "OpenAI's API, on an OpenAI-compatible server"
    return msgspec.structs.replace(
        template,
        key=re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-") or "model",
        name=name,
        publisher="unknown",
        family="unknown",
        customization_id=name,
        aliases=(),
        supports=tuple(Content),
        hyperparameters=CATALOG["gpt-4.1-2025-04-14"].hyperparameters,
        other_formats=(RecordFormat.PREFERENCE,),
        lifecycle=Lifecycle(confidence=Confidence.LOW, source=source),
        limits=Limits(confidence=Confidence.LOW, source=source),
        prices={},
        source=source,
    )


def tunable(*, on: date, provider: str | None = None, region: str | None = None) -> list[BaseModel]:
    """Return the models that Tunestack can fine-tune on a date, optionally of one provider or in one region."""
    return [
        model
        for model in CATALOG
        if model.lifecycle.state(on) is LifecycleState.ACTIVE
        and model.unsupported is None
        and provider in (None, model.provider)
        and (region is None or region in model.regions or not model.regions)
    ]


def require(name: str, *, on: date, provider: str, region: str | None = None) -> BaseModel:
    """Return the base model with a name, and check that it can be fine-tuned in a region.

    `require_living` checks the lifecycle, once the service was asked for it.

    Args:
        name: any name that `find` accepts.
        on: the date for the lifecycle of the models.
        provider: `bedrock` or `openai`.
        region: the region of the job; not checked if `None`.

    Raises:
        ModelError: the model can't be fine-tuned there. The message has the reason and the models that can be.
    """
    model = find(name)
    if model is None:
        raise ModelError(
            f"unknown model {shortened(name)}: {_suggestion(name)}{_describe_alternatives(on=on, provider=provider)}"
        )
    if model.provider != provider:
        reason = f"can't be fine-tuned on {provider}, only on {model.provider}"
        raise ModelError(
            f"{model.name} {reason}; {_describe_alternatives(on=on, provider=provider)}"
        )
    if model.unsupported:
        reason = f"can't be fine-tuned with Tunestack: {model.unsupported}"
        raise ModelError(
            f"{model.name} {reason}; {_describe_alternatives(on=on, provider=provider)}"
        )
    if region is not None and model.regions and region not in model.regions:
        require_living(model, on=on, service_state=None)
        is_in_name = parse_name(name).region == region
        where = f"{region} (the region in {shortened(name)})" if is_in_name else region
        first = model.regions[0]
        variable = "" if is_in_name else f" (--region {first}, AWS_REGION={first})"
        raise ModelError(
            f"{model.name} can't be fine-tuned in {where}, only in {' and '.join(model.regions)}: "
            f'set region="{model.regions[0]}"{variable}; '
            f"{_describe_alternatives(on=on, provider=provider, region=region)}"
        )
    return model


def require_living(model: BaseModel, *, on: date, service_state: LifecycleState | None) -> None:
    """Check that a model accepts new jobs.

    Args:
        model: the base model.
        on: the date for the lifecycle of the models.
        service_state: the state that the service reports, which decides. If it is `None`, since the service can't be
            asked, the dates of the catalog decide.

    Raises:
        ModelError: the model accepts no new jobs. The message has the date and the models that can be fine-tuned.
    """
    dated_state = model.lifecycle.state(on)
    state = service_state or dated_state
    if state is LifecycleState.ACTIVE:
        return
    if state is not dated_state:
        reason = _describe_service_state(state)
    elif state is LifecycleState.LEGACY:
        end = model.lifecycle.end_of_life
        reason = f"has not accepted new jobs since {model.lifecycle.legacy}" + (
            f", and its end of life is {end}" if end else ""
        )
    elif model.lifecycle.end_of_life is not None:
        reason = f"can't be fine-tuned any more: it was retired on {model.lifecycle.end_of_life}"
    else:
        reason = f"can't be fine-tuned any more: it was retired by {model.lifecycle.gone_by}"
    alternatives = _describe_alternatives(on=on, provider=model.provider)
    raise ModelError(f"{model.name} {reason}; {alternatives}")


def require_allowed(model: BaseModel, allowed: Collection[str]) -> None:
    """Check that the stage allows a model.

    Args:
        model: the base model.
        allowed: the catalog keys that are allowed; all if empty.

    Raises:
        ModelError: the stage does not allow the model. The message has the models that it allows.
    """
    if allowed and model.key not in allowed:
        raise ModelError(
            f"this stage does not allow {model.name} ({model.key}): use {', '.join(allowed)}, "
            "or add it to the stage's base_models and run `cdk deploy`"
        )


def _describe_service_state(state: LifecycleState) -> str:
    if state is LifecycleState.LEGACY:
        return "accepts no new jobs, according to the service"
    return "is not available here, according to the service"


def _describe_alternatives(*, on: date, provider: str, region: str | None = None) -> str:
    """Return a text that lists the models that can be fine-tuned, by region."""
    keys_by_region: dict[str, list[str]] = {}
    for model in tunable(on=on, provider=provider, region=region):
        keys_by_region.setdefault(" or ".join(model.regions), []).append(model.key)
    where = f" in {region}" if region else ""
    if not keys_by_region:
        return f"no model of {provider} can be fine-tuned{where} today"
    return f"models that can be fine-tuned{where} today: " + "; ".join(
        ", ".join(keys) + (f" (in {regions})" if regions and not region else "")
        for regions, keys in keys_by_region.items()
    )
