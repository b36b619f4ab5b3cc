"""Requests to Bedrock are valid in botocore's model, and responses are parsed, also with unknown values."""

import dataclasses
from datetime import UTC, datetime

import botocore.session
import pytest

from tunestack import EndpointState, JobState
from tunestack.backends.base import EndpointRequest, InferenceSettings, JobRequest
from tunestack.backends.bedrock import wire
from tunestack.catalog import CATALOG, Serving
from tunestack.deployment import Deployment
from tunestack.polling import Poll, watch
from tunestack.records.conversation import from_messages
from tunestack.spec.job_spec import JobSpec
from tunestack_sandbox.shapes import violations

MODEL = botocore.session.get_session().get_service_model("bedrock")
RUNTIME = botocore.session.get_session().get_service_model("bedrock-runtime")
CUSTOM = (
    "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/0123456789ab"
)
DEPLOYMENT = Deployment(
    region="us-east-1",
    account="123456789012",
    data_bucket="data",
    job_role_arn="arn:aws:iam::123456789012:role/AmazonBedrockJob",
)
PRIVATE = dataclasses.replace(
    DEPLOYMENT,
    model_key_arn="arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
    subnet_ids=("subnet-0a", "subnet-0b"),
    security_group_ids=("sg-0a",),
)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
JOB = JobRequest(
    spec=JobSpec(model="nova-micro"),
    base=CATALOG["nova-micro"],
    base_model="amazon.nova-micro-v1:0:128k",
    training_data="s3://data/tunestack/datasets/x.jsonl",
    validation_data="s3://data/tunestack/datasets/y.jsonl",
    hyperparameters={"epochCount": "2"},
    content="0123456789abcdef",
    output="s3://data/tunestack/outputs/",
    tags={"b": "2", "a": "1"},
)
ENDPOINT = EndpointRequest(
    model=CUSTOM,
    serving=Serving.ON_DEMAND,
    name="tunestack-x",
    tags={"tunestack:expires-at": "2026-11-22T00:00:00Z"},
)
JOB_RESPONSE = {
    "jobArn": "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.nova-micro-v1:0:128k/0123456789ab",
    "jobName": "n",
    "status": "InProgress",
    "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
    "creationTime": NOW,
}


@pytest.mark.parametrize(
    ("operation", "request_dict"),
    [
        ("CreateModelCustomizationJob", wire.create_job(JOB, DEPLOYMENT)),
        ("CreateModelCustomizationJob", wire.create_job(JOB, PRIVATE)),
        ("TagResource", wire.tag_resource(CUSTOM, {"tunestack:stage": "dev"})),
        ("CreateCustomModelDeployment", wire.create_deployment(ENDPOINT)),
        ("CreateProvisionedModelThroughput", wire.create_throughput(ENDPOINT)),
    ],
)
def test_request_is_valid_in_the_model_of_botocore(operation, request_dict):
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    assert violations(request_dict, shape) == []
    assert shape.required_members
    for member in shape.required_members:
        incomplete = {name: value for name, value in request_dict.items() if name != member}
        assert violations(incomplete, shape), f"{member} is not checked"


def test_request_has_no_commitment():
    assert "commitmentDuration" not in wire.create_throughput(ENDPOINT)


def test_system_message_is_sent_in_the_system_field():
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    request = wire.converse("m", from_messages(messages), InferenceSettings())
    assert violations(request, RUNTIME.operation_model("Converse").input_shape) == []
    assert request == {
        "modelId": "m",
        "system": [{"text": "s"}],
        "messages": [{"role": "user", "content": [{"text": "u"}]}],
    }
    assert "system" not in wire.converse("m", from_messages(messages[1:]), InferenceSettings())


@pytest.mark.parametrize(
    "change", [{"output": "s3://b/o"}, {"tags": {}}, {"training_data": "s3://b/x"}]
)
def test_token_of_a_job_depends_only_on_its_content_and_attempt(change):
    token = wire.create_job(JOB, DEPLOYMENT)["clientRequestToken"]
    assert (
        token
        == wire.create_job(dataclasses.replace(JOB, **change), DEPLOYMENT)["clientRequestToken"]
    )
    other = dataclasses.replace(JOB, attempt=2)
    assert token != wire.create_job(other, DEPLOYMENT)["clientRequestToken"]


@pytest.mark.parametrize("create", [wire.create_deployment, wire.create_throughput])
def test_token_of_an_endpoint_depends_on_its_generation(create):
    tokens = [
        create(dataclasses.replace(ENDPOINT, generation=generation))["clientRequestToken"]
        for generation in ("a", "a", "b")
    ]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize(
    ("raw", "details", "state", "phase"),
    [
        ("InProgress", {}, JobState.RUNNING, None),
        (
            "InProgress",
            {"validationDetails": {"status": "InProgress"}},
            JobState.PENDING,
            "validation",
        ),
        (
            "InProgress",
            {
                "validationDetails": {"status": "Completed"},
                "trainingDetails": {"status": "NotStarted"},
            },
            JobState.PENDING,
            "queued",
        ),
        ("InProgress", {"trainingDetails": {"status": "InProgress"}}, JobState.RUNNING, "training"),
        ("InProgress", {"trainingDetails": {"status": "Completed"}}, JobState.RUNNING, "training"),
        ("Completed", {"trainingDetails": {"status": "Completed"}}, JobState.SUCCEEDED, None),
        ("Stopped", {"trainingDetails": {"status": "Stopped"}}, JobState.STOPPED, None),
        ("Paused", {}, JobState.UNKNOWN, None),
    ],
)
def test_state_and_phase_are_read_from_the_status_details(raw, details, state, phase):
    info = wire.job_info(JOB_RESPONSE | {"status": raw, "statusDetails": details})
    assert (state, phase, raw) == (info.state, info.phase, info.raw_state)


def test_unknown_state_does_not_end_a_wait():
    statuses = iter(["Paused", "Paused", "Completed"])
    observations = watch(
        lambda: wire.job_info(JOB_RESPONSE | {"status": next(statuses)}),
        until=lambda info: info.state.is_terminal,
        timeout=100,
        poll=Poll(sleep=lambda _: None, clock=lambda: 0),
    )
    assert [info.state.value for info in observations] == ["unknown", "unknown", "succeeded"]


def test_deployment_with_an_update_in_progress_is_updating():
    response = {
        "customModelDeploymentArn": "a",
        "modelDeploymentName": "n",
        "status": "Active",
        "modelArn": CUSTOM,
        "createdAt": NOW,
        "updateDetails": {"modelArn": CUSTOM, "updateStatus": "Updating"},
    }
    assert wire.deployment_info(response).state == EndpointState.UPDATING


def test_unknown_endpoint_state_is_kept():
    info = wire.deployment_info(
        {
            "customModelDeploymentArn": "a",
            "customModelDeploymentName": "n",
            "status": "Unknown",
            "modelArn": CUSTOM,
            "createdAt": NOW,
        }
    )
    assert (info.state, info.raw_state, info.name) == (EndpointState.UNKNOWN, "Unknown", "n")
