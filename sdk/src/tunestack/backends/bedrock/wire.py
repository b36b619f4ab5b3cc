"""What is sent to Bedrock and what comes back, as pure functions.

Names and tokens follow from the content of a request, so that sending it twice can't make two things.
Rules: botocore's `bedrock` service model.
"""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tunestack.backends.base import CustomModelInfo, EndpointInfo, EndpointState, JobInfo, JobState
from tunestack.catalog import Serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tunestack.backends.base import EndpointRequest, JobRequest
    from tunestack.deployment import Deployment

JOB_STATES: Mapping[str, JobState] = MappingProxyType(
    {
        "InProgress": JobState.RUNNING,
        "Completed": JobState.SUCCEEDED,
        "Failed": JobState.FAILED,
        "Stopping": JobState.STOPPING,
        "Stopped": JobState.STOPPED,
    }
)
ENDPOINT_STATES: Mapping[str, EndpointState] = MappingProxyType(
    {
        "Creating": EndpointState.STARTING,
        "Active": EndpointState.READY,
        "InService": EndpointState.READY,
        "Updating": EndpointState.UPDATING,
        "Failed": EndpointState.FAILED,
    }
)
_PHASES = (
    ("validationDetails", "validation"),
    ("dataProcessingDetails", "data processing"),
    ("trainingDetails", "training"),
)


def create_job(request: JobRequest, deployment: Deployment) -> dict[str, Any]:
    """Build `CreateModelCustomizationJob`; job and model get the same name and tags."""
    tags = _tags(request.tags)
    wire: dict[str, Any] = {
        "jobName": request.name,
        "customModelName": request.name,
        "roleArn": deployment.job_role_arn,
        "baseModelIdentifier": request.base_model,
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": request.training_data},
        "outputDataConfig": {"s3Uri": request.output},
        "hyperParameters": dict(request.hyperparameters),
        "jobTags": tags,
        "customModelTags": tags,
    }
    if request.validation_data is not None:
        wire["validationDataConfig"] = {"validators": [{"s3Uri": request.validation_data}]}
    if deployment.model_key_arn is not None:
        wire["customModelKmsKeyId"] = deployment.model_key_arn
    if deployment.subnet_ids:
        wire["vpcConfig"] = {
            "subnetIds": list(deployment.subnet_ids),
            "securityGroupIds": list(deployment.security_group_ids),
        }
    return wire | {"clientRequestToken": _token(request.key)}


def list_jobs(
    name_contains: str | None, state: JobState | None, created_after: datetime | None
) -> dict[str, Any]:
    """Build `ListModelCustomizationJobs`, the newest first.

    Bedrock knows one word for pending and running: whoever asks for one of them gets both.
    """
    words = {ours: theirs for theirs, ours in JOB_STATES.items()} | {JobState.PENDING: "InProgress"}
    wanted = {
        "nameContains": name_contains,
        "statusEquals": None if state is None else words.get(state),
        "creationTimeAfter": created_after,
    }
    newest = {"sortBy": "CreationTime", "sortOrder": "Descending"}
    return newest | {key: value for key, value in wanted.items() if value is not None}


def list_custom_models(name_contains: str | None) -> dict[str, Any]:
    """Build `ListCustomModels` for the account's own models, the newest first."""
    wire: dict[str, Any] = {
        "isOwned": True,
        "sortBy": "CreationTime",
        "sortOrder": "Descending",
    }
    return wire | ({"nameContains": name_contains} if name_contains else {})


def create_deployment(request: EndpointRequest) -> dict[str, Any]:
    """Build `CreateCustomModelDeployment`."""
    wire = {
        "modelDeploymentName": request.name,
        "modelArn": request.model,
        "tags": _tags(request.tags),
    }
    return wire | {"clientRequestToken": _token(wire, request.generation)}


def create_throughput(request: EndpointRequest) -> dict[str, Any]:
    """Build `CreateProvisionedModelThroughput`, without commitment: billed by the hour until deleted."""
    wire = {
        "provisionedModelName": request.name,
        "modelId": request.model,
        "modelUnits": request.model_units,
        "tags": _tags(request.tags),
    }
    return wire | {"clientRequestToken": _token(wire, request.generation)}


