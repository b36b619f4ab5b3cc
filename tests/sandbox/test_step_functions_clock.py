"""Step Functions and the sandbox's clock: waits, intervals of retries, timeouts, and executions that are stopped."""

import json
import time
from datetime import timedelta
from itertools import pairwise

import boto3
import pytest

from tests.sandbox.state_machines import (
    HOUR,
    JOBS,
    PASS_ROLE,
    Account,
    build_machine,
    build_task,
    to_parameters,
)
from tunestack_sandbox import Sandbox

pytestmark = pytest.mark.as_root
LIST_JOBS = {"Effect": "Allow", "Action": "bedrock:ListModelCustomizationJobs", "Resource": "*"}


def build_wait(seconds, **fields):
    """Build a Wait state."""
    return {
        "Type": "Wait",
        "Seconds": seconds,
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


@pytest.fixture
def account(sandbox):
    return Account(boto3.Session())


@pytest.fixture
def start(account):
    """Return a function that creates a state machine and starts an execution."""

    def create_and_start(definition, *statements, value=None):
        return account.start(account.create(definition, account.create_role(*statements)), value)

    return create_and_start


def test_a_wait_ends_with_the_clock_and_not_before(sandbox, account, start):
    execution = start(build_machine("Wait", Wait=build_wait(6 * 3600)))
    began = time.monotonic()
    sandbox.clock.advance(6 * HOUR - timedelta(seconds=30))
    assert account.describe(execution)["status"] == "RUNNING"
    sandbox.clock.advance(30)
    assert account.describe(execution)["status"] == "SUCCEEDED"
    assert time.monotonic() - began < 30
    entered, exited = (
        next(
            event["timestamp"] for event in account.list_events(execution) if event["type"] == kind
        )
        for kind in ("WaitStateEntered", "WaitStateExited")
    )
    assert exited - entered == pytest.approx(6 * HOUR, abs=timedelta(seconds=1))


def test_one_advance_of_the_clock_runs_all_waits_at_their_times(sandbox, account, start):
    waits = {
        f"Wait{number}": build_wait(3600, **({"Next": f"Wait{number + 1}"} if number < 9 else {}))
        for number in range(10)
    }
    execution = start(build_machine("Wait0", **waits))
    sandbox.clock.advance(24 * HOUR)
    exits = [
        event["timestamp"]
        for event in account.list_events(execution)
        if event["type"] == "WaitStateExited"
    ]
    gaps = [later - earlier for earlier, later in pairwise(exits)]
    assert gaps == [pytest.approx(HOUR, abs=timedelta(seconds=1))] * 9


def test_a_wait_until_a_time_ends_at_this_time(sandbox, account, start):
    until = sandbox.clock.now() + 3 * HOUR
    wait = {"Type": "Wait", "Timestamp": "{% $states.input.until %}", "End": True}
    execution = start(build_machine("Wait", Wait=wait), value={"until": until.isoformat()})
    sandbox.clock.advance(2 * HOUR)
    assert account.describe(execution)["status"] == "RUNNING"
    sandbox.clock.advance(HOUR)
    stopped = account.describe(execution)["stopDate"]
    assert stopped - until == pytest.approx(timedelta(0), abs=timedelta(seconds=1))


def test_intervals_of_retries_follow_the_clock_up_to_their_maximum(sandbox, account, start):
    sandbox.faults.add("throttle", operation="ListModelCustomizationJobs", times=4)
    retry = {
        "ErrorEquals": ["Bedrock.ThrottlingException"],
        "IntervalSeconds": 3600,
        "BackoffRate": 2,
        "MaxDelaySeconds": 10_800,
        "MaxAttempts": 5,
    }
    task = build_task("listModelCustomizationJobs", {}, Retry=[retry])
    execution = start(build_machine("Task", Task=task), LIST_JOBS)
    sandbox.clock.advance(24 * HOUR)
    assert account.describe(execution)["status"] == "SUCCEEDED"
    scheduled = [
        event["timestamp"]
        for event in account.list_events(execution)
        if event["type"] == "TaskScheduled"
    ]
    hours = [round((later - earlier) / HOUR, 2) for earlier, later in pairwise(scheduled)]
    assert hours == [1, 2, 3, 3]


def test_jitter_is_reproducible_and_below_the_interval(sandbox, account):
    def measure():
        sandbox.faults.add("throttle", operation="ListModelCustomizationJobs", times=1)
        execution = account.states.start_execution(stateMachineArn=machine, name="jitter")
        sandbox.clock.advance(24 * HOUR)
        description = account.describe(execution["executionArn"])
        sandbox.reset()
        return (description["stopDate"] - description["startDate"]).total_seconds()

    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 36_000, "JitterStrategy": "FULL"}
    task = build_task("listModelCustomizationJobs", {}, Retry=[retry])
    machine = account.create(build_machine("Task", Task=task), account.create_role(LIST_JOBS))
    first, second = measure(), measure()
    assert first == pytest.approx(second, abs=2)
    assert 0 < first < 36_000


def test_a_machine_times_out_at_its_time(sandbox, account, start):
    machine = {**build_machine("Wait", Wait=build_wait(36_000)), "TimeoutSeconds": 7200}
    execution = start(machine)
    sandbox.clock.advance(24 * HOUR)
    description = account.describe(execution)
    assert description["status"] == "TIMED_OUT"
    assert description["stopDate"] - description["startDate"] == pytest.approx(
        2 * HOUR, abs=timedelta(seconds=1)
    )
    assert account.list_events(execution)[-1]["type"] == "ExecutionTimedOut"


