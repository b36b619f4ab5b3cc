"""The base models that Bedrock offers on the sandbox's day, and tags on everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState, Serving
from tunestack.sandbox.bedrock.customization import base_arn
from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.catalog import BaseModel
    from tunestack.sandbox.bedrock.state import Region

Params = dict[str, Any]

# botocore's model allows 20 characters, which some of Bedrock's own names exceed.
_NAME_LENGTH = 20


def get_foundation_model(region: Region, params: Params) -> Params:
    """GetFoundationModel."""
    wanted = params["modelIdentifier"].rsplit("/", 1)[-1]
    for base in _offered(region):
        if base.customization_id == wanted:
            return {"modelDetails": _details(region, base)}
    raise Fault("ResourceNotFoundException", f"Could not find the model {wanted}")


def list_foundation_models(region: Region, params: Params) -> Params:
    """ListFoundationModels."""
    rows = [_details(region, base) for base in _offered(region)]
    for wanted, member in (
        ("byCustomizationType", "customizationsSupported"),
        ("byOutputModality", "outputModalities"),
        ("byInferenceType", "inferenceTypesSupported"),
    ):
        rows = [row for row in rows if wanted not in params or params[wanted] in row[member]]
    vendor = params.get("byProvider", "").lower()
    return {"modelSummaries": [row for row in rows if vendor in ("", row["providerName"].lower())]}


def _offered(region: Region) -> Iterator[BaseModel]:
    today = region.clock.now().date()
    for base in CATALOG:
        if (
            base.provider == "bedrock"
            and region.name in base.regions
            and base.lifecycle.state(today) is not LifecycleState.RETIRED
        ):
            yield base


def _details(region: Region, base: BaseModel) -> Params:
    state = base.lifecycle.state(region.clock.now().date())
    return {
        "modelArn": base_arn(region, base),
        "modelId": base.customization_id,
        "modelName": base.name[:_NAME_LENGTH],
        "providerName": base.vendor.title(),
        "inputModalities": ["TEXT"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": ["FINE_TUNING"],
        "inferenceTypesSupported": ["PROVISIONED"] if Serving.PROVISIONED in base.serving else [],
        "modelLifecycle": {"status": "ACTIVE" if state is LifecycleState.ACTIVE else "LEGACY"},
    }


def tag_resource(region: Region, params: Params) -> Params:
    """TagResource."""
    _require_tagged(region, params)
    region.tag(params["resourceARN"], params["tags"])
    return {}


def untag_resource(region: Region, params: Params) -> Params:
    """UntagResource."""
    tags = _require_tagged(region, params)
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(region: Region, params: Params) -> Params:
    """ListTagsForResource."""
    tags = _require_tagged(region, params)
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _require_tagged(region: Region, params: Params) -> dict[str, str]:
    arn = params["resourceARN"]
    tables = (region.jobs, region.models, region.deployments, region.throughputs)
    if not any(arn in table for table in tables):
        raise Fault("ResourceNotFoundException", f"Could not find resource {arn}")
    return region.tags.setdefault(arn, {})
