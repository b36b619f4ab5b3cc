"""Nothing that AWS can say is unknown to us."""

import re

import botocore.session
import pytest

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
    for service in ("bedrock", "scheduler", "sqs", "ssm")
}
# Beside those that the tuner is granted by their names.
OTHERS = {
    "iam": ("GetRole",),
    "s3": ("PutObject", "GetObject", "HeadObject", "ListObjectsV2"),
    "service-quotas": ("GetServiceQuota",),
    "sts": ("GetCallerIdentity",),
}
# Said in the message; what to do depends on what was asked.
NO_CLASS_OF_ITS_OWN = {"ModelErrorException"}


def test_every_job_state_of_bedrock_is_known():
    assert set(BEDROCK.shape_for("ModelCustomizationJobStatus").enum) == JOB_STATES.keys()
    ends = {raw for raw, state in JOB_STATES.items() if state.is_terminal}
    assert {"Completed", "Failed", "Stopped"} == ends
    assert not JobState.UNKNOWN.is_terminal


def test_every_endpoint_state_of_bedrock_is_known():
    known = {
        *BEDROCK.shape_for("CustomModelDeploymentStatus").enum,
        *BEDROCK.shape_for("ProvisionedModelStatus").enum,
    }
    assert known == ENDPOINT_STATES.keys()


def called():
    """The operations behind the actions that the SDK is granted."""
    for action in ACTIONS["tuner"]:
        service, _, name = action.partition(":")
        if name.startswith("InvokeModel"):
            yield RUNTIME.operation_model(
                name.replace("InvokeModel", "Converse", 1).replace("WithResponse", "")
            )
        elif service in MODELS:
            yield MODELS[service].operation_model(name)
    for service, names in OTHERS.items():
        model = SESSION.get_service_model(service)
        yield from map(model.operation_model, names)


def test_every_error_of_the_operations_we_call_has_a_class():
    errors = {
        shape.metadata.get("error", {}).get("code") or shape.name
        for operation in called()
        for shape in operation.error_shapes
    }
    assert len(errors) > 8
    assert errors - NO_CLASS_OF_ITS_OWN <= CODES.keys()


@pytest.mark.parametrize(
    "model", [m for m in CATALOG if m.provider == "bedrock"], ids=lambda m: m.key
)
def test_the_ids_of_the_catalog_are_ids_for_bedrock(model):
    pattern = BEDROCK.shape_for("BaseModelIdentifier").metadata["pattern"]
    assert re.fullmatch(pattern, model.customization_id)
    runtime = RUNTIME.shape_for("ConversationalModelId").metadata["pattern"]
    for inference_id in model.inference_ids:
        assert re.fullmatch(runtime, inference_id), inference_id
