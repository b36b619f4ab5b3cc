"""The contract between the stacks and the SDK: the deployment in the SSM parameter, the outputs and the environment."""

import json

import pytest

from tunestack.catalog import CATALOG
from tunestack.deployment import Deployment, parameter_name
from tunestack.errors import DeploymentError
from tunestack_cdk.stage import DataLocation, Network, Stage

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


def change_document(**fields):
    return json.dumps(json.loads(DEPLOYMENT.to_json()) | fields)


def flatten(value):
    """Return a value of a template as text, with each reference replaced by its name."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return separator.join(map(flatten, parts))
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case _:
            return value


@pytest.fixture(scope="module")
def published(template):
    (parameter,) = template.find_resources("AWS::SSM::Parameter").values()
    return parameter["Properties"]


def test_sdk_reads_the_deployment_from_the_parameter(published):
    deployment = Deployment.from_json(flatten(published["Value"]), origin="test")
    assert published["Name"] == parameter_name("dev")
    assert deployment.region == "us-east-1"
    assert deployment.base_models == ("nova-micro", "nova-lite", "nova-pro", "nova-2-lite")
    assert deployment.data_locations[0].startswith(f"s3://{deployment.data_bucket}/")
    assert deployment.datasets_prefix in deployment.data_locations[0]


def test_outputs_are_the_environment_variables(template, published):
    deployment = Deployment.from_json(flatten(published["Value"]), origin="test")
    outputs = {
        output["Description"].removeprefix("export "): flatten(output["Value"])
        for output in template.find_outputs("*").values()
        if output["Description"].startswith("export ")
    }
    assert outputs == deployment.environment()


def test_longest_document_fits_into_a_standard_parameter(synthesized):
    """AWS rejects more than 4,096 characters, the emulator does not."""
    base_models = [model.key for model in CATALOG if "us-west-2" in model.regions]
    longest = Stage(
        name="a" * 20,
        regions=("us-west-2",),
        base_models=tuple(base_models),
        data_prefix="p" * 50,
        model_key=True,
        network=Network(
            vpc_id="vpc-0a1b2c3d", subnet_ids=tuple(f"subnet-0123456789abcde{n}f" for n in range(4))
        ),
        extra_data_locations=tuple(
            DataLocation(uri=f"s3://{'b' * 63}/{'p' * 20}{number}/", owner="1" * 12)
            for number in range(5)
        ),
    )
    (parameter,) = synthesized(longest, "us-west-2").find_resources("AWS::SSM::Parameter").values()
    references = json.dumps(parameter["Properties"]["Value"]).count('"Ref"') + 3
    # An ARN or name has less than 130 characters.
    assert len(flatten(parameter["Properties"]["Value"])) + references * 130 < 4096


def test_deployment_round_trips_through_json_and_the_environment():
    assert Deployment.from_json(DEPLOYMENT.to_json(), origin="test") == DEPLOYMENT
    assert Deployment.from_environment(DEPLOYMENT.environment()) == DEPLOYMENT


def test_bucket_role_and_region_are_sufficient():
    variables = {
        name: value
        for name, value in DEPLOYMENT.environment().items()
        if name in ("DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN", "AWS_REGION")
    }
    deployment = Deployment.from_environment(variables)
    assert deployment is not None
    assert deployment.data_bucket == "data"
    assert deployment.account == "123456789012"
    assert deployment.region == "us-east-1"
    assert Deployment.from_environment(
        variables | {"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"}
    )
    assert Deployment.from_environment({"AWS_REGION": "us-east-1"}) is None
    del variables["AWS_REGION"]
    deployment = Deployment.from_environment(variables, region="eu-west-1")
    assert deployment is not None
    assert deployment.region == "eu-west-1"


def test_unknown_field_of_a_newer_version_is_ignored():
    newer = json.loads(DEPLOYMENT.to_json()) | {"event_queue": "q"}
    assert Deployment.from_json(json.dumps(newer), origin="test") == DEPLOYMENT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "run `cdk deploy` again"),
        ("[]", "run `cdk deploy` again"),
        ('{"version": 2}', "upgrade the older one"),
        ('{"version": 1, "region": "us-east-1"}', "required field `account`"),
        ("[" * 100_000, "run `cdk deploy` again"),
        (change_document(data_bucket=5), r"Expected `str`, got `int` - at `\$.data_bucket`"),
        (change_document(data_bucket=None), "Expected `str`, got `null`"),
        (change_document(base_models="nova-micro"), "Expected `array`, got `str`"),
        (change_document(base_models=[1]), "base_models"),
        (change_document(version=True), "version True"),
    ],
)
def test_invalid_document_raises_deployment_error(text, message):
    with pytest.raises(DeploymentError, match=message):
        Deployment.from_json(text, origin="SSM parameter '/x'")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DSPY_BEDROCK_ROLE_ARN": ""}, "DSPY_BEDROCK_ROLE_ARN is not"),
        ({"DSPY_BEDROCK_S3_BUCKET": ""}, "DSPY_BEDROCK_S3_BUCKET is not"),
        ({"DSPY_BEDROCK_ROLE_ARN": "me"}, "is not the ARN of a role"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "AWS_REGION is not"),
    ],
)
def test_error_about_missing_variables_names_them(changes, message):
    environment = DEPLOYMENT.environment() | {"TUNESTACK_DEPLOYMENT": ""} | changes
    with pytest.raises(DeploymentError, match=message):
        Deployment.from_environment(environment)


def test_contradictory_variables_raise_deployment_error():
    environment = DEPLOYMENT.environment() | {"DSPY_BEDROCK_S3_BUCKET": "other"}
    with pytest.raises(DeploymentError, match="contradicts TUNESTACK_DEPLOYMENT"):
        Deployment.from_environment(environment)


def test_invalid_stage_name_raises_deployment_error():
    with pytest.raises(DeploymentError, match="invalid stage"):
        parameter_name("../prod")
