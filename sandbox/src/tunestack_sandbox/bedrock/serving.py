"""Custom-model deployments and provisioned throughput: create, get, list, update, delete."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tunestack.catalog import Serving
from tunestack_sandbox.bedrock.foundation import require_new, require_not_gone
from tunestack_sandbox.bedrock.pages import page
from tunestack_sandbox.bedrock.state import (
    Endpoint,
    Model,
    Region,
    check_tags,
    found,
    without_none,
)
from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from datetime import datetime

Params = dict[str, Any]

# Seconds that AWS takes: about 8 minutes (field reports), and 20 to 30 (AWS's samples).
_DEPLOYMENT_SECONDS = 480
_THROUGHPUT_SECONDS = 1500
_FAILED = "The request failed due to an internal error. Try again."
# A month of a commitment, which AWS does not define: the shortest that can be meant.
_TERMS = {"OneMonth": timedelta(days=30), "SixMonths": timedelta(days=180)}


def create_deployment(region: Region, params: Params) -> Params:
    """CreateCustomModelDeployment."""

    def make() -> Params:
        model = _served(region, params["modelArn"], Serving.ON_DEMAND)
        require_not_gone(region, model.job.base)
        quotas = region.settings.quotas
        all_of_them = region.deployments.values()
        region.require_quota(
            len(all_of_them),
            quotas.deployments,
            f"You have reached the limit of {quotas.deployments} custom model deployments.",
        )
        region.require_quota(
            sum(endpoint.status == "Creating" for endpoint in all_of_them),
            quotas.deployments_in_progress,
            f"You have reached the limit of {quotas.deployments_in_progress} "
            "custom model deployments in progress.",
        )
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
        require_new(region, model.job.base)
        if "commitmentDuration" not in params:
            used = sum(
                endpoint.params["modelUnits"]
                for endpoint in region.throughputs.values()
                if "commitmentDuration" not in endpoint.params
            )
            region.require_quota(
                used + params["modelUnits"] - 1,
                region.settings.quotas.model_units,
                "Your account does not currently have any no commitment model units reserved for "
                f"{model.job.base.customization_id}.",
            )
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
    tags = what["params"].get("tags", ())
    check_tags(tags)
    now = region.clock.now()
    endpoint = Endpoint(name=name, status="Creating", created=now, modified=now, **what)
    table[endpoint.arn] = endpoint
    region.tag(endpoint.arn, tags)
    return endpoint


def _get_ready(region: Region, endpoint: Endpoint, seconds: float, ready: str) -> None:
    def finish(due: datetime) -> None:
        endpoint.modified = due
        if region.faults.strike(FaultKind.ENDPOINT_FAILURE):
            endpoint.status, endpoint.failure = "Failed", _FAILED
        else:
            endpoint.status = ready

    region.clock.after(endpoint.created, seconds, finish)


def get_deployment(region: Region, params: Params) -> Params:
    """GetCustomModelDeployment."""
    endpoint = _found_deployment(region, params)
    return without_none(
        _deployment(endpoint)
        | {
            "modelDeploymentName": endpoint.name,
            "description": endpoint.params.get("description"),
            "updateDetails": endpoint.update,
        }
    )


def list_deployments(region: Region, params: Params) -> Params:
    """ListCustomModelDeployments."""

    def row(endpoint: Endpoint) -> Params:
        return without_none(_deployment(endpoint) | {"customModelDeploymentName": endpoint.name})

    wanted = (entry for entry in region.deployments.values() if _wanted(entry, params))
    return page(wanted, params, name="modelDeploymentSummaries", row=row)


def update_deployment(region: Region, params: Params) -> Params:
    """UpdateCustomModelDeployment: it answers with the old model until the new one is there."""
    endpoint = _found_deployment(region, params)
    model = _served(region, params["modelArn"], Serving.ON_DEMAND)
    if endpoint.status != "Active" or endpoint.next is not None:
        raise Fault("ValidationException", "Custom model deployment is in a mutating state")
    _require_sibling(endpoint, model)
    now = region.clock.now()
    endpoint.next, endpoint.modified = model, now
    endpoint.update = {"modelArn": model.arn, "updateStatus": "Updating"}

    def finish(due: datetime) -> None:
        done = not region.faults.strike(FaultKind.ENDPOINT_FAILURE)
        if done:
            endpoint.model = model
        status = "UpdateCompleted" if done else "UpdateFailed"
        endpoint.update = {"modelArn": model.arn, "updateStatus": status}
        endpoint.next, endpoint.modified = None, due

    region.clock.after(now, _DEPLOYMENT_SECONDS, finish)
    return {"customModelDeploymentArn": endpoint.arn}


def delete_deployment(region: Region, params: Params) -> Params:
    """DeleteCustomModelDeployment."""
    endpoint = _found_deployment(region, params)
    if endpoint.status == "Creating" or endpoint.next is not None:
        raise Fault("ValidationException", "Custom model deployment is in a mutating state")
    del region.deployments[endpoint.arn]
    region.tags.pop(endpoint.arn, None)
    return {}


def _found_deployment(region: Region, params: Params) -> Endpoint:
    identifier = params["customModelDeploymentIdentifier"]
    return found(region.deployments, identifier, "custom model deployment")


def _deployment(endpoint: Endpoint) -> Params:
    return {
        "customModelDeploymentArn": endpoint.arn,
        "modelArn": endpoint.model.arn,
        "createdAt": endpoint.created,
        "status": endpoint.status,
        "lastUpdatedAt": endpoint.modified,
        "failureMessage": endpoint.failure,
    }


def get_throughput(region: Region, params: Params) -> Params:
    """GetProvisionedModelThroughput."""
    endpoint = _found_throughput(region, params)
    return without_none(_throughput(region, endpoint) | {"failureMessage": endpoint.failure})


def list_throughputs(region: Region, params: Params) -> Params:
    """ListProvisionedModelThroughputs."""

    def row(endpoint: Endpoint) -> Params:
        return _throughput(region, endpoint)

    wanted = (entry for entry in region.throughputs.values() if _wanted(entry, params))
    return page(wanted, params, name="provisionedModelSummaries", row=row)


def update_throughput(region: Region, params: Params) -> Params:
    """UpdateProvisionedModelThroughput: another name, or another model of the same base."""
    endpoint = _found_throughput(region, params)
    if endpoint.status != "InService":
        raise Fault(
            "ValidationException", f"The provisioned model {endpoint.name} is being changed."
        )
    name = params.get("desiredProvisionedModelName", endpoint.name)
    if name != endpoint.name and any(name == other.name for other in region.throughputs.values()):
        raise Fault("ValidationException", f"The name {name} is already in use.")
    if "desiredModelId" in params:
        model = _served(region, params["desiredModelId"], Serving.PROVISIONED)
        _require_sibling(endpoint, model)
        _move(region, endpoint, model)
    endpoint.name, endpoint.modified = name, region.clock.now()
    return {}


def _move(region: Region, endpoint: Endpoint, model: Model) -> None:
    endpoint.status, endpoint.next = "Updating", model

    def finish(due: datetime) -> None:
        if region.faults.strike(FaultKind.ENDPOINT_FAILURE):
            endpoint.failure = _FAILED
        else:
            endpoint.model = model
        endpoint.status, endpoint.next, endpoint.modified = "InService", None, due

    region.clock.after(region.clock.now(), _THROUGHPUT_SECONDS, finish)


def _require_sibling(endpoint: Endpoint, model: Model) -> None:
    if model.job.base is not endpoint.model.job.base:
        raise Fault(
            "ValidationException",
            f"The model {model.name} is not based on {endpoint.model.job.base.customization_id}.",
        )


def delete_throughput(region: Region, params: Params) -> Params:
    """DeleteProvisionedModelThroughput."""
    endpoint = _found_throughput(region, params)
    if endpoint.status in ("Creating", "Updating"):
        raise Fault("ConflictException", f"The provisioned model {endpoint.name} is being changed.")
    term = _term_ends(endpoint)
    if term is not None and region.clock.now() < term:
        raise Fault(
            "ConflictException",
            f"The provisioned model {endpoint.name} can't be deleted before its commitment ends.",
        )
    del region.throughputs[endpoint.arn]
    region.tags.pop(endpoint.arn, None)
    return {}


def _found_throughput(region: Region, params: Params) -> Endpoint:
    return found(region.throughputs, params["provisionedModelId"], "provisioned model")


def _term_ends(endpoint: Endpoint) -> datetime | None:
    term = endpoint.params.get("commitmentDuration")
    return None if term is None else endpoint.created + _TERMS[term]


def _throughput(region: Region, endpoint: Endpoint) -> Params:
    units = endpoint.params["modelUnits"]
    return without_none(
        {
            "modelUnits": units,
            "desiredModelUnits": units,
            "provisionedModelName": endpoint.name,
            "provisionedModelArn": endpoint.arn,
            "modelArn": endpoint.model.arn,
            "desiredModelArn": (endpoint.next or endpoint.model).arn,
            "foundationModelArn": region.base_arn(endpoint.model.job.base),
            "status": endpoint.status,
            "creationTime": endpoint.created,
            "lastModifiedTime": endpoint.modified,
            "commitmentDuration": endpoint.params.get("commitmentDuration"),
            "commitmentExpirationTime": _term_ends(endpoint),
        }
    )


def _wanted(endpoint: Endpoint, params: Params) -> bool:
    return (
        params.get("nameContains", "") in endpoint.name
        and params.get("statusEquals", endpoint.status) == endpoint.status
        and params.get("modelArnEquals", endpoint.model.arn) == endpoint.model.arn
    )
