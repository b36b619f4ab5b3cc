"""The base models that Bedrock offers on the sandbox's day, and the account's access to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState, RecordFormat, Serving, find_inference
from tunestack_sandbox.bedrock.state import find, without_none
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.bedrock.state import Region

Params = dict[str, Any]

# botocore's model allows 20 characters, which some of Bedrock's own names exceed.
_NAME_LENGTH = 20

INVALID = "The provided model identifier is invalid."
GONE = (
    "This model version has reached the end of its life. "
    "Please refer to the AWS documentation for more details."
)
LEGACY = (
    "Access denied. This Model is marked by provider as Legacy and you have not been actively "
    "using the model in the last 30 days. Please upgrade to an active model on Amazon Bedrock"
)


def state_of(region: Region, base: BaseModel) -> LifecycleState:
    """Tell where a base model stands on the sandbox's day."""
    return base.lifecycle.state(region.clock.now().date())


def require_new(region: Region, base: BaseModel) -> None:
    """Refuse to begin something new with a base model that is legacy or gone.

    Raises:
        Fault: it is; AWS's words for it at invocation, as those for new jobs and throughput are not known.
    """
    require_not_gone(region, base)
    if state_of(region, base) is LifecycleState.LEGACY:
        raise Fault("ResourceNotFoundException", LEGACY)


def require_not_gone(region: Region, base: BaseModel) -> None:
    """Refuse what needs a base model that is gone."""
    if state_of(region, base) is LifecycleState.RETIRED:
        raise Fault("ResourceNotFoundException", GONE)


def to_tune(region: Region, identifier: str) -> tuple[BaseModel, str]:
    """Find the base model to tune, and the ARN of what is tuned: an earlier custom model is tuned further.

    Raises:
        Fault: there is none, or it takes no new jobs.
    """
    model = find(region.models, identifier)
    if model is not None:
        require_new(region, model.job.base)
        return model.job.base, model.arn
    if ":custom-model/" in identifier:
        raise Fault("ResourceNotFoundException", f"Could not find model {identifier}")
    _require_own_region(region, identifier)
    wanted = identifier.rsplit("/", 1)[-1]
    for base in CATALOG:
        if (
            base.provider == "bedrock"
            and base.customization_id == wanted
            and region.name in base.regions
        ):
            require_new(region, base)
            return base, region.base_arn(base)
    raise Fault("ValidationException", INVALID)


def _require_own_region(region: Region, identifier: str) -> None:
    if identifier.startswith("arn:") and identifier.split(":")[3] != region.name:
        raise Fault("ValidationException", "The provided ARN is invalid for the service region")


def get_foundation_model(region: Region, params: Params) -> Params:
    """GetFoundationModel."""
    return {"modelDetails": _details(region, *_offered_as(region, params["modelIdentifier"]))}


def list_foundation_models(region: Region, params: Params) -> Params:
    """ListFoundationModels."""
    rows = [_details(region, base, name) for base, name in _offered(region)]
    for wanted, member in (
        ("byCustomizationType", "customizationsSupported"),
        ("byOutputModality", "outputModalities"),
        ("byInferenceType", "inferenceTypesSupported"),
    ):
        rows = [row for row in rows if wanted not in params or params[wanted] in row[member]]
    vendor = params.get("byProvider", "").lower()
    return {"modelSummaries": [row for row in rows if vendor in ("", row["providerName"].lower())]}


def get_availability(region: Region, params: Params) -> Params:
    """GetFoundationModelAvailability: since 2026 every model is enabled; Anthropic's ask for a use case first."""
    base, _ = _offered_as(region, params["modelId"])
    asked = base.vendor != "anthropic" or region.use_case is not None
    return {
        "modelId": params["modelId"],
        "agreementAvailability": {"status": "AVAILABLE"},
        "authorizationStatus": "AUTHORIZED" if asked else "NOT_AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }


def put_use_case(region: Region, params: Params) -> Params:
    """PutUseCaseForModelAccess."""
    region.use_case = params["formData"]
    return {}


def get_use_case(region: Region, _: Params) -> Params:
    """GetUseCaseForModelAccess."""
    if region.use_case is None:
        raise Fault("ResourceNotFoundException", "No use case was submitted.")
    return {"formData": region.use_case}


def _offered(region: Region) -> Iterator[tuple[BaseModel, str]]:
    """List the base models, each by the id that jobs are created with and by those that it is called with."""
    for base in CATALOG:
        if (
            base.provider == "bedrock"
            and region.name in base.regions
            and state_of(region, base) is not LifecycleState.RETIRED
        ):
            # With a geography it is an inference profile, which is not a model.
            plain = (name for name in base.inference_ids if name.startswith(f"{base.vendor}."))
            yield from ((base, name) for name in (base.customization_id, *plain))


def _offered_as(region: Region, identifier: str) -> tuple[BaseModel, str]:
    _require_own_region(region, identifier)
    wanted = identifier.rsplit("/", 1)[-1]
    for base, name in _offered(region):
        if wanted == name:
            return base, name
    raise Fault("ResourceNotFoundException", f"Could not find the model {wanted}")


def _details(region: Region, base: BaseModel, name: str) -> Params:
    active = state_of(region, base) is LifecycleState.ACTIVE
    tuned = name == base.customization_id
    image = base.record_format is RecordFormat.IMAGE_CAPTION
    made = "EMBEDDING" if "embed" in name else "IMAGE"
    served = ["PROVISIONED"] if Serving.PROVISIONED in base.serving else []
    return {
        "modelArn": region.base_arn(base).replace(base.customization_id, name),
        "modelId": name,
        "modelName": base.name[:_NAME_LENGTH],
        "providerName": base.vendor.title(),
        "inputModalities": ["TEXT", "IMAGE"] if image else ["TEXT"],
        "outputModalities": [made] if image else ["TEXT"],
        "responseStreamingSupported": not image,
        "customizationsSupported": ["FINE_TUNING"] if tuned else [],
        "inferenceTypesSupported": served if tuned else _on_demand(region, base),
        "modelLifecycle": without_none(
            {
                "status": "ACTIVE" if active else "LEGACY",
                "legacyTime": _midnight(base.lifecycle.legacy),
                "endOfLifeTime": _midnight(base.lifecycle.end_of_life),
            }
        ),
    }


def _on_demand(region: Region, base: BaseModel) -> list[str]:
    """Return how a base model is invoked; AWS also writes INFERENCE_PROFILE, which botocore's model does not have."""
    known = find_inference(base.key)
    return ["ON_DEMAND"] if known is None or region.name in known.on_demand else []


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