def test_a_task_times_out_while_its_request_is_slow(sandbox, account, start):
    sandbox.faults.add("slow", operation="ListModelCustomizationJobs", seconds=3, times=1)
    task = build_task("listModelCustomizationJobs", {}, TimeoutSeconds=1)
    execution = start(build_machine("Task", Task=task), LIST_JOBS)
    sandbox.clock.advance(1)
    assert account.describe(execution)["error"] == "States.Timeout"
    (event,) = (row for row in account.list_events(execution) if row["type"] == "TaskTimedOut")
    assert event["taskTimedOutEventDetails"]["resource"] == "listModelCustomizationJobs"
    assert event["taskTimedOutEventDetails"]["resourceType"] == "aws-sdk:bedrock"


@pytest.fixture
def wait_for_token(account, start):
    """Return the execution of a task that waits for its token for an hour, and the token from the queue."""
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="tokens")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken",
        "Arguments": {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"},
        "TimeoutSeconds": 3600,
        "End": True,
    }
    allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    execution = start(build_machine("Task", Task=task), allowed)
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    yield execution, message["Body"]
    sqs.delete_queue(QueueUrl=queue)


def test_a_task_waits_for_its_token(sandbox, account, wait_for_token):
    execution, token = wait_for_token
    sandbox.clock.advance(0.9 * HOUR)
    assert account.describe(execution)["status"] == "RUNNING"
    account.states.send_task_success(taskToken=token, output='{"number": 1}')
    sandbox.clock.advance(0)
    assert account.describe(execution)["output"] == '{"number": 1}'


def test_a_task_times_out_without_its_token(sandbox, account, wait_for_token):
    execution, _ = wait_for_token
    sandbox.clock.advance(24 * HOUR)
    description = account.describe(execution)
    assert description["error"] == "States.Timeout"
    assert description["stopDate"] - description["startDate"] == pytest.approx(
        HOUR, abs=timedelta(seconds=5)
    )


def test_a_stopped_execution_calls_nothing_more(sandbox, account, start, job_request):
    item = build_machine(
        "Wait",
        Wait=build_wait(3600, Next="Create"),
        Create=build_task("createModelCustomizationJob", "{% $states.input %}"),
    )
    machine = build_machine(
        "All",
        All={
            "Type": "Map",
            "Items": "{% $states.input.jobs %}",
            "MaxConcurrency": 1,
            "ItemProcessor": item,
            "End": True,
        },
    )
    jobs = [to_parameters(job_request(name)) for name in ("a", "b")]
    execution = start(machine, JOBS, PASS_ROLE, value={"jobs": jobs})
    sandbox.clock.advance(1.5 * HOUR)
    account.states.stop_execution(executionArn=execution)
    sandbox.clock.advance(24 * HOUR)
    created = boto3.client("bedrock").list_model_customization_jobs()
    assert [job["jobName"] for job in created["modelCustomizationJobSummaries"]] == ["a"]
    assert account.list_events(execution)[-1]["type"] == "ExecutionAborted"


def test_a_map_runs_as_many_items_at_once_as_allowed(sandbox, account, start):
    machine = build_machine(
        "All",
        All={
            "Type": "Map",
            "Items": "{% [1..6] %}",
            "MaxConcurrency": 2,
            "ItemProcessor": build_machine("Wait", Wait=build_wait(3600)),
            "End": True,
        },
    )
    execution = start(machine)
    sandbox.clock.advance(24 * HOUR)
    description = account.describe(execution)
    assert json.loads(description["output"]) == [1, 2, 3, 4, 5, 6]
    assert description["stopDate"] - description["startDate"] == pytest.approx(
        3 * HOUR, abs=timedelta(seconds=2)
    )


def test_the_slowest_branch_ends_a_parallel_state(sandbox, account, start):
    branches = [build_machine("Wait", Wait=build_wait(hours * 3600)) for hours in (1, 5)]
    parallel = {
        "Type": "Parallel",
        "Branches": branches,
        "Arguments": {"number": "{% $states.input.number + 1 %}"},
        "Output": "{% $states.result[1].number %}",
        "End": True,
    }
    execution = start(build_machine("Both", Both=parallel), value={"number": 1})
    sandbox.clock.advance(24 * HOUR)
    description = account.describe(execution)
    assert description["output"] == "2"
    assert description["stopDate"] - description["startDate"] == pytest.approx(
        5 * HOUR, abs=timedelta(seconds=2)
    )


def test_a_reset_deletes_executions(sandbox, account, start):
    execution = start(build_machine("Wait", Wait=build_wait(3600)))
    machine = account.describe(execution)["stateMachineArn"]
    sandbox.reset()
    assert account.states.list_executions(stateMachineArn=machine)["executions"] == []


def test_waits_are_shortened_by_the_speed_of_the_sandbox(monkeypatch):
    with Sandbox(empty=True, speed=3600) as fast:
        for name, value in fast.variables().items():
            monkeypatch.setenv(name, value)
        account = Account(boto3.Session())
        machine = account.create(
            build_machine("Wait", Wait=build_wait(86_400)), account.create_role()
        )
        execution = account.start(machine)
        fast.clock.advance(12)  # time also passes by itself
        assert account.describe(execution)["status"] == "RUNNING"
        fast.clock.advance(12)
        assert account.describe(execution)["status"] == "SUCCEEDED"