def tag_resource(arn: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Build `TagResource`."""
    return {"resourceARN": arn, "tags": _tags(tags)}


def converse(endpoint_id: str, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Build `Converse`; a system message goes to its own field."""
    wire: dict[str, Any] = {
        "modelId": endpoint_id,
        "messages": [
            {"role": message["role"], "content": [{"text": message["content"]}]}
            for message in messages
            if message["role"] != "system"
        ],
    }
    system = [{"text": message["content"]} for message in messages if message["role"] == "system"]
    return wire | ({"system": system} if system else {})


def job_info(answer: Mapping[str, Any]) -> JobInfo:
    """Read an answer of `GetModelCustomizationJob`, or one row of the list."""
    raw = answer["status"]
    phase = _phase(answer.get("statusDetails", {}))
    state = JOB_STATES.get(raw, JobState.UNKNOWN)
    if state is JobState.RUNNING and phase not in (None, "training"):
        state = JobState.PENDING
    validation = answer.get("validationMetrics") or [{}]
    return JobInfo(
        id=answer["jobArn"],
        name=answer["jobName"],
        state=state,
        raw_state=raw,
        phase=None if state.is_terminal else phase,
        base_model=answer["baseModelArn"],
        model=answer.get("outputModelArn") or answer.get("customModelArn"),
        failure=answer.get("failureMessage"),
        created=answer["creationTime"],
        ended=answer.get("endTime"),
        hyperparameters=answer.get("hyperParameters", {}),
        training_data=answer.get("trainingDataConfig", {}).get("s3Uri"),
        output=answer.get("outputDataConfig", {}).get("s3Uri"),
        training_loss=answer.get("trainingMetrics", {}).get("trainingLoss"),
        validation_loss=validation[0].get("validationLoss"),
    )


def custom_model_info(answer: Mapping[str, Any]) -> CustomModelInfo:
    """Read an answer of `GetCustomModel`, or one row of the list."""
    arn = answer["modelArn"]
    return CustomModelInfo(
        id=arn,
        name=answer["modelName"],
        # `GetCustomModel` may leave the base model out; the ARN names it.
        base_model=answer.get("baseModelArn") or arn.split("/")[1],
        state=answer.get("modelStatus"),
        created=answer["creationTime"],
        job=answer.get("jobArn"),
    )


def deployment_info(answer: Mapping[str, Any]) -> EndpointInfo:
    """Read an answer of `GetCustomModelDeployment`, or one row of the list (which names the name differently)."""
    update = answer.get("updateDetails", {})
    # A deployment that is pointed to another model stays `Active` meanwhile.
    is_updating = update.get("updateStatus") == "Updating"
    return EndpointInfo(
        id=answer["customModelDeploymentArn"],
        name=answer.get("modelDeploymentName") or answer["customModelDeploymentName"],
        serving=Serving.ON_DEMAND,
        state=EndpointState.UPDATING
        if is_updating
        else ENDPOINT_STATES.get(answer["status"], EndpointState.UNKNOWN),
        raw_state=answer["status"],
        model=answer["modelArn"],
        target=update.get("modelArn") if is_updating else None,
        failure=answer.get("failureMessage"),
        created=answer["createdAt"],
    )


def throughput_info(answer: Mapping[str, Any]) -> EndpointInfo:
    """Read an answer of `GetProvisionedModelThroughput`, or one row of the list."""
    desired = answer.get("desiredModelArn")
    is_reached = desired == answer["modelArn"] or "failureMessage" in answer
    return EndpointInfo(
        id=answer["provisionedModelArn"],
        name=answer["provisionedModelName"],
        serving=Serving.PROVISIONED,
        state=ENDPOINT_STATES.get(answer["status"], EndpointState.UNKNOWN),
        raw_state=answer["status"],
        model=answer["modelArn"],
        target=None if is_reached else desired,
        model_units=answer["modelUnits"],
        failure=answer.get("failureMessage"),
        created=answer["creationTime"],
    )


def _phase(details: Mapping[str, Any]) -> str | None:
    """Tell what a job is at: the first phase that is not over; `None` where the service does not say.

    `InProgress` alone does not tell a job that waits from one that trains; the details do.
    """
    for name, phase in _PHASES:
        status = details.get(name, {}).get("status")
        if name == "trainingDetails" and status == "NotStarted":
            return "queued"
        if status not in (None, "Completed"):
            return phase
    return "training" if details else None


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": tags[key]} for key in sorted(tags)]


def _token(*content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
