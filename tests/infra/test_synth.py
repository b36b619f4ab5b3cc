"""Synthesis is reproducible, and needs neither network nor credentials; every stage is valid or raises `StageError`."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template
from hypothesis import HealthCheck, given, settings

from stages import STAGES
from tests.infra.example_stages import ROOT, STAGE_REGIONS
from tests.infra.resolver import Resolver, as_list, collect_policies
from tests.infra.stage_strategies import STAGE_SETTINGS
from tunestack_cdk.stage import Stage, StageError

OTHER_MACHINE = {
    "PYTHONHASHSEED": "4242",
    "TZ": "Pacific/Kiritimati",
    "USER": "other",
    "LOGNAME": "other",
    "LC_ALL": "C",
}
CLOCK_IN_THE_FUTURE = """
const now = Date.now, D = Date;
Date.now = () => now() + 1e12;
globalThis.Date = class extends D {
  constructor(...given) { given.length ? super(...given) : super(now() + 1e12); }
};
"""
OPERATIONS = {
    "s3:ListBucket": "s3:ListObjectsV2",
    "lambda:InvokeFunction": "lambda:Invoke",
    "states:StartExecution": "stepfunctions:StartExecution",
    "states:DescribeExecution": "stepfunctions:DescribeExecution",
    "states:DescribeMapRun": "stepfunctions:DescribeMapRun",
    "states:ListExecutions": "stepfunctions:ListExecutions",
    "states:ListMapRuns": "stepfunctions:ListMapRuns",
    "states:StopExecution": "stepfunctions:StopExecution",
    "bedrock:InvokeModel": "bedrock-runtime:InvokeModel",
    "bedrock:InvokeModelWithResponseStream": "bedrock-runtime:InvokeModelWithResponseStream",
}
"""Operations of actions that have another name."""
PERMISSION_ONLY_ACTIONS = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:UpdateLogDelivery",
    "iam:PassRole",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:CreateNetworkInterfacePermission",
}
FUZZ: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


def run_app(environment):
    return subprocess.run(
        [shutil.which("python") or "python", ROOT / "app.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def synthesize(folder, **variables):
    """Run the app in a process as the CLI does; return a digest of the templates."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name != "JSII_AGENT"
    }
    completed = run_app(
        environment
        | {"CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": json.dumps(context)}
        | {"PYTHONPATH": str(ROOT)}
        | variables
    )
    assert completed.returncode == 0, completed.stderr
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.template.json")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.campaign
def test_templates_are_the_same_on_every_machine_and_in_tests(tmp_path, synthesized):
    """Machines differ in hash seed, time zone, home, user, language and date (about 30 years later)."""
    clock = tmp_path / "clock.js"
    clock.write_text(CLOCK_IN_THE_FUTURE)
    (tmp_path / "home").mkdir()
    node = {"HOME": str(tmp_path / "home"), "NODE_OPTIONS": f"--require {clock}"}
    digest = synthesize(tmp_path / "a")
    assert synthesize(tmp_path / "b", **OTHER_MACHINE, **node) == digest
    for stage in STAGES.values():
        for region in stage.regions:
            name = f"Tunestack-{stage.name}-{region}.template.json"
            from_app = json.loads((tmp_path / "a" / name).read_text())
            from_fixture = synthesized(stage, region).to_json()
            for template in (from_app, from_fixture):
                for row in template["Resources"].values():
                    row.pop("Metadata", None)
            assert from_fixture == from_app


@pytest.mark.parametrize("file", ["nowhere.py", "empty.py"])
def test_invalid_file_of_stages_is_one_error_message(tmp_path, file):
    (tmp_path / "empty.py").write_text("")
    context = {"stages": str(tmp_path / file)}
    completed = run_app(
        os.environ | {"CDK_OUTDIR": str(tmp_path / "out"), "CDK_CONTEXT_JSON": json.dumps(context)}
    )
    assert completed.returncode == 1
    assert f"invalid -c stages={tmp_path / file}" in completed.stderr
    assert "use a Python file that defines STAGES" in completed.stderr
    assert "Traceback" not in completed.stderr


@pytest.mark.parametrize(("stage", "region"), STAGE_REGIONS)
def test_every_granted_action_exists(synthesized, stage, region):
    """A misspelled action grants nothing, and AWS reports no error."""
    resources = Resolver(synthesized(stage, region).to_json(), region=region).resolve()
    session = botocore.session.get_session()
    actions = {
        action
        for rows in collect_policies(resources).values()
        for row in rows
        for action in as_list(row["Action"])
    }
    assert len(actions) > 30
    for action in actions - PERMISSION_ONLY_ACTIONS:
        service, _, operation = OPERATIONS.get(action, action).partition(":")
        model = session.get_service_model(service)
        assert operation in model.operation_names, action


def is_valid_stage(configuration, synthesized):
    """Synthesize a stage; return false if its settings are rejected with a readable message."""
    try:
        stage = Stage(**configuration)
    except StageError as error:
        message = str(error)
        assert "\n" not in message
        assert message.startswith("invalid stage ")
        assert len(message) < 4000
        return False
    for region in stage.regions[:1]:
        template = synthesized(stage, region).to_json()
        assert len(template["Resources"]) > 30
        Resolver(template, region=region).resolve()
    return True


@settings(max_examples=25, derandomize=True, **FUZZ)
@given(configuration=STAGE_SETTINGS)
def test_random_stages_are_synthesized_or_rejected(synthesized, configuration):
    is_valid_stage(configuration, synthesized)


@pytest.mark.campaign
def test_1500_random_stages_are_synthesized_or_rejected(synthesized, figure):
    results = []

    @settings(max_examples=1500, derandomize=True, **FUZZ)
    @given(configuration=STAGE_SETTINGS)
    def run(configuration):
        results.append(is_valid_stage(configuration, synthesized))

    run()
    figure(f"{len(results)} random stages: {sum(results)} synthesized, the others rejected")
    assert len(results) >= 1500
    assert 120 < sum(results) < 1380


def test_construct_works_in_another_app_as_documented():
    guide = (ROOT / "docs/infrastructure.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    my_stack = Stack(App(), "Mine", env=Environment(region="us-east-1"))
    my_role = iam.Role(my_stack, "MyRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    exec(compile(example, "guide", "exec"), {"my_stack": my_stack, "my_role": my_role})
    template = Template.from_stack(my_stack)
    (role,) = [
        row["Properties"]
        for name, row in template.find_resources("AWS::IAM::Role").items()
        if name.startswith("MyRole")
    ]
    policies = [policy["Ref"][:-8] for policy in role["ManagedPolicyArns"]]
    assert policies == ["TunestackAccessTuner", "TunestackAccessRunner"]
