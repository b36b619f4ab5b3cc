"""Find a base model by any of its names, or say what can be tuned in its place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

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

_CUSTOM_MODEL = re.compile(r"arn:[^/]+:custom-model/([^/]+)/[^/]+")


def find(name: str) -> BaseModel | None:
    """Return the base model that a name means, or `None`.

    Takes a catalog key, a customization id, an inference id, or the ARN of a foundation model or inference profile, each
    also with what litellm and DSPy put before it (`bedrock/`, `bedrock/converse/`, `bedrock/us-west-2/`, `openai/`) and
    with the geography of cross-region inference (`us.`); and OpenAI's name of a fine-tuned model, `ft:<base>:...`.
    """
    identifier = parse_name(name).identifier
    for model in CATALOG:
        if identifier in {parse_name(known).identifier for known in model.names()}:
            return model
    return None


def of_custom_model(arn: str) -> BaseModel:
    """Find the base model that the ARN of a tuned model on Bedrock names.

    Raises:
        ModelError: the ARN names none of the catalog.
    """
    match = _CUSTOM_MODEL.fullmatch(arn)
    for model in CATALOG:
        if match and model.customization_id == match[1]:
            return model
    raise ModelError(
        f"{shortened(arn)} is not the ARN of a tuned model of the catalog: "
        "expected arn:aws:bedrock:<region>:<account>:custom-model/<base model>/<id>"
    )


def unknown(name: str) -> BaseModel:
    """Describe a model of a server that speaks OpenAI's API, of which nothing is known but what the API says of all."""
    known = CATALOG["gpt-4o-mini-2024-07-18"]
    source = "OpenAI's API, of whoever serves it"
    return replace(
        known,
        key=re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-") or "model",
        name=name,
        vendor="unknown",
        family="unknown",
        customization_id=name,
        aliases=(),
        takes=tuple(Content),
        hyperparameters=CATALOG["gpt-4.1-2025-04-14"].hyperparameters,
        other_formats=(RecordFormat.OPENAI_PREFERENCE,),
        lifecycle=Lifecycle(confidence=Confidence.LOW, source=source),
        limits=Limits(confidence=Confidence.LOW, source=source),
        prices={},
        source=source,
    )


def tunable(*, on: date, provider: str | None = None, region: str | None = None) -> list[BaseModel]:
    """List the models that Tunestack can tune on a day, optionally by one provider or in one region."""
    return [
        model
        for model in CATALOG
        if model.lifecycle.state(on) is LifecycleState.ACTIVE
        and model.unsupported is None
        and provider in (None, model.provider)
        and (region is None or region in model.regions or not model.regions)
    ]


def require(name: str, *, on: date, provider: str, region: str | None = None) -> BaseModel:
    """Find the base model of a name, in a region where it can be tuned.

    Whether it still lives is for `require_living` to say, once the service was asked.

    Args:
        name: anything that `find` takes.
        on: the day that counts.
        provider: `bedrock` or `openai`.
        region: where it is to be tuned; not looked at when not given.

    Raises:
        ModelError: it can't be tuned there; says why, and names what can be tuned instead.
    """
    model = find(name)
    if model is None:
        raise ModelError(
            f"{shortened(name)} can't be fine-tuned: {instead(on=on, provider=provider)}"
        )
    if model.provider != provider or model.unsupported:
        why = model.unsupported or f"on {model.provider}, which is not what this is for"
        raise ModelError(
            f"{model.name} can't be fine-tuned here, but {why}: {instead(on=on, provider=provider)}"
        )
    if region is not None and model.regions and region not in model.regions:
        require_living(model, on=on, said=None)
        is_in_name = parse_name(name).region == region
        where = f"{region} (the region in {shortened(name)})" if is_in_name else region
        variable = "" if is_in_name else f" (AWS_REGION={model.regions[0]})"
        raise ModelError(
            f"{model.name} can't be fine-tuned in {where}, but in {' and '.join(model.regions)}: "
            f'set region="{model.regions[0]}"{variable}; '
            f"{instead(on=on, provider=provider, region=region)}"
        )
    return model


def require_living(model: BaseModel, *, on: date, said: LifecycleState | None) -> None:
    """Refuse a model that takes no new jobs.

    Args:
        model: the base model.
        on: the day that counts.
        said: what the service said of it, which decides; `None` when it could not be asked, then the catalog's dates do.

    Raises:
        ModelError: it takes none; says since when, and names what can be tuned instead.
    """
    dated = model.lifecycle.state(on)
    state = said or dated
    if state is LifecycleState.ACTIVE:
        return
    if state is not dated:
        word = "takes no new jobs" if state is LifecycleState.LEGACY else "is not offered here"
        why = f"{model.name} {word} any more, says the service"
    elif state is LifecycleState.LEGACY:
        end = model.lifecycle.end_of_life
        why = f"{model.name} takes no new jobs since {model.lifecycle.legacy}" + (
            f", and ends on {end}" if end else ""
        )
    elif model.lifecycle.end_of_life is not None:
        why = (
            f"{model.name} can't be fine-tuned any more, "
            f"it was retired on {model.lifecycle.end_of_life}"
        )
    else:
        why = f"{model.name} can't be fine-tuned any more, it was gone by {model.lifecycle.gone_by}"
    raise ModelError(f"{why}: {instead(on=on, provider=model.provider)}")


def require_allowed(model: BaseModel, allowed: Collection[str]) -> None:
    """Refuse a model that the stage does not allow.

    Args:
        model: the base model.
        allowed: catalog keys; every model when empty.

    Raises:
        ModelError: the stage does not allow it; names those that it does.
    """
    if allowed and model.key not in allowed:
        raise ModelError(
            f"this stage does not allow {model.name} ({model.key}): use {', '.join(allowed)}, "
            "or add it to the stage's base_models and run `cdk deploy`"
        )


def instead(*, on: date, provider: str, region: str | None = None) -> str:
    """Say what can be tuned in place of a model that can't, region by region."""
    places: dict[str, list[str]] = {}
    for model in tunable(on=on, provider=provider, region=region):
        places.setdefault(" or ".join(model.regions), []).append(model.key)
    if not places:
        return f"nothing can be fine-tuned{f' in {region}' if region else ''} on {provider} today"
    return f"what can be fine-tuned{f' in {region}' if region else ''} today is " + "; ".join(
        ", ".join(keys) + (f" (in {place})" if place and not region else "")
        for place, keys in places.items()
    )
