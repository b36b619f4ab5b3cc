"""Operations on custom model deployments and provisioned throughput: create, get, list, update, delete."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tunestack.catalog import Serving
from tunestack_sandbox.bedrock.foundation_models import require_active, require_not_retired
from tunestack_sandbox.bedrock.metering import list_throughput
from tunestack_sandbox.bedrock.pagination import build_page
from tunestack_sandbox.bedrock.state import (
    Endpoint,
    Model,
    Region,
    check_tags,
    drop_none,
    require,
)
from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from datetime import datetime

Params = dict[str, Any]

# How long AWS takes: about 8 minutes (field reports), and 20 to 30 minutes (AWS's samples).
_DEPLOYMENT_SECONDS = 480
_THROUGHPUT_SECONDS = 1500
_FAILED = "The request failed due to an internal error. Try again."
# AWS does not define the months of a commitment: these are the shortest possible ones.
_COMMITMENTS = {"OneMonth": timedelta(days=30), "SixMonths": timedelta(days=180)}


def create_deployment(region: Region, params: Params) -> Params:
    """Handle CreateCustomModelDeployment."""

    def create() -> Params:
        model = _require_servable(region, params["modelArn"], Serving.ON_DEMAND)
        require_not_retired(region, model.job.base)
        quotas = region.settings.quotas
        deployments = region.deployments.values()
        region.require_quota(
            len(deployments),
            quotas.deployments,
            f"You have reached the limit of {quotas.deployments} custom model deployments.",
        )
        region.require_quota(
            sum(endpoint.status == "Creating" for endpoint in deployments),
            quotas.deployments_in_progress,
            f"You have reached the limit of {quotas.deployments_in_progress} "
            "custom model deployments in progress.",
        )
        endpoint = _add_endpoint(
            region,
            region.deployments,
            arn=region.new_arn("custom-model-deployment"),
            name=params["modelDeploymentName"],
            params=params,
            model=model,
        )
        _schedule_ready(region, endpoint, _DEPLOYMENT_SECONDS, "Active")
        return {"customModelDeploymentArn": endpoint.arn}

    return region.create_once("CreateCustomModelDeployment", params, create)


def create_throughput(region: Region, params: Params) -> Params:
    """Handle CreateProvisionedModelThroughput."""

    def create() -> Params:
        model = _require_servable(region, params["modelId"], Serving.PROVISIONED)
        require_active(region, model.job.base)
        if "commitmentDuration" not in params:
            used = sum(
                endpoint.params["modelUnits"]
                for endpoint in region.throughputs.values()
                if "commitmentDuration" not in endpoint.params
            )
            quotas = region.settings.quotas
            for before, quota in ((used, quotas.model_units), (0, quotas.model_units_per_model)):
                region.require_quota(
                    before + params["modelUnits"] - 1,
                    quota,
                    "Your account does not currently have any no commitment model units reserved "
                    f"for {model.job.base.customization_id}.",
                )
        endpoint = _add_endpoint(
            region,
            region.throughputs,
            arn=region.new_arn("provisioned-model"),
            name=params["provisionedModelName"],
            params=params,
            model=model,
        )
        _schedule_ready(region, endpoint, _THROUGHPUT_SECONDS, "InService")
        return {"provisionedModelArn": endpoint.arn}

    return region.create_once("CreateProvisionedModelThroughput", params, create)


def _require_servable(region: Region, identifier: str, serving: Serving) -> Model:
    model = require(region.models, identifier, "model")
    if serving not in model.job.base.serving:
        raise ServiceError(
            "ValidationException", f"{model.job.base.name} can't be served {serving.value}."
        )
    return model


def _add_endpoint(
    region: Region, table: dict[str, Endpoint], *, name: str, **fields: Any
) -> Endpoint:
    # Neither Create operation lists ConflictException.
    if any(endpoint.name == name for endpoint in table.values()):
        raise ServiceError("ValidationException", f"The name {name} is already in use.")
    tags = fields["params"].get("tags", ())
    check_tags(tags)
    now = region.clock.now()
    endpoint = Endpoint(name=name, status="Creating", created=now, modified=now, **fields)
    table[endpoint.arn] = endpoint
    region.add_tags(endpoint.arn, tags)
    return endpoint


def _schedule_ready(region: Region, endpoint: Endpoint, seconds: float, status: str) -> None:
    def finish(due: datetime) -> None:
        endpoint.modified = due
        if region.faults.trigger(FaultKind.ENDPOINT_FAILURE):
            endpoint.status, endpoint.failure = "Failed", _FAILED
        else:
            endpoint.status = status

    region.clock.after(endpoint.created, seconds, finish)


def get_deployment(region: Region, params: Params) -> Params:
    """Handle GetCustomModelDeployment."""
    endpoint = _require_deployment(region, params)
    return drop_none(
        _build_deployment(endpoint)
        | {
            "modelDeploymentName": endpoint.name,
            "description": endpoint.params.get("description"),
            "updateDetails": endpoint.update,
        }
    )


def list_deployments(region: Region, params: Params) -> Params:
    """Handle ListCustomModelDeployments."""

    def build_row(endpoint: Endpoint) -> Params:
        return drop_none(_build_deployment(endpoint) | {"customModelDeploymentName": endpoint.name})

    endpoints = (entry for entry in region.deployments.values() if _matches(entry, params))
    return build_page(endpoints, params, name="modelDeploymentSummaries", build_row=build_row)


def update_deployment(region: Region, params: Params) -> Params:
    """Handle UpdateCustomModelDeployment. The deployment serves the old model until the update completes."""
    endpoint = _require_deployment(region, params)
    model = _require_servable(region, params["modelArn"], Serving.ON_DEMAND)
    if endpoint.status != "Active" or endpoint.next_model is not None:
        raise ServiceError("ValidationException", "Custom model deployment is in a mutating state")
    _require_same_base_model(endpoint, model)
    now = region.clock.now()
    endpoint.next_model, endpoint.modified = model, now
    endpoint.update = {"modelArn": model.arn, "updateStatus": "Updating"}

    def finish(due: datetime) -> None:
        has_failed = region.faults.trigger(FaultKind.ENDPOINT_FAILURE)
        if not has_failed:
            endpoint.model = model
        status = "UpdateFailed" if has_failed else "UpdateCompleted"
        endpoint.update = {"modelArn": model.arn, "updateStatus": status}
        endpoint.next_model, endpoint.modified = None, due

    region.clock.after(now, _DEPLOYMENT_SECONDS, finish)
    return {"customModelDeploymentArn": endpoint.arn}


def delete_deployment(region: Region, params: Params) -> Params:
    """Handle DeleteCustomModelDeployment."""
    endpoint = _require_deployment(region, params)
    if endpoint.status == "Creating" or endpoint.next_model is not None:
        raise ServiceError("ValidationException", "Custom model deployment is in a mutating state")
    del region.deployments[endpoint.arn]
    region.tags.pop(endpoint.arn, None)
    return {}


def _require_deployment(region: Region, params: Params) -> Endpoint:
    identifier = params["customModelDeploymentIdentifier"]
    return require(region.deployments, identifier, "custom model deployment")


def _build_deployment(endpoint: Endpoint) -> Params:
    return {
        "customModelDeploymentArn": endpoint.arn,
        "modelArn": endpoint.model.arn,
        "createdAt": endpoint.created,
        "status": endpoint.status,
        "lastUpdatedAt": endpoint.modified,
        "failureMessage": endpoint.failure,
    }


def get_throughput(region: Region, params: Params) -> Params:
    """Handle GetProvisionedModelThroughput."""
    endpoint = _require_throughput(region, params)
    return drop_none(_build_throughput(region, endpoint) | {"failureMessage": endpoint.failure})


def list_throughputs(region: Region, params: Params) -> Params:
    """Handle ListProvisionedModelThroughputs."""

    def build_row(endpoint: Endpoint) -> Params:
        return _build_throughput(region, endpoint)

    endpoints = (entry for entry in region.throughputs.values() if _matches(entry, params))
    return build_page(endpoints, params, name="provisionedModelSummaries", build_row=build_row)


def update_throughput(region: Region, params: Params) -> Params:
    """Handle UpdateProvisionedModelThroughput: rename it, or change to another model with the same base model."""
    endpoint = _require_throughput(region, params)
    if endpoint.status != "InService":
        raise ServiceError(
            "ValidationException", f"The provisioned model {endpoint.name} is being changed."
        )
    name = params.get("desiredProvisionedModelName", endpoint.name)
    if name != endpoint.name and any(name == other.name for other in region.throughputs.values()):
        raise ServiceError("ValidationException", f"The name {name} is already in use.")
    if "desiredModelId" in params:
        model = _require_servable(region, params["desiredModelId"], Serving.PROVISIONED)
        _require_same_base_model(endpoint, model)
        _change_model(region, endpoint, model)
    endpoint.name, endpoint.modified = name, region.clock.now()
    return {}


def _change_model(region: Region, endpoint: Endpoint, model: Model) -> None:
    endpoint.status, endpoint.next_model = "Updating", model

    def finish(due: datetime) -> None:
        if region.faults.trigger(FaultKind.ENDPOINT_FAILURE):
            endpoint.failure = _FAILED
        else:
            endpoint.model = model
        endpoint.status, endpoint.next_model, endpoint.modified = "InService", None, due

    region.clock.after(region.clock.now(), _THROUGHPUT_SECONDS, finish)


def _require_same_base_model(endpoint: Endpoint, model: Model) -> None:
    if model.job.base is not endpoint.model.job.base:
        raise ServiceError(
            "ValidationException",
            f"The model {model.name} is not based on {endpoint.model.job.base.customization_id}.",
        )


def delete_throughput(region: Region, params: Params) -> Params:
    """Handle DeleteProvisionedModelThroughput."""
    endpoint = _require_throughput(region, params)
    if endpoint.status in ("Creating", "Updating"):
        raise ServiceError(
            "ConflictException", f"The provisioned model {endpoint.name} is being changed."
        )
    end = _commitment_end(endpoint)
    if end is not None and region.clock.now() < end:
        raise ServiceError(
            "ConflictException",
            f"The provisioned model {endpoint.name} can't be deleted before its commitment ends.",
        )
    region.past_usage += list_throughput(region, endpoint)
    del region.throughputs[endpoint.arn]
    region.tags.pop(endpoint.arn, None)
    return {}


def _require_throughput(region: Region, params: Params) -> Endpoint:
    return require(region.throughputs, params["provisionedModelId"], "provisioned model")


def _commitment_end(endpoint: Endpoint) -> datetime | None:
    duration = endpoint.params.get("commitmentDuration")
    return None if duration is None else endpoint.created + _COMMITMENTS[duration]


def _build_throughput(region: Region, endpoint: Endpoint) -> Params:
    units = endpoint.params["modelUnits"]
    return drop_none(
        {
            "modelUnits": units,
            "desiredModelUnits": units,
            "provisionedModelName": endpoint.name,
            "provisionedModelArn": endpoint.arn,
            "modelArn": endpoint.model.arn,
            "desiredModelArn": (endpoint.next_model or endpoint.model).arn,
            "foundationModelArn": region.base_model_arn(endpoint.model.job.base),
            "status": endpoint.status,
            "creationTime": endpoint.created,
            "lastModifiedTime": endpoint.modified,
            "commitmentDuration": endpoint.params.get("commitmentDuration"),
            "commitmentExpirationTime": _commitment_end(endpoint),
        }
    )


def _matches(endpoint: Endpoint, params: Params) -> bool:
    return (
        params.get("nameContains", "") in endpoint.name
        and params.get("statusEquals", endpoint.status) == endpoint.status
        and params.get("modelArnEquals", endpoint.model.arn) == endpoint.model.arn
    )
