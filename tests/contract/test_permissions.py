"""The policies grant the actions of the contract, and the SDK needs exactly these."""

import json
from datetime import timedelta

import boto3
import pytest

from tunestack import EndpointCostWarning
from tunestack.backends.bedrock.clients import Clients
from tunestack.backends.bedrock.discovery import read_published_deployment
from tunestack.catalog import Serving
from tunestack.deployment import ACTIONS, MODEL_KEY_ACTIONS
from tunestack_cdk.stage import Stage

ACTIONS_BY_OPERATION = {
    ("s3", "HeadBucket"): {"s3:ListBucket"},
    ("s3", "HeadObject"): {"s3:GetObject"},
    ("s3", "ListObjectsV2"): {"s3:ListBucket"},
    ("bedrock-runtime", "Converse"): {"bedrock:InvokeModel"},
    ("bedrock", "CreateModelCustomizationJob"): {
        "bedrock:CreateModelCustomizationJob",
        "bedrock:TagResource",
        "iam:PassRole",
    },
    ("scheduler", "CreateSchedule"): {"scheduler:CreateSchedule", "iam:PassRole"},
    ("scheduler", "UpdateSchedule"): {"scheduler:UpdateSchedule", "iam:PassRole"},
}
"""Actions of operations that have another name, or that need several."""
UNUSED_ACTIONS = {
    "bedrock:InvokeModelWithResponseStream": "other clients stream responses of an endpoint",
}
"""Granted actions that the SDK does not use, with the reason."""


def get_statements(template, name):
    """Return the statements of the policy tuner, invoker or viewer."""
    (statements,) = [
        row["Properties"]["PolicyDocument"]["Statement"]
        for identifier, row in template.find_resources("AWS::IAM::ManagedPolicy").items()
        if identifier.startswith(f"Access{name.title()}")
    ]
    return statements


@pytest.fixture(scope="module")
def statements(template):
    return get_statements(template, "tuner")


def get_actions(statement):
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def filter_allowed(statements):
    return [row for row in statements if row["Effect"] == "Allow"]


@pytest.mark.parametrize("name", ACTIONS)
def test_policy_grants_exactly_the_actions_of_the_contract(template, name):
    granted = set().union(*map(get_actions, filter_allowed(get_statements(template, name))))
    assert granted == set(ACTIONS[name])
    assert list(ACTIONS[name]) == sorted(ACTIONS[name])


def test_model_key_needs_additional_actions(synthesized):
    stage = Stage(name="k", regions=("us-east-1",), base_models=("nova-micro",), model_key=True)
    template = synthesized(stage)
    for name, more in MODEL_KEY_ACTIONS.items():
        granted = set().union(*map(get_actions, filter_allowed(get_statements(template, name))))
        assert granted == {*ACTIONS[name], *more}


def test_only_list_actions_prices_and_metrics_are_granted_on_all_resources(statements):
    on_all_resources = set().union(
        *(get_actions(row) for row in filter_allowed(statements) if row["Resource"] == "*")
    )
    assert on_all_resources == {
        "bedrock:ListCustomModelDeployments",
        "bedrock:ListCustomModels",
        "bedrock:ListFoundationModels",
        "bedrock:ListModelCustomizationJobs",
        "bedrock:ListProvisionedModelThroughputs",
        "cloudwatch:GetMetricData",
        "pricing:GetProducts",
    }


def test_role_can_be_passed_to_its_service_only(statements):
    passing = [row for row in statements if "iam:PassRole" in get_actions(row)]
    assert [
        (row["Resource"], row["Condition"]["StringEquals"]["iam:PassedToService"])
        for row in passing
    ] == [
        ({"Fn::GetAtt": ["AmazonBedrockJobRole83283ADC", "Arn"]}, "bedrock.amazonaws.com"),
        ({"Fn::GetAtt": ["GuardSchedulerRole993ADB63", "Arn"]}, "scheduler.amazonaws.com"),
    ]


def test_only_base_models_of_the_stage_in_the_region_can_be_fine_tuned(statements):
    (submit,) = [
        row for row in statements if "bedrock:CreateModelCustomizationJob" in get_actions(row)
    ]
    text = json.dumps(submit["Resource"])
    # With and without the context length (`:128k`) in the id.
    assert "foundation-model/amazon.nova-micro-v1:0*" in text
    assert "llama" not in text
    assert "foundation-model/*" not in text


def test_provisioned_throughput_can_be_disallowed(synthesized):
    stage = Stage(
        name="cheap",
        regions=("us-east-1",),
        base_models=("nova-micro",),
        allow_provisioned_throughput=False,
    )
    granted = set().union(
        *map(get_actions, filter_allowed(get_statements(synthesized(stage), "tuner")))
    )
    assert "bedrock:CreateProvisionedModelThroughput" not in granted


def test_every_call_of_the_sdk_is_granted(tuner, west, chat, completions, requests, sandbox):
    """Call every feature of the SDK, and collect the requests."""
    before = requests.sdk_counts.copy()
    job = tuner.submit("nova-micro", chat, validation_data=chat[:3]).wait()
    job.metrics()
    tuner.cost("nova-micro", chat)
    job.start_endpoint()
    job.endpoint().invoke("What is number 7?")
    job.endpoint().metrics()
    list(tuner.endpoints())
    other = tuner.submit("nova-micro", chat[:9]).wait()
    list(tuner.jobs(tags={"tunestack:stage": "dev"}))
    assert job.backend.listen({other.id}, 10)
    job.endpoint().update(other.model).stop()
    job.stop_endpoint()
    with pytest.warns(EndpointCostWarning):
        throughput = west.submit("llama-3-1-8b", completions).wait()
        throughput.start_endpoint()
    throughput.endpoint().extend(timedelta(hours=5))
    another = west.submit("llama-3-1-8b", [*completions[1:], completions[0]]).wait()
    throughput.endpoint().update(another.model).update(throughput.model)
    # Arming the same name again reads and updates the schedule.
    throughput.endpoint().backend.guard().arm(
        throughput.endpoint().name, Serving.PROVISIONED, sandbox.clock.now() + timedelta(hours=2)
    )
    throughput.stop_endpoint()
    west.submit("llama-3-1-8b", completions[::-1]).cancel()
    assert {model.id for model in tuner.custom_models()} == {job.model, other.model}
    tuner.custom_model(other.model).delete()
    read_published_deployment(Clients(boto3.Session()), stage="dev", region="us-east-1")
    called = set()
    for service, operation in requests.sdk_counts - before:
        called |= ACTIONS_BY_OPERATION.get(
            (service, operation), {f"{service.split('-')[0]}:{operation}"}
        )
    # S3 calls KMS for the caller.
    granted = set(ACTIONS["tuner"]) - {"kms:Decrypt", "kms:GenerateDataKey"}
    assert called <= granted
    assert granted - called == UNUSED_ACTIONS.keys()
