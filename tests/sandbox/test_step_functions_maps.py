"""Distributed maps of Step Functions: items of a manifest in S3, and as many jobs at once as allowed."""

import json

import boto3
import pytest

from tests.sandbox.state_machines import (
    HOUR,
    JOBS,
    PASS_ROLE,
    Account,
    build_job_machine,
    build_machine,
    to_parameters,
)
from tunestack_sandbox.bedrock import Quotas

pytestmark = pytest.mark.as_root


@pytest.fixture
def account(sandbox):
    return Account(boto3.Session())


def build_map(processor, **fields):
    """Build a state machine with a distributed Map state."""
    return build_machine(
        "All",
        All={
            "Type": "Map",
            "ItemProcessor": {
                **processor,
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            },
            "End": True,
            **fields,
        },
    )


def list_jobs(**filters):
    """Return the jobs in us-east-1."""
    response = boto3.client("bedrock").list_model_customization_jobs(**filters)
    return response["modelCustomizationJobSummaries"]


READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSONL"},
    "Arguments": {"Bucket": "{% $states.input.bucket %}", "Key": "{% $states.input.key %}"},
}


def test_a_manifest_of_jobs_runs_in_the_slots_of_the_account(sandbox, account, job_request):
    sandbox.quotas = Quotas(jobs=2)
    requests = [to_parameters(job_request(f"job-{number}")) for number in range(8)]
    bucket = sandbox.deployment().data_bucket
    boto3.client("s3").put_object(
        Bucket=bucket, Key="runs/1.jsonl", Body="\n".join(json.dumps(row) for row in requests)
    )
    definition = build_map(
        build_job_machine(),
        ItemReader=READER,
        MaxConcurrency="{% $states.input.slots %}",
        Output="{% $count($states.result[$ = 'Completed']) %}",
    )
    machine = account.create(definition, account.create_role(JOBS, PASS_ROLE))
    execution = account.start(machine, {"bucket": bucket, "key": "runs/1.jsonl", "slots": 2})
    sandbox.clock.advance(0)
    running = []
    while account.describe(execution)["status"] == "RUNNING":
        sandbox.clock.advance(0.25 * HOUR)
        running.append(len(list_jobs(statusEquals="InProgress")))
    description = account.describe(execution)
    assert (description["status"], description["output"]) == ("SUCCEEDED", "8")
    assert max(running) == 2
    jobs = list_jobs()
    one = max(job["endTime"] - job["creationTime"] for job in jobs)
    assert len(jobs) == 8
    # Each job is noticed by a poll at most ten minutes after its end.
    assert description["stopDate"] - description["startDate"] < 4 * one + 4 * HOUR / 6


def test_items_and_their_selector_can_be_expressions(sandbox, account):
    passing = {"Type": "Pass", "Output": "{% $states.input.sum %}", "End": True}
    definition = build_map(
        build_machine("Pass", Pass=passing),
        Items="{% [1..3] %}",
        ItemSelector={"sum": "{% $states.context.Map.Item.Value + $states.input.offset %}"},
    )
    execution = account.start(account.create(definition, account.create_role()), {"offset": 10})
    sandbox.clock.advance(0)
    assert json.loads(account.describe(execution)["output"]) == [11, 12, 13]


def test_a_failed_item_fails_the_map_beyond_the_tolerated_number(sandbox, account):
    failing = {"Type": "Fail", "Error": "Bad"}
    for tolerated, status in ((1, "FAILED"), (2, "SUCCEEDED")):
        definition = build_map(
            build_machine("Fail", Fail=failing),
            Items="{% [1..2] %}",
            ToleratedFailureCount=tolerated,
            Output="{% $states.context.State.Name %}",
        )
        execution = account.start(account.create(definition, account.create_role()))
        sandbox.clock.advance(0)
        assert account.describe(execution)["status"] == status
