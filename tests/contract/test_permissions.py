"""Granted is what the SDK needs, and what it needs is in the contract."""

import json

import boto3
import pytest

from tunestack import EndpointCostWarning
from tunestack.contract import ACTIONS
from tunestack.discovery import published
from tunestack.providers.clients import Clients

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
}


@pytest.fixture(scope="module")
def statements(template):
    (policy,) = template.find_resources("AWS::IAM::ManagedPolicy").values()
    return policy["Properties"]["PolicyDocument"]["Statement"]


def actions(statement):
    found = statement["Action"]
    return {found} if isinstance(found, str) else set(found)


def test_the_tuner_policy_grants_exactly_the_contract(statements):
    assert set(ACTIONS["tuner"]) == set().union(*map(actions, statements))
    assert list(ACTIONS["tuner"]) == sorted(ACTIONS["tuner"])


def test_only_list_operations_are_granted_on_everything(statements):
    everywhere = set().union(*(actions(row) for row in statements if row["Resource"] == "*"))
    assert {
        "bedrock:ListCustomModelDeployments",
        "bedrock:ListFoundationModels",
        "bedrock:ListModelCustomizationJobs",
        "bedrock:ListProvisionedModelThroughputs",
    } == everywhere


def test_the_job_role_may_be_passed_to_bedrock_only(statements):
    (passing,) = [row for row in statements if "iam:PassRole" in actions(row)]
    assert {"Fn::GetAtt": ["AmazonBedrockJobRole83283ADC", "Arn"]} == passing["Resource"]
    assert {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}} == passing[
        "Condition"
    ]


def test_only_the_models_of_the_stage_in_the_region_may_be_tuned(statements):
    (submit,) = [row for row in statements if "bedrock:CreateModelCustomizationJob" in actions(row)]
    text = json.dumps(submit["Resource"])
    assert "foundation-model/amazon.nova-micro-v1:0:128k" in text
    assert "llama" not in text
    assert "foundation-model/*" not in text


def test_every_call_of_the_sdk_is_granted(tuner, west, chat, completions, requests):
    """Runs one of everything, and looks at what went over the wire."""
    before = requests.seen.copy()
    job = tuner.submit("nova-micro", chat, validation_data=chat[:3]).wait()
    job.metrics()
    job.start_endpoint()
    job.endpoint().invoke("What is number 7?")
    list(tuner.endpoints())
    job.stop_endpoint()
    with pytest.warns(EndpointCostWarning):
        throughput = west.submit("llama-3-1-8b", completions).wait()
        throughput.start_endpoint()
    throughput.stop_endpoint()
    west.submit("llama-3-1-8b", completions[::-1]).cancel()
    published(Clients(boto3.Session()), stage="dev", region="us-east-1")
    called = set()
    for service, operation in requests.seen - before:
        called |= ACTION.get((service, operation), {f"{service.split('-')[0]}:{operation}"})
    # KMS is called by S3 on the caller's behalf.
    granted = set(ACTIONS["tuner"]) - {"kms:Decrypt", "kms:GenerateDataKey"}
    assert granted == called
