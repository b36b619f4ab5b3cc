"""Custom-model deployments and provisioned throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.catalog import Serving
from tunestack.sandbox.bedrock.customization import base_arn
from tunestack.sandbox.bedrock.pages import page
from tunestack.sandbox.bedrock.state import Endpoint, Model, Region, found
from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from datetime import datetime

Params = dict[str, Any]

# Seconds that AWS takes: about 8 minutes (field reports), and 20 to 30 (AWS's samples).
_DEPLOYMENT_SECONDS = 480
_THROUGHPUT_SECONDS = 1500


def create_deployment(region: Region, params: Params) -> Params:
    """CreateCustomModelDeployment."""

    def make() -> Params:
        model = _served(region, params["modelArn"], Serving.ON_DEMAND)
        endpoint = _new(
            region,
            region.deployments,
            arn=region.arn("custom-model-deployment"),
            name=params["modelDeploymentName"],
            params=params,
            model=model,
        )
        _get_ready(region, endpoint, _DEPLOYMENT_SECONDS, "Active")
        return {"customModelDeploymentArn": endpoint.arn}

    return region.once("CreateCustomModelDeployment", params, make)


def create_throughput(region: Region, params: Params) -> Params:
    """CreateProvisionedModelThroughput."""

    def make() -> Params:
        model = _served(region, params["modelId"], Serving.PROVISIONED)
        endpoint = _new(
            region,
            region.throughputs,
            arn=region.arn("provisioned-model"),
            name=params["provisionedModelName"],
            params=params,
            model=model,
        )
        _get_ready(region, endpoint, _THROUGHPUT_SECONDS, "InService")
        return {"provisionedModelArn": endpoint.arn}

    return region.once("CreateProvisionedModelThroughput", params, make)


def _served(region: Region, identifier: str, way: Serving) -> Model:
    model = found(region.models, identifier, "model")
    if way not in model.job.base.serving:
        raise Fault("ValidationException", f"{model.job.base.name} can't be served {way.value}.")
    return model


def _new(region: Region, table: dict[str, Endpoint], *, name: str, **what: Any) -> Endpoint:
    # Neither operation lists a ConflictException.
    if any(endpoint.name == name for endpoint in table.values()):
        raise Fault("ValidationException", f"The name {name} is already in use.")
    now = region.clock.now()
    endpoint = Endpoint(name=name, status="Creating", created=now, modified=now, **what)
    table[endpoint.arn] = endpoint
    region.tag(endpoint.arn, endpoint.params.get("tags", ()))
    return endpoint


def _get_ready(region: Region, endpoint: Endpoint, seconds: float, ready: str) -> None:
    def end(due: datetime) -> None:
        endpoint.status, endpoint.modified = ready, due

    region.clock.after(endpoint.created, seconds, end)


def get_deployment(region: Region, params: Params) -> Params:
    """GetCustomModelDeployment."""
    endpoint = found(
        region.deployments, params["customModelDeploymentIdentifier"], "custom model deployment"
    )
    return _deployment(endpoint) | {"modelDeploymentName": endpoint.name}


def list_deployments(region: Region, params: Params) -> Params:
    """ListCustomModelDeployments."""
    rows = [
        _deployment(endpoint) | {"customModelDeploymentName": endpoint.name}
        for endpoint in region.deployments.values()
        if _wanted(endpoint, params)
    ]
    return page(rows, params, name="modelDeploymentSummaries", created="createdAt")


def delete_deployment(region: Region, params: Params) -> Params:
    """DeleteCustomModelDeployment."""
    endpoint = found(
        region.deployments, params["customModelDeploymentIdentifier"], "custom model deployment"
    )
    if endpoint.status == "Creating":
        raise Fault(
            "ValidationException", f"The deployment {endpoint.name} is in a mutating state."
        )
    del region.deployments[endpoint.arn]
    return {}


def _deployment(endpoint: Endpoint) -> Params:
    return {
        "customModelDeploymentArn": endpoint.arn,
        "modelArn": endpoint.model.arn,
        "createdAt": endpoint.created,
        "status": endpoint.status,
        "lastUpdatedAt": endpoint.modified,
    }


def get_throughput(region: Region, params: Params) -> Params:
    """GetProvisionedModelThroughput."""
    return _throughput(
        region, found(region.throughputs, params["provisionedModelId"], "provisioned model")
    )


def list_throughputs(region: Region, params: Params) -> Params:
    """ListProvisionedModelThroughputs."""
    rows = [
        _throughput(region, endpoint)
        for endpoint in region.throughputs.values()
        if _wanted(endpoint, params)
    ]
    return page(rows, params, name="provisionedModelSummaries", created="creationTime")


def delete_throughput(region: Region, params: Params) -> Params:
    """DeleteProvisionedModelThroughput."""
    endpoint = found(region.throughputs, params["provisionedModelId"], "provisioned model")
    if endpoint.status == "Creating":
        raise Fault("ConflictException", f"The provisioned model {endpoint.name} is being created.")
    if "commitmentDuration" in endpoint.params:
        raise Fault(
            "ConflictException",
            f"The provisioned model {endpoint.name} can't be deleted before its commitment ends.",
        )
    del region.throughputs[endpoint.arn]
    return {}


def _throughput(region: Region, endpoint: Endpoint) -> Params:
    units = endpoint.params["modelUnits"]
    commitment = (
        {"commitmentDuration": endpoint.params["commitmentDuration"]}
        if "commitmentDuration" in endpoint.params
        else {}
    )
    return commitment | {
        "modelUnits": units,
        "desiredModelUnits": units,
        "provisionedModelName": endpoint.name,
        "provisionedModelArn": endpoint.arn,
        "modelArn": endpoint.model.arn,
        "desiredModelArn": endpoint.model.arn,
        "foundationModelArn": base_arn(region, endpoint.model.job.base),
        "status": endpoint.status,
        "creationTime": endpoint.created,
        "lastModifiedTime": endpoint.modified,
    }


def _wanted(endpoint: Endpoint, params: Params) -> bool:
    return (
        params.get("nameContains", "") in endpoint.name
        and params.get("statusEquals", endpoint.status) == endpoint.status
        and params.get("modelArnEquals", endpoint.model.arn) == endpoint.model.arn
    )
