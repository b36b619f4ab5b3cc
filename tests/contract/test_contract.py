"""The border between the stacks and the SDK."""

import json

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template

from infra.stack import TunestackStack
from infra.stages import STAGES, Stage
from tunestack.contract import Deployment, parameter_name
from tunestack.errors import ContractError

DEPLOYMENT = Deployment(
    stage="dev",
    region="us-east-1",
    account="123456789012",
    data_bucket="data",
    data_key_arn="arn:aws:kms:us-east-1:123456789012:key/k",
    data_locations=("s3://data/tunestack/datasets/",),
    job_role_arn="arn:aws:iam::123456789012:role/AmazonBedrockJob",
    base_models=("nova-micro",),
)


def fold(value):
    """Write a template's value as text, each reference by its name."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return separator.join(map(fold, parts))
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case _:
            return value


@pytest.fixture(scope="module")
def template():
    stage = STAGES["dev"]
    return Template.from_stack(TunestackStack(App(), "T", stage=stage, region="us-east-1"))


@pytest.fixture(scope="module")
def published(template):
    (parameter,) = template.find_resources("AWS::SSM::Parameter").values()
    return parameter["Properties"]


def test_the_parameter_holds_a_deployment_that_the_sdk_reads(published):
    deployment = Deployment.from_json(fold(published["Value"]), origin="test")
    assert parameter_name("dev") == published["Name"]
    assert "us-east-1" == deployment.region
    assert ("nova-micro", "nova-lite", "nova-pro", "nova-2-lite") == deployment.base_models
    assert deployment.data_locations[0].startswith(f"s3://{deployment.data_bucket}/")
    assert deployment.datasets_prefix in deployment.data_locations[0]


def test_the_outputs_are_the_environment_variables(template, published):
    deployment = Deployment.from_json(fold(published["Value"]), origin="test")
    outputs = {
        output["Description"].removeprefix("export "): fold(output["Value"])
        for output in template.find_outputs("*").values()
        if output["Description"].startswith("export ")
    }
    assert deployment.environment() == outputs


def test_the_document_of_the_longest_stage_fits_into_a_standard_parameter():
    longest = Stage(
        name="a" * 20,
        regions=("ap-southeast-1", "us-east-1", "us-west-2"),
        base_models=STAGES["dev"].base_models,
        data_prefix="p" * 60,
    )
    deployment = Deployment(
        stage=longest.name,
        region="ap-southeast-1",
        account="1" * 12,
        data_bucket="b" * 63,
        data_prefix=longest.data_prefix,
        data_key_arn="k" * 80,
        data_locations=tuple(f"s3://{'b' * 63}/{'p' * 60}/{place}/" for place in range(5)),
        job_role_arn="r" * 100,
        base_models=tuple(longest.base_models),
    )
    assert len(deployment.to_json()) < 4096


def test_it_survives_the_way_through_json_and_through_the_environment():
    assert DEPLOYMENT == Deployment.from_json(DEPLOYMENT.to_json(), origin="test")
    assert DEPLOYMENT == Deployment.from_environment(DEPLOYMENT.environment())


def test_the_bucket_the_role_and_a_region_are_enough():
    seeds = {
        name: value
        for name, value in DEPLOYMENT.environment().items()
        if name in ("DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN", "AWS_REGION")
    }
    found = Deployment.from_environment(seeds)
    assert ("data", "123456789012", "us-east-1") == (found.data_bucket, found.account, found.region)
    assert Deployment.from_environment(seeds | {"AWS_REGION": "", "AWS_DEFAULT_REGION": "x"})
    assert Deployment.from_environment({"AWS_REGION": "us-east-1"}) is None


def test_a_field_of_a_newer_version_is_ignored():
    newer = json.loads(DEPLOYMENT.to_json()) | {"event_queue": "q"}
    assert DEPLOYMENT == Deployment.from_json(json.dumps(newer), origin="test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "run `cdk deploy` again"),
        ("[]", "run `cdk deploy` again"),
        ('{"version": 2}', "upgrade whichever is older"),
        ('{"version": 1, "region": "us-east-1"}', "job_role_arn"),
        (DEPLOYMENT.to_json().replace('"data",', '{"x": 1},', 1), "unexpected data_bucket"),
    ],
)
def test_a_bad_document_is_one_clear_error(text, words):
    with pytest.raises(ContractError, match=words):
        Deployment.from_json(text, origin="SSM parameter '/x'")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DSPY_BEDROCK_ROLE_ARN": ""}, "DSPY_BEDROCK_ROLE_ARN is not"),
        ({"DSPY_BEDROCK_S3_BUCKET": ""}, "DSPY_BEDROCK_S3_BUCKET is not"),
        ({"DSPY_BEDROCK_ROLE_ARN": "me"}, "is not the ARN of a role"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "AWS_REGION is not"),
    ],
)
def test_half_of_the_variables_is_an_error_that_names_the_other_half(changes, words):
    environment = DEPLOYMENT.environment() | {"TUNESTACK_DEPLOYMENT": ""} | changes
    with pytest.raises(ContractError, match=words):
        Deployment.from_environment(environment)


def test_variables_that_contradict_each_other_are_an_error():
    environment = DEPLOYMENT.environment() | {"DSPY_BEDROCK_S3_BUCKET": "other"}
    with pytest.raises(ContractError, match="contradicts TUNESTACK_DEPLOYMENT"):
        Deployment.from_environment(environment)


def test_a_stage_name_that_is_no_path_segment_is_an_error():
    with pytest.raises(ContractError, match="no stage name"):
        parameter_name("../prod")
