"""Build requests to Bedrock and read its responses; no service is called here.

Names and idempotency tokens are computed from the content of a request, so that the same request twice creates one resource.
Rules: botocore's `bedrock` service model.
"""

from __future__ import annotations

import hashlib
import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tunestack.backends.base import (
    Completion,
    CustomModelInfo,
    EndpointInfo,
    EndpointState,
    JobInfo,
    JobMessage,
    JobState,
    ToolCall,
)
from tunestack.backends.bedrock.known_messages import find_remedy
from tunestack.catalog import RecordFormat, Serving
from tunestack.records.findings import Findings
from tunestack.records.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tunestack.backends.base import EndpointRequest, InferenceSettings, JobRequest
    from tunestack.deployment import Deployment
    from tunestack.records.conversation import Conversation

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
    """Build `CreateModelCustomizationJob`; the job and the model get the same name and tags."""
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


def to_step_functions(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with the names that Step Functions has for its parameters; keys of hyperparameters are values.

    Source: Step Functions developer guide, supported-services-awssdk (read 2026-11-29).
    """

    def rename(value: Any) -> Any:
        if isinstance(value, list):
            return [rename(item) for item in value]
        return to_step_functions(value) if isinstance(value, dict) else value

    return {
        name[0].upper() + name[1:]: value if name == "hyperParameters" else rename(value)
        for name, value in request.items()
    }


def list_jobs(
    name_contains: str | None, state: JobState | None, created_after: datetime | None
) -> dict[str, Any]:
    """Build `ListModelCustomizationJobs`, the newest first.

    Bedrock has one status for pending and running jobs, so both states list both.
    """
    statuses = {known: status for status, known in JOB_STATES.items()}
    statuses[JobState.PENDING] = "InProgress"
    filters = {
        "nameContains": name_contains,
        "statusEquals": None if state is None else statuses.get(state),
        "creationTimeAfter": created_after,
    }
    wire = {"sortBy": "CreationTime", "sortOrder": "Descending"}
    return wire | {name: value for name, value in filters.items() if value is not None}


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
    """Build `CreateProvisionedModelThroughput` without commitment, which is billed by the hour until it is deleted."""
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


def converse(
    endpoint_id: str, conversation: Conversation, settings: InferenceSettings
) -> dict[str, Any]:
    """Build `Converse`: its messages, system texts and tools are those of the record format `bedrock-conversation-2024`."""
    record = FORMATS[RecordFormat.CONVERSE].write(conversation, Findings()) or {}
    config = {"temperature": settings.temperature, "maxTokens": settings.max_tokens}
    config = {name: value for name, value in config.items() if value is not None}
    names = ("messages", "system", "toolConfig")
    fields: dict[str, Any] = {name: record[name] for name in names if name in record}
    return {
        "modelId": endpoint_id,
        **fields,
        **({"inferenceConfig": config} if config else {}),
    }


def completion(response: Mapping[str, Any]) -> Completion:
    """Read a response of `Converse`; reasoning is left out."""
    blocks = response["output"].get("message", {}).get("content", [])
    usage = response.get("usage", {})
    return Completion(
        text="".join(block.get("text", "") for block in blocks),
        tool_calls=tuple(
            ToolCall(name=block["toolUse"]["name"], input=block["toolUse"].get("input"))
            for block in blocks
            if "toolUse" in block
        ),
        input_tokens=usage.get("inputTokens"),
        output_tokens=usage.get("outputTokens"),
    )


def job_info(response: Mapping[str, Any]) -> JobInfo:
    """Read a response of `GetModelCustomizationJob`, or one row of the list."""
    raw = response["status"]
    phase = _phase(response.get("statusDetails", {}))
    state = JOB_STATES.get(raw, JobState.UNKNOWN)
    if state is JobState.RUNNING and phase not in (None, "training"):
        state = JobState.PENDING
    validation = response.get("validationMetrics") or [{}]
    validators = response.get("validationDataConfig", {}).get("validators") or [{}]
    failure = response.get("failureMessage")
    return JobInfo(
        id=response["jobArn"],
        name=response["jobName"],
        state=state,
        raw_state=raw,
        phase=None if state.is_terminal else phase,
        base_model=response["baseModelArn"],
        model=response.get("outputModelArn") or response.get("customModelArn"),
        failure=failure,
        remedy=find_remedy(failure) if failure else None,
        created=response["creationTime"],
        ended=response.get("endTime"),
        hyperparameters=response.get("hyperParameters", {}),
        training_data=response.get("trainingDataConfig", {}).get("s3Uri"),
        validation_data=validators[0].get("s3Uri"),
        output=response.get("outputDataConfig", {}).get("s3Uri"),
        training_loss=response.get("trainingMetrics", {}).get("trainingLoss"),
        validation_loss=validation[0].get("validationLoss"),
    )


def job_messages(response: Mapping[str, Any]) -> list[JobMessage]:
    """Read the changes of a job's phases from a response of `GetModelCustomizationJob`, the newest first."""
    messages = [
        _message(response["creationTime"], "the job was created"),
        *(
            _message(time, f"{phase} is {_words(details['status'])}")
            for name, phase in _PHASES
            if (details := response.get("statusDetails", {}).get(name, {}))
            and details.get("status") not in (None, "NotStarted")
            and (time := details.get("lastModifiedTime") or details.get("creationTime"))
        ),
    ]
    if "endTime" in response:
        failure = response.get("failureMessage")
        text = f"the job is {_words(response['status'])}" + (f": {failure}" if failure else "")
        messages.append(_message(response["endTime"], text, "error" if failure else "info"))
    # Of changes at the same time, the later phase is the newer one.
    return sorted(messages, key=lambda message: message.time)[::-1]


def _message(time: datetime, text: str, level: str = "info") -> JobMessage:
    return JobMessage(time=time, level=level, text=text)


def _words(status: str) -> str:
    """Return a status as words: `in progress` for `InProgress`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", status).lower()


def custom_model_info(response: Mapping[str, Any]) -> CustomModelInfo:
    """Read a response of `GetCustomModel`, or one row of the list."""
    arn = response["modelArn"]
    return CustomModelInfo(
        id=arn,
        name=response["modelName"],
        # `GetCustomModel` may leave the base model out; the ARN names it.
        base_model=response.get("baseModelArn") or arn.split("/")[1],
        state=response.get("modelStatus"),
        created=response["creationTime"],
        job=response.get("jobArn"),
    )


def deployment_info(response: Mapping[str, Any]) -> EndpointInfo:
    """Read a response of `GetCustomModelDeployment`, or one row of the list (which has another key for the name)."""
    update = response.get("updateDetails", {})
    # A deployment stays `Active` while it is updated to another model.
    is_updating = update.get("updateStatus") == "Updating"
    return EndpointInfo(
        id=response["customModelDeploymentArn"],
        name=response.get("modelDeploymentName") or response["customModelDeploymentName"],
        serving=Serving.ON_DEMAND,
        state=EndpointState.UPDATING
        if is_updating
        else ENDPOINT_STATES.get(response["status"], EndpointState.UNKNOWN),
        raw_state=response["status"],
        model=response["modelArn"],
        target=update.get("modelArn") if is_updating else None,
        failure=response.get("failureMessage"),
        created=response["createdAt"],
    )


def throughput_info(response: Mapping[str, Any]) -> EndpointInfo:
    """Read a response of `GetProvisionedModelThroughput`, or one row of the list."""
    desired = response.get("desiredModelArn")
    is_updated = desired == response["modelArn"] or "failureMessage" in response
    return EndpointInfo(
        id=response["provisionedModelArn"],
        name=response["provisionedModelName"],
        serving=Serving.PROVISIONED,
        state=ENDPOINT_STATES.get(response["status"], EndpointState.UNKNOWN),
        raw_state=response["status"],
        model=response["modelArn"],
        target=None if is_updated else desired,
        model_units=response["modelUnits"],
        commitment=response.get("commitmentDuration"),
        failure=response.get("failureMessage"),
        created=response["creationTime"],
    )


def _phase(details: Mapping[str, Any]) -> str | None:
    """Return the first phase that has not completed; `None` if the response has no details.

    The status of a job is `InProgress` both while it is queued and while it trains; only the details distinguish them.
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
