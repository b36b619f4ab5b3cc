"""Granted is what the SDK needs, and what it needs is in the contract."""

import json
from datetime import timedelta

import boto3
import pytest

from tunestack import EndpointCostWarning
from tunestack.backends.bedrock.clients import Clients
from tunestack.backends.bedrock.discovery import read_published_deployment
from tunestack.catalog import Serving
from tunestack.deployment import ACTIONS, MODEL_KEY_ACTIONS
from tunestack_cdk.stage import Endpoints, Stage

# What an operation is called in a policy, where that is not its own name.
ACTION = {
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


FEATURES = {
    "bedrock:InvokeModelWithResponseStream": "answers as they are written, by whatever client asks the endpoint",
}
"""What is granted and that the SDK does not call itself yet, with what will."""


def policy_of(template, name):
    """The statements of one of the policies that people attach."""
    (found,) = [
        row["Properties"]["PolicyDocument"]["Statement"]
        for identifier, row in template.find_resources("AWS::IAM::ManagedPolicy").items()
        if identifier.startswith(f"Access{name.title()}")
    ]
    return found


@pytest.fixture(scope="module")
def statements(template):
    return policy_of(template, "tuner")


def actions(statement):
    found = statement["Action"]
    return {found} if isinstance(found, str) else set(found)


def allowed(statements):
    return [row for row in statements if row["Effect"] == "Allow"]


@pytest.mark.parametrize("name", ACTIONS)
def test_a_policy_grants_exactly_the_contract(template, name):
    granted = set().union(*map(actions, allowed(policy_of(template, name))))
    assert set(ACTIONS[name]) == granted
    assert list(ACTIONS[name]) == sorted(ACTIONS[name])


def test_a_key_for_models_takes_these_actions_more(synthesized):
    stage = Stage(name="k", regions=("us-east-1",), base_models=("nova-micro",), model_key=True)
    template = synthesized(stage)
    for name, more in MODEL_KEY_ACTIONS.items():
        granted = set().union(*map(actions, allowed(policy_of(template, name))))
        assert {*ACTIONS[name], *more} == granted


def test_only_list_operations_are_granted_on_everything(statements):
    everywhere = set().union(
        *(actions(row) for row in allowed(statements) if row["Resource"] == "*")
    )
    assert {
        "bedrock:ListCustomModelDeployments",
        "bedrock:ListCustomModels",
        "bedrock:ListFoundationModels",
        "bedrock:ListModelCustomizationJobs",
        "bedrock:ListProvisionedModelThroughputs",
    } == everywhere


def test_a_role_may_be_passed_to_its_service_only(statements):
    passing = [row for row in statements if "iam:PassRole" in actions(row)]
    assert [
        ({"Fn::GetAtt": ["AmazonBedrockJobRole83283ADC", "Arn"]}, "bedrock.amazonaws.com"),
        ({"Fn::GetAtt": ["GuardSchedulerRole993ADB63", "Arn"]}, "scheduler.amazonaws.com"),
    ] == [
        (row["Resource"], row["Condition"]["StringEquals"]["iam:PassedToService"])
        for row in passing
    ]


def test_only_the_models_of_the_stage_in_the_region_may_be_tuned(statements):
    (submit,) = [row for row in statements if "bedrock:CreateModelCustomizationJob" in actions(row)]
    text = json.dumps(submit["Resource"])
    assert "foundation-model/amazon.nova-micro-v1:0:128k" in text
    assert "llama" not in text
    assert "foundation-model/*" not in text


def test_where_no_throughput_may_be_bought_none_can_be(synthesized):
    stage = Stage(
        name="cheap",
        regions=("us-east-1",),
        base_models=("nova-micro",),
        endpoints=Endpoints(provisioned=False),
    )
    granted = set().union(*map(actions, allowed(policy_of(synthesized(stage), "tuner"))))
    assert "bedrock:CreateProvisionedModelThroughput" not in granted


def test_every_call_of_the_sdk_is_granted(tuner, west, chat, completions, requests, sandbox):
    """Runs one of everything, and looks at what went over the wire."""
    before = requests.seen.copy()
    job = tuner.submit("nova-micro", chat, validation_data=chat[:3]).wait()
    job.metrics()
    job.start_endpoint()
    job.endpoint().invoke("What is number 7?")
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
    # Another of the same name, at the same time: what was armed is looked at, and changed.
    throughput.endpoint()._provider.guard().arm(
        throughput.endpoint().name, Serving.PROVISIONED, sandbox.clock.now() + timedelta(hours=2)
    )
    throughput.stop_endpoint()
    west.submit("llama-3-1-8b", completions[::-1]).cancel()
    assert {job.model, other.model} == {model.id for model in tuner.custom_models()}
    tuner.custom_model(other.model).delete()
    read_published_deployment(Clients(boto3.Session()), stage="dev", region="us-east-1")
    called = set()
    for service, operation in requests.seen - before:
        called |= ACTION.get((service, operation), {f"{service.split('-')[0]}:{operation}"})
    # KMS is called by S3 on the caller's behalf.
    granted = set(ACTIONS["tuner"]) - {"kms:Decrypt", "kms:GenerateDataKey"}
    assert called <= granted
    assert FEATURES.keys() == granted - called
