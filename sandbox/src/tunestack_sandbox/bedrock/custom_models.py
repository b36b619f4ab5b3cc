"""Operations on custom models: get, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.metering import list_storage
from tunestack_sandbox.bedrock.pagination import build_page
from tunestack_sandbox.bedrock.state import Model, Region, drop_none, require
from tunestack_sandbox.bedrock.training import build_configuration
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel

Params = dict[str, Any]


def get_model(region: Region, params: Params) -> Params:
    """Handle GetCustomModel."""
    model = require(region.models, params["modelIdentifier"], "model")
    job = model.job
    return drop_none(
        {
            "modelArn": model.arn,
            "modelName": model.name,
            "modelKmsKeyArn": job.kms_key,
            "jobName": job.name,
            "jobArn": job.arn,
            "baseModelArn": job.source,
            "customizationType": "FINE_TUNING",
            "trainingMetrics": {"trainingLoss": job.training_loss},
            "validationMetrics": [{"validationLoss": loss} for loss in job.validation_losses],
            "creationTime": model.created,
            "modelStatus": "Active",
            **build_configuration(job),
        }
    )


def list_models(region: Region, params: Params) -> Params:
    """Handle ListCustomModels."""

    def build_row(model: Model) -> Params:
        return {
            "modelArn": model.arn,
            "modelName": model.name,
            "creationTime": model.created,
            "baseModelArn": model.job.source,
            "baseModelName": _base_model_name(model.job.base),
            "customizationType": "FINE_TUNING",
            "ownerAccountId": region.account,
            "modelStatus": "Active",
        }

    models = (
        model
        for model in region.models.values()
        if params.get("nameContains", "") in model.name
        and params.get("baseModelArnEquals", model.job.source) == model.job.source
        and params.get(
            "foundationModelArnEquals", foundation := region.base_model_arn(model.job.base)
        )
        == foundation
        and params.get("modelStatus", "Active") == "Active"
        and params.get("isOwned", True)
    )
    return build_page(models, params, name="modelSummaries", build_row=build_row)


def _base_model_name(base: BaseModel) -> str:
    return base.customization_id.partition(":")[0]


def delete_model(region: Region, params: Params) -> Params:
    """Handle DeleteCustomModel."""
    model = require(region.models, params["modelIdentifier"], "model")
    endpoints = (*region.deployments.values(), *region.throughputs.values())
    if any(model in (endpoint.model, endpoint.next_model) for endpoint in endpoints):
        raise ServiceError("ConflictException", f"The model {model.name} is in use by an endpoint.")
    region.past_usage += list_storage(region, model)
    del region.models[model.arn]
    region.tags.pop(model.arn, None)
    return {}
