"""The base models that Bedrock offers on the sandbox's date, and the account's access to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState, RecordFormat, Serving, find_inference
from tunestack_sandbox.bedrock.state import drop_none, find
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.bedrock.state import Region

Params = dict[str, Any]

# botocore's service model allows 20 characters; some of Bedrock's names are longer.
_MAX_NAME_LENGTH = 20

INVALID_MODEL = "The provided model identifier is invalid."
_RETIRED = (
    "This model version has reached the end of its life. "
    "Please refer to the AWS documentation for more details."
)
_LEGACY = (
    "Access denied. This Model is marked by provider as Legacy and you have not been actively "
    "using the model in the last 30 days. Please upgrade to an active model on Amazon Bedrock"
)


def lifecycle_state(region: Region, base: BaseModel) -> LifecycleState:
    """Return the lifecycle state of a base model on the sandbox's date."""
    return base.lifecycle.state(region.clock.now().date())


def require_active(region: Region, base: BaseModel) -> None:
    """Check that a new job or endpoint can use a base model.

    Raises:
        ServiceError: The model is legacy or retired. The message is AWS's for invocations, as those for new jobs and
            throughput are unknown.
    """
    require_not_retired(region, base)
    if lifecycle_state(region, base) is LifecycleState.LEGACY:
        raise ServiceError("ResourceNotFoundException", _LEGACY)


def require_not_retired(region: Region, base: BaseModel) -> None:
    """Raise ServiceError if a base model is retired."""
    if lifecycle_state(region, base) is LifecycleState.RETIRED:
        raise ServiceError("ResourceNotFoundException", _RETIRED)


def find_base_model(region: Region, identifier: str) -> tuple[BaseModel, str]:
    """Return the base model of a new job, and the ARN of the model to fine-tune: the base model or a custom model.

    Raises:
        ServiceError: The model does not exist, or can't have new jobs.
    """
    model = find(region.models, identifier)
    if model is not None:
        require_active(region, model.job.base)
        return model.job.base, model.arn
    if ":custom-model/" in identifier:
        raise ServiceError("ResourceNotFoundException", f"Could not find model {identifier}")
    _require_same_region(region, identifier)
    model_id = identifier.rsplit("/", 1)[-1]
    for base in CATALOG:
        if (
            base.provider == "bedrock"
            and base.customization_id == model_id
            and region.name in base.regions
        ):
            require_active(region, base)
            return base, region.base_model_arn(base)
    raise ServiceError("ValidationException", INVALID_MODEL)


def _require_same_region(region: Region, identifier: str) -> None:
    if identifier.startswith("arn:") and identifier.split(":")[3] != region.name:
        raise ServiceError(
            "ValidationException", "The provided ARN is invalid for the service region"
        )


def get_foundation_model(region: Region, params: Params) -> Params:
    """Handle GetFoundationModel."""
    base, model_id = _find_offered(region, params["modelIdentifier"])
    return {"modelDetails": _build_details(region, base, model_id)}


def list_foundation_models(region: Region, params: Params) -> Params:
    """Handle ListFoundationModels."""
    rows = [_build_details(region, base, name) for base, name in _list_offered(region)]
    for param, member in (
        ("byCustomizationType", "customizationsSupported"),
        ("byOutputModality", "outputModalities"),
        ("byInferenceType", "inferenceTypesSupported"),
    ):
        rows = [row for row in rows if param not in params or params[param] in row[member]]
    name = params.get("byProvider", "").lower()
    return {"modelSummaries": [row for row in rows if name in ("", row["providerName"].lower())]}


def get_availability(region: Region, params: Params) -> Params:
    """Handle GetFoundationModelAvailability. Since 2026 every model is enabled; Anthropic's require a use case."""
    base, _ = _find_offered(region, params["modelId"])
    is_authorized = base.publisher != "anthropic" or region.use_case is not None
    return {
        "modelId": params["modelId"],
        "agreementAvailability": {"status": "AVAILABLE"},
        "authorizationStatus": "AUTHORIZED" if is_authorized else "NOT_AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }


def put_use_case(region: Region, params: Params) -> Params:
    """Handle PutUseCaseForModelAccess."""
    region.use_case = params["formData"]
    return {}


def get_use_case(region: Region, _: Params) -> Params:
    """Handle GetUseCaseForModelAccess."""
    if region.use_case is None:
        raise ServiceError("ResourceNotFoundException", "No use case was submitted.")
    return {"formData": region.use_case}


def _list_offered(region: Region) -> Iterator[tuple[BaseModel, str]]:
    """Yield the base models, each with its id for jobs and its ids for invocations."""
    for base in CATALOG:
        if (
            base.provider == "bedrock"
            and region.name in base.regions
            and lifecycle_state(region, base) is not LifecycleState.RETIRED
        ):
            # Ids with a geography are those of inference profiles, which are not models.
            model_ids = (
                name for name in base.inference_ids if name.startswith(f"{base.publisher}.")
            )
            yield from ((base, name) for name in (base.customization_id, *model_ids))


def _find_offered(region: Region, identifier: str) -> tuple[BaseModel, str]:
    _require_same_region(region, identifier)
    model_id = identifier.rsplit("/", 1)[-1]
    for base, name in _list_offered(region):
        if model_id == name:
            return base, name
    raise ServiceError("ResourceNotFoundException", f"Could not find the model {model_id}")


def _build_details(region: Region, base: BaseModel, name: str) -> Params:
    is_active = lifecycle_state(region, base) is LifecycleState.ACTIVE
    is_for_jobs = name == base.customization_id
    is_image_model = base.record_format is RecordFormat.IMAGE_CAPTION
    image_output = "EMBEDDING" if "embed" in name else "IMAGE"
    provisioned = ["PROVISIONED"] if Serving.PROVISIONED in base.serving else []
    return {
        "modelArn": region.base_model_arn(base).replace(base.customization_id, name),
        "modelId": name,
        "modelName": base.name[:_MAX_NAME_LENGTH],
        "providerName": base.publisher.title(),
        "inputModalities": ["TEXT", "IMAGE"] if is_image_model else ["TEXT"],
        "outputModalities": [image_output] if is_image_model else ["TEXT"],
        "responseStreamingSupported": not is_image_model,
        "customizationsSupported": ["FINE_TUNING"] if is_for_jobs else [],
        "inferenceTypesSupported": provisioned
        if is_for_jobs
        else _list_inference_types(region, base),
        "modelLifecycle": drop_none(
            {
                "status": "ACTIVE" if is_active else "LEGACY",
                "legacyTime": _convert_date(base.lifecycle.legacy),
                "endOfLifeTime": _convert_date(base.lifecycle.end_of_life),
            }
        ),
    }


def _list_inference_types(region: Region, base: BaseModel) -> list[str]:
    """Return the inference types. AWS also returns INFERENCE_PROFILE, which botocore's service model does not have."""
    inference = find_inference(base.key)
    return ["ON_DEMAND"] if inference is None or region.name in inference.on_demand else []


def _convert_date(date_: date | None) -> datetime | None:
    return None if date_ is None else datetime(date_.year, date_.month, date_.day, tzinfo=UTC)
