"""The real CDK CLI against the sandbox, with the commands of the documentation."""

import json

import pytest

from tests.infra.cdk_cli import run_cdk
from tests.infra.example_stages import ROOT
from tunestack.deployment import Deployment
from tunestack_sandbox import Sandbox

STACKS = ("Tunestack-dev-us-east-1", "Tunestack-dev-us-west-2")
PACKAGED_TEMPLATES = ROOT / "sandbox/src/tunestack_sandbox/templates"


@pytest.fixture(scope="module")
def empty_sandbox():
    with Sandbox(empty=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cdk")


@pytest.fixture(scope="module")
def cdk(empty_sandbox, folder):
    """Run the CLI on an assembly that is synthesized once."""
    environment = empty_sandbox.environment() | {"CDK_HOME": str(folder / "home"), "NO_COLOR": "1"}
    assembly = str(folder / "assembly")
    # Synthesis has neither network nor credentials.
    without_aws = {
        name: value for name, value in environment.items() if not name.startswith("AWS_")
    }
    run_cdk("synth", "--quiet", "--output", assembly, environment=without_aws)

    def run(*arguments):
        return run_cdk(*arguments, "--app", assembly, environment=environment)

    return run


def test_packaged_templates_of_the_sandbox_are_up_to_date(cdk, folder):
    """To fix it: `npx cdk synth -q && cp cdk.out/*.template.json sandbox/src/tunestack_sandbox/templates/`."""
    for stack in STACKS:
        name = f"{stack}.template.json"
        packaged = json.loads((PACKAGED_TEMPLATES / name).read_text())
        assert packaged == json.loads((folder / "assembly" / name).read_text())
    assert len(list(PACKAGED_TEMPLATES.glob("*.template.json"))) == 2


def test_new_account_is_bootstrapped_deployed_updated_and_destroyed(cdk, empty_sandbox, folder):
    outputs_file = folder / "outputs.json"
    cdk("bootstrap")
    diff = cdk("diff", "--all")
    assert diff.count("[+] AWS::S3::Bucket ") == 2 * len(STACKS)

    cdk("deploy", "--all", "--require-approval", "never", "--outputs-file", str(outputs_file))
    outputs = json.loads(outputs_file.read_text())
    assert outputs.keys() == set(STACKS)
    for stack in STACKS:
        deployment = Deployment.from_json(
            outputs[stack]["TunestackDeployment"], origin="the outputs"
        )
        assert deployment == empty_sandbox.deployment(deployment.region)
        assert outputs[stack]["DspyBedrockS3Bucket"] == deployment.data_bucket
        assert outputs[stack]["DspyBedrockRoleArn"] == deployment.job_role_arn
        assert "AmazonBedrock" in deployment.job_role_arn

    second_deploy = cdk("deploy", "--all", "--require-approval", "never")
    assert second_deploy.count("(no changes)") == len(STACKS)
    assert "Number of stacks with differences: 0" in cdk("diff", "--all", "--fail")

    destroy = cdk("destroy", "--all", "--force")
    assert destroy.count("destroyed") >= len(STACKS)
