"""Three stages in two accounts with the real CDK CLI: deploy, update and destroy."""

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.infra.cdk_cli import run_cdk
from tests.infra.example_stages import ROOT
from tunestack.deployment import Deployment
from tunestack_sandbox import Sandbox

SHARED, PROD = "111122223333", "444455556666"
STAGES_FILE = ROOT / "examples/stages/three_stages.py"
ACCOUNTS = {"dev": SHARED, "test": SHARED, "prod": PROD}


@pytest.fixture(scope="module")
def empty_sandbox():
    with Sandbox(empty=True) as sandbox:
        yield sandbox


@pytest.fixture
def cdk(empty_sandbox, tmp_path):
    """Run the CLI with the credentials of an account, by default on the assembly of the example stages."""
    assembly = tmp_path / "assembly"

    def run(account, *arguments, app=("--app", str(assembly)), exit_code=0):
        environment = empty_sandbox.environment() | {
            "AWS_ACCESS_KEY_ID": account,
            "CDK_HOME": str(tmp_path / "home"),
            "NO_COLOR": "1",
        }
        return run_cdk(*arguments, *app, environment=environment, exit_code=exit_code)

    run(SHARED, "synth", "--quiet", app=get_app_options(STAGES_FILE, assembly))
    return run


def get_app_options(stages, output):
    """Return the options that synthesize a file of stages to a cloud assembly."""
    return "-c", f"stages={stages}", "--output", str(output)


def read_deployment(sandbox, stage):
    """Read the deployment from the SSM parameter in the account of the stage."""
    ssm = boto3.client(
        "ssm",
        "us-east-1",
        endpoint_url=sandbox.variables()["AWS_ENDPOINT_URL"],
        aws_access_key_id=ACCOUNTS[stage],
        aws_secret_access_key="x",
    )
    name = f"/tunestack/{stage}/deployment"
    return Deployment.from_json(ssm.get_parameter(Name=name)["Parameter"]["Value"], origin=name)


@pytest.mark.campaign
def test_three_stages_in_two_accounts(cdk, empty_sandbox, tmp_path):
    for account in (SHARED, PROD):
        cdk(account, "bootstrap", f"aws://{account}/us-east-1")
    # The emulator does not support budgets, and the stack creates none without an alert address.
    no_alerts = ("--parameters", "Tunestack-prod-us-east-1:AlertEmail=")
    deploy = ("deploy", "--require-approval", "never")
    cdk(SHARED, *deploy, "Tunestack-dev-us-east-1", "Tunestack-test-us-east-1")
    cdk(PROD, *deploy, "Tunestack-prod-us-east-1", *no_alerts)
    deployments = {stage: read_deployment(empty_sandbox, stage) for stage in ACCOUNTS}
    assert {stage: row.account for stage, row in deployments.items()} == ACCOUNTS
    assert len({row.data_bucket for row in deployments.values()}) == 3
    prod = deployments["prod"]
    assert prod.max_endpoint_hours == 72
    assert prod.model_key_arn
    assert prod.subnet_ids

    changed_file = tmp_path / "changed.py"
    changed_file.write_text(
        STAGES_FILE.read_text().replace("max_endpoint_hours=72", "max_endpoint_hours=48")
    )
    app = get_app_options(changed_file, tmp_path / "changed")
    cdk(PROD, *deploy, "Tunestack-prod-us-east-1", *no_alerts, app=app)
    updated = read_deployment(empty_sandbox, "prod")
    assert updated.max_endpoint_hours == 48
    # The update does not replace the resources that contain data.
    assert updated.data_bucket == prod.data_bucket
    assert updated.data_key_arn == prod.data_key_arn

    # A stage that retains its data has termination protection.
    output = cdk(SHARED, "destroy", "--force", "Tunestack-test-us-east-1", exit_code=1)
    assert "TerminationProtection is enabled" in output
    assert read_deployment(empty_sandbox, "test")
    assert "destroyed" in cdk(SHARED, "destroy", "--force", "Tunestack-dev-us-east-1")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        read_deployment(empty_sandbox, "dev")
