"""The real CDK CLI against the sandbox, as a platform team types it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tunestack.deployment import Deployment
from tunestack_sandbox import Sandbox

ROOT = Path(__file__).parents[2]
STACKS = ("Tunestack-dev-us-east-1", "Tunestack-dev-us-west-2")
PACKAGED = ROOT / "sandbox/src/tunestack_sandbox/templates"


@pytest.fixture(scope="module")
def empty():
    with Sandbox(empty=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def cdk(empty, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cdk")
    environment = empty.environment() | {"CDK_HOME": str(folder / "home"), "NO_COLOR": "1"}
    program = shutil.which("cdk", path=f"{ROOT}/node_modules/.bin:{os.environ['PATH']}")

    def run(*arguments, code=0):
        done = subprocess.run(
            [program, *arguments, "--no-notices", "--app", str(folder / "assembly")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert code == done.returncode, done.stdout
        return done.stdout

    done = subprocess.run(
        [program, "synth", "--quiet", "--no-notices", "--output", str(folder / "assembly")],
        cwd=ROOT,
        # Neither network nor credentials: the sandbox is not even named.
        env={name: value for name, value in environment.items() if not name.startswith("AWS_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    run.folder = folder
    return run


def test_the_sandbox_carries_the_templates_of_this_synth(cdk):
    """If it fails: `npx cdk synth -q && cp cdk.out/*.template.json sandbox/src/tunestack_sandbox/templates/`."""
    for stack in STACKS:
        name = f"{stack}.template.json"
        assert json.loads((cdk.folder / "assembly" / name).read_text()) == json.loads(
            (PACKAGED / name).read_text()
        )
    assert 2 == len(list(PACKAGED.glob("*.template.json")))


def test_a_new_account_is_deployed_updated_and_emptied(cdk, empty):
    outputs = cdk.folder / "outputs.json"
    cdk("bootstrap")
    new = cdk("diff", "--all")
    assert new.count("[+] AWS::S3::Bucket ") == 2 * len(STACKS)

    cdk("deploy", "--all", "--require-approval", "never", "--outputs-file", str(outputs))
    published = json.loads(outputs.read_text())
    assert set(STACKS) == published.keys()
    for stack in STACKS:
        deployment = Deployment.from_json(
            published[stack]["TunestackDeployment"], origin="the outputs"
        )
        assert empty.deployment(deployment.region) == deployment
        assert deployment.data_bucket == published[stack]["DspyBedrockS3Bucket"]
        assert deployment.job_role_arn == published[stack]["DspyBedrockRoleArn"]
        assert "AmazonBedrock" in deployment.job_role_arn

    again = cdk("deploy", "--all", "--require-approval", "never")
    assert again.count("(no changes)") == len(STACKS)
    assert "Number of stacks with differences: 0" in cdk("diff", "--all", "--fail")

    gone = cdk("destroy", "--all", "--force")
    assert gone.count("destroyed") >= len(STACKS)
