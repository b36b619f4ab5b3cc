"""Three stages in two accounts, with the real CDK CLI: deployed, updated, removed."""

import os
import shutil
import subprocess

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.infra.places import ROOT
from tunestack.deployment import Deployment
from tunestack_sandbox import Sandbox

SHARED, PROD = "111122223333", "444455556666"
STAGES = ROOT / "examples/stages/three_stages.py"
NAMES = {"dev": SHARED, "test": SHARED, "prod": PROD}


@pytest.fixture(scope="module")
def empty():
    with Sandbox(empty=True) as sandbox:
        yield sandbox


@pytest.fixture
def cdk(empty, tmp_path):
    """Runs the CLI for the accounts of a file of stages."""
    program = shutil.which("cdk", path=f"{ROOT}/node_modules/.bin:{os.environ['PATH']}")

    made = tmp_path / "made"

    def run(account, *arguments, app=("--app", str(made)), code=0):
        environment = empty.environment() | {
            "AWS_ACCESS_KEY_ID": account,
            "CDK_HOME": str(tmp_path / "home"),
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            [
                *(program, *arguments, "--no-notices"),
                *app,
            ],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert code == done.returncode, done.stdout[-3000:]
        return done.stdout

    run(SHARED, "synth", "--quiet", app=made_from(STAGES, made))
    return run


def made_from(stages, output):
    """The options that make a cloud assembly of a file of stages; what is made once can be deployed in many steps."""
    return "-c", f"stages={stages}", "--output", str(output)


def published(empty, stage):
    """What the SDK reads in the stage's account."""
    ssm = boto3.client(
        "ssm",
        "us-east-1",
        endpoint_url=empty.variables()["AWS_ENDPOINT_URL"],
        aws_access_key_id=NAMES[stage],
        aws_secret_access_key="x",
    )
    name = f"/tunestack/{stage}/deployment"
    return Deployment.from_json(ssm.get_parameter(Name=name)["Parameter"]["Value"], origin=name)


@pytest.mark.campaign
def test_three_stages_in_two_accounts(cdk, empty, tmp_path):
    for account in (SHARED, PROD):
        cdk(account, "bootstrap", f"aws://{account}/us-east-1")
    # The emulator knows no budgets: without an address, there is none.
    quiet = ("--parameters", "Tunestack-prod-us-east-1:AlertEmail=")
    deploy = ("deploy", "--require-approval", "never")
    cdk(SHARED, *deploy, "Tunestack-dev-us-east-1", "Tunestack-test-us-east-1")
    cdk(PROD, *deploy, "Tunestack-prod-us-east-1", *quiet)
    found = {stage: published(empty, stage) for stage in NAMES}
    assert {stage: deployment.account for stage, deployment in found.items()} == NAMES
    assert 3 == len({deployment.data_bucket for deployment in found.values()})
    assert 72 == found["prod"].max_endpoint_hours
    assert found["prod"].model_key_arn
    assert found["prod"].subnet_ids

    text = STAGES.read_text()
    later = tmp_path / "later.py"
    later.write_text(text.replace("max_hours=72", "max_hours=48"))
    app = made_from(later, tmp_path / "later")
    cdk(PROD, *deploy, "Tunestack-prod-us-east-1", *quiet, app=app)
    updated = published(empty, "prod")
    assert 48 == updated.max_endpoint_hours
    # What holds data is what it was.
    assert found["prod"].data_bucket == updated.data_bucket
    assert found["prod"].data_key_arn == updated.data_key_arn

    # What keeps data is protected from being removed; what does not, is removed.
    refused = cdk(SHARED, "destroy", "--force", "Tunestack-test-us-east-1", code=1)
    assert "TerminationProtection is enabled" in refused
    assert published(empty, "test")
    assert "destroyed" in cdk(SHARED, "destroy", "--force", "Tunestack-dev-us-east-1")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        published(empty, "dev")
