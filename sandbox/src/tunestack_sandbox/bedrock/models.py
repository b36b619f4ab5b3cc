"""Custom models: get, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.pages import page
from tunestack_sandbox.bedrock.state import Model, Region, found, without_none
from tunestack_sandbox.bedrock.training import configuration
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel

Params = dict[str, Any]


def get_model(region: Region, params: Params) -> Params:
    """GetCustomModel."""
    model = found(region.models, params["modelIdentifier"], "model")
    job = model.job
    return without_none(
        {
            "modelArn": model.arn,
            "modelName": model.name,
            "modelKmsKeyArn": job.key,
            "jobName": job.name,
            "jobArn": job.arn,
            "baseModelArn": job.source,
            "customizationType": "FINE_TUNING",
            "trainingMetrics": {"trainingLoss": job.training_loss},
            "validationMetrics": [{"validationLoss": loss} for loss in job.validation_losses],
            "creationTime": model.created,
            "modelStatus": "Active",
            **configuration(job),
        }
    )


def list_models(region: Region, params: Params) -> Params:
    """ListCustomModels."""

    def row(model: Model) -> Params:
        return {
            "modelArn": model.arn,
            "modelName": model.name,
            "creationTime": model.created,
            "baseModelArn": model.job.source,
            "baseModelName": _name(model.job.base),
            "customizationType": "FINE_TUNING",
            "ownerAccountId": region.account,
            "modelStatus": "Active",
        }

    wanted = (
        model
        for model in region.models.values()
        if params.get("nameContains", "") in model.name
        and params.get("baseModelArnEquals", model.job.source) == model.job.source
        and params.get("foundationModelArnEquals", foundation := region.base_arn(model.job.base))
        == foundation
        and params.get("modelStatus", "Active") == "Active"
        and params.get("isOwned", True)
    )
    return page(wanted, params, name="modelSummaries", row=row)


def _name(base: BaseModel) -> str:
    return base.customization_id.partition(":")[0]


def delete_model(region: Region, params: Params) -> Params:
    """DeleteCustomModel."""
    model = found(region.models, params["modelIdentifier"], "model")
    endpoints = (*region.deployments.values(), *region.throughputs.values())
    if any(model in (endpoint.model, endpoint.next) for endpoint in endpoints):
        raise Fault("ConflictException", f"The model {model.name} is in use by an endpoint.")
    del region.models[model.arn]
    region.tags.pop(model.arn, None)
    return {}
