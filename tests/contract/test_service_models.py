"""The SDK knows every state and every error in the service models of botocore."""

import re

import botocore.session
import pytest
from botocore.model import StringShape

from tunestack.backends.base import JobState
from tunestack.backends.bedrock.errors import CODES
from tunestack.backends.bedrock.wire import ENDPOINT_STATES, JOB_STATES
from tunestack.catalog import CATALOG
from tunestack.deployment import ACTIONS

SESSION = botocore.session.get_session()
BEDROCK = SESSION.get_service_model("bedrock")
RUNTIME = SESSION.get_service_model("bedrock-runtime")
MODELS = {
    service: SESSION.get_service_model(service)
    for service in ("bedrock", "pricing", "scheduler", "sqs", "ssm")
}
OTHER_OPERATIONS = {
    "ce": ("GetCostAndUsage", "GetDimensionValues"),
    "iam": ("GetRole",),
    "s3": ("PutObject", "GetObject", "HeadBucket", "HeadObject", "ListObjectsV2"),
    "service-quotas": ("GetAWSDefaultServiceQuota", "GetServiceQuota"),
    "ssm": ("DescribeParameters",),
    "sts": ("GetCallerIdentity",),
}
"""Operations that the SDK uses, besides those with the name of an action of the tuner."""
GENERIC_ERRORS = {"ModelErrorException"}
"""Errors without a specific class: the remedy depends on the request."""


def get_enum(name):
    """Return the values of an enum of Bedrock."""
    shape = BEDROCK.shape_for(name)
    assert isinstance(shape, StringShape)
    return set(shape.enum)


def test_every_job_state_of_bedrock_is_known():
    assert JOB_STATES.keys() == get_enum("ModelCustomizationJobStatus")
    terminal = {raw for raw, state in JOB_STATES.items() if state.is_terminal}
    assert terminal == {"Completed", "Failed", "Stopped"}
    assert not JobState.UNKNOWN.is_terminal


def test_every_endpoint_state_of_bedrock_is_known():
    states = get_enum("CustomModelDeploymentStatus") | get_enum("ProvisionedModelStatus")
    assert ENDPOINT_STATES.keys() == states


def list_operations():
    """Yield the models of all operations that the SDK uses."""
    for action in ACTIONS["tuner"]:
        service, _, name = action.partition(":")
        if name.startswith("InvokeModel"):
            yield RUNTIME.operation_model(
                name.replace("InvokeModel", "Converse", 1).replace("WithResponse", "")
            )
        elif service in MODELS:
            yield MODELS[service].operation_model(name)
    for service, names in OTHER_OPERATIONS.items():
        model = SESSION.get_service_model(service)
        yield from map(model.operation_model, names)


def test_every_error_of_the_used_operations_has_a_class():
    errors = {
        shape.metadata.get("error", {}).get("code") or shape.name
        for operation in list_operations()
        for shape in operation.error_shapes
    }
    assert len(errors) > 8
    assert errors - GENERIC_ERRORS <= CODES.keys()


@pytest.mark.parametrize(
    "model", [m for m in CATALOG if m.provider == "bedrock"], ids=lambda m: m.key
)
def test_ids_of_the_catalog_match_the_patterns_of_bedrock(model):
    pattern = BEDROCK.shape_for("BaseModelIdentifier").metadata["pattern"]
    assert re.fullmatch(pattern, model.customization_id)
    runtime = RUNTIME.shape_for("ConversationalModelId").metadata["pattern"]
    for inference_id in model.inference_ids:
        assert re.fullmatch(runtime, inference_id), inference_id
