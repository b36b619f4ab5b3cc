"""Runs that a schedule of the stage starts, with the permissions of its roles only."""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.day import AS_OF
from tests.sdk.evaluation_stage import STAGE, deploy_stage
from tests.sdk.run_specs import ROWS, build_specs
from tests.waiting import wait_until
from tunestack import ConfigError, NotFoundError, Poll, RunEvaluation, RunState, Tuner
from tunestack.cli.commands import run as run_command
from tunestack_cdk import RunSchedule
from tunestack_sandbox import Sandbox

pytestmark = pytest.mark.as_root
SCHEDULED = STAGE.model_copy(
    update={"run_schedules": (RunSchedule(name="nightly", expression="cron(0 2 * * ? *)"),)}
)
SWEEP = """
promote = "nightly-tickets"

[job]
model = "nova-micro"
data = "train.jsonl"

[evaluate]
data = "train.jsonl"
metrics = ["token_f1"]
require = ["token_f1>=base+0.05"]
"""
FOLDER = "tunestack/datasets/schedules/"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def scheduling_sandbox(count_traffic, sweep_rules):
    with Sandbox(speed=1, as_of=AS_OF, enforce_iam=True) as sandbox:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in sandbox.environment().items():
                patch.setenv(name, value)
            deploy_stage(SCHEDULED)
        for client, rule in sweep_rules(sandbox):
            client.disable_rule(Name=rule)
        yield sandbox
    count_traffic(sandbox.traffic)


@pytest.fixture
def tuner(scheduling_sandbox, monkeypatch):
    """Return a tuner of the stage."""
    sandbox = scheduling_sandbox
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("TUNESTACK_DEPLOYMENT", "DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNESTACK_STAGE", "eval")
    poll = Poll(longest=240, sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
    yield Tuner(stage="eval", poll=poll)
    sandbox.reset()


@pytest.fixture
def bucket(tuner):
    parameter = boto3.client("ssm").get_parameter(Name="/tunestack/eval/deployment")
    return json.loads(parameter["Parameter"]["Value"])["data_bucket"]


@pytest.fixture
def upload(bucket):
    """Return a function that writes a file beside the sweep file, and returns its location."""

    def write(name, content):
        boto3.client("s3").put_object(Bucket=bucket, Key=FOLDER + name, Body=content)
        return f"s3://{bucket}/{FOLDER}{name}"

    return write


def remove_permission(action):
    """Remove an action from the policy of the function that evaluates."""
    iam = boto3.client("iam")
    (policy,) = [
        row["Arn"]
        for row in iam.list_policies(Scope="Local")["Policies"]
        if "RunEvaluatorPolicy" in row["PolicyName"]
    ]
    version = iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"]
    document: Any = iam.get_policy_version(PolicyArn=policy, VersionId=version)
    text = json.dumps(document["PolicyVersion"]["Document"])
    assert f'"{action}"' in text
    iam.create_policy_version(
        PolicyArn=policy,
        PolicyDocument=text.replace(action, "bedrock:GetCustomModelDeployment"),
        SetAsDefault=True,
    )


def to_jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def count_messages(name):
    sqs = boto3.client("sqs")
    (url,) = [row for row in sqs.list_queues()["QueueUrls"] if name in row]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return answer["Attributes"]["ApproximateNumberOfMessages"]


def test_run_starts_every_night_that_the_data_has_changed(
    tuner, upload, scheduling_sandbox, capsys
):
    location = upload("nightly.toml", SWEEP)
    upload("train.jsonl", to_jsonl(ROWS))
    scheduling_sandbox.clock.advance(DAY)
    assert wait_until(lambda: len(list(tuner.runs())) == 1)
    (first,) = tuner.runs()
    assert first.name.startswith("nightly-")
    assert first.wait().state is RunState.SUCCEEDED, first.info.failure
    assert first.evaluation().promotion["name"] == "nightly-tickets"

    assert tuner.start_sweep(location).id == first.id, "the data has not changed"
    assert run_command(["runs", "start", location, "--dry-run"]) == 0
    assert "existing: 1 jobs have the same content" in capsys.readouterr().out

    upload("train.jsonl", to_jsonl([*ROWS, *ROWS[:3]]))
    scheduling_sandbox.clock.advance(DAY)
    assert wait_until(lambda: len(list(tuner.runs())) == 2), "the data has changed"
    next(tuner.runs()).cancel()


def test_evaluation_needs_the_permissions_of_its_role(tuner, capsys):
    """Negative control of the test above: the roles are enforced."""
    remove_permission("bedrock:CreateCustomModelDeployment")
    evaluation = RunEvaluation(data=ROWS, metrics=["token_f1"])
    run = tuner.start_run(build_specs(1), evaluate=evaluation).wait()
    assert run.state is RunState.FAILED
    assert "bedrock:CreateCustomModelDeployment" in run.info.failure
    assert run.counts() == {"succeeded": 1}
    assert run_command(["runs", "watch", run.name]) == 1
    assert f"run {run.name} failed: " in capsys.readouterr().err


def test_start_that_fails_is_a_dead_letter_and_starts_nothing(tuner, upload, scheduling_sandbox):
    upload("nightly.toml", SWEEP.replace("token_f1", "guessed"))
    upload("train.jsonl", to_jsonl(ROWS))
    scheduling_sandbox.clock.advance(DAY)
    assert wait_until(lambda: count_messages("RunSchedulesDeadLetters") == "1")
    assert list(tuner.runs()) == []
    assert list(tuner.jobs()) == []


def test_sweep_file_that_does_not_exist_is_named(tuner, bucket):
    with pytest.raises(NotFoundError, match=r"none\.toml"):
        tuner.start_sweep(f"s3://{bucket}/{FOLDER}none.toml")


def test_sweep_file_that_is_not_toml_is_named(tuner, upload):
    location = upload("broken.toml", b"\xff")
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML"):
        tuner.start_sweep(location)
