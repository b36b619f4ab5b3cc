"""Step Functions: requests to Bedrock as the execution role, errors and permissions."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tests.sandbox.state_machines import (
    HOUR,
    JOBS,
    PASS_ROLE,
    TRUST,
    Account,
    build_job_machine,
    build_machine,
    build_task,
    to_parameters,
)
from tunestack_sandbox.bedrock import Quotas

MESSAGE = {"role": "user", "content": [{"text": "Hello"}]}

pytestmark = pytest.mark.as_root


@pytest.fixture
def account(sandbox):
    return Account(boto3.Session())


@pytest.fixture
def run(sandbox, account):
    """Return a function that runs a state machine with one task and returns the description of its execution."""

    def run_task(task, *statements, value=None):
        machine = account.create(build_machine("Task", Task=task), account.create_role(*statements))
        execution = account.start(machine, value)
        sandbox.clock.advance(0)
        return account.describe(execution)

    return run_task


def list_jobs(**filters):
    """Return the jobs in us-east-1."""
    response = boto3.client("bedrock").list_model_customization_jobs(**filters)
    return response["modelCustomizationJobSummaries"]


def test_an_execution_creates_a_job_and_waits_until_it_is_completed(sandbox, account, job_request):
    started = sandbox.clock.now()
    machine = account.create(build_job_machine(), account.create_role(JOBS, PASS_ROLE))
    execution = account.start(machine, to_parameters(job_request()))
    sandbox.clock.advance(HOUR)
    assert account.describe(execution)["status"] == "RUNNING"
    sandbox.clock.advance(24 * HOUR)
    description = account.describe(execution)
    assert (description["status"], description["output"]) == ("SUCCEEDED", '"Completed"')
    (job,) = list_jobs()
    ended = description["stopDate"] - job["endTime"]
    assert timedelta(0) <= ended < timedelta(minutes=10.5)
    assert started <= description["startDate"] <= started + timedelta(minutes=1)


def test_executions_wait_for_the_quota_of_jobs(sandbox, account, job_request):
    sandbox.quotas = Quotas(jobs=2)
    machine = account.create(build_job_machine(), account.create_role(JOBS, PASS_ROLE))
    executions = [
        account.start(machine, to_parameters(job_request(name))) for name in ("a", "b", "c")
    ]
    running = []
    for _ in range(48):
        sandbox.clock.advance(HOUR)
        running.append(len(list_jobs(statusEquals="InProgress")))
    assert max(running) == 2
    assert {account.describe(row)["status"] for row in executions} == {"SUCCEEDED"}
    assert sorted(job["jobName"] for job in list_jobs()) == ["a", "b", "c"]
    assert {job["status"] for job in list_jobs()} == {"Completed"}
    failures = [
        event["taskFailedEventDetails"]["error"]
        for execution in executions
        for event in account.list_events(execution)
        if event["type"] == "TaskFailed"
    ]
    assert set(failures) == {"Bedrock.ServiceQuotaExceededException"}


def test_results_have_names_in_pascal_case_and_times_as_text(run, create):
    job = create()
    description = run(build_task("getModelCustomizationJob", {"JobIdentifier": job}), JOBS)
    result = json.loads(description["output"])
    assert result["JobArn"] == job
    assert result["HyperParameters"]["epochCount"] == "2"  # keys of maps are data
    assert result["TrainingDataConfig"].keys() == {"S3Uri"}
    assert datetime.fromisoformat(result["CreationTime"]).tzinfo == UTC
    assert "ResponseMetadata" not in result


def test_bodies_of_the_runtime_are_text(run):
    task = {
        **build_task("", {"ModelId": "amazon.nova-micro-v1:0", "Body": {"messages": [MESSAGE]}}),
        "Resource": "arn:aws:states:::aws-sdk:bedrockruntime:invokeModel",
    }
    allowed = {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "*"}
    result = json.loads(run(task, allowed)["output"])
    assert result["ContentType"] == "application/json"
    assert json.loads(result["Body"])["output"]["message"]["role"] == "assistant"


def test_the_scheduler_of_the_emulator_is_called(run):
    task = {
        **build_task("", {"Name": "nightly"}),
        "Resource": "arn:aws:states:::aws-sdk:scheduler:getSchedule",
    }
    allowed = {"Effect": "Allow", "Action": "scheduler:GetSchedule", "Resource": "*"}
    assert run(task, allowed)["error"] == "Scheduler.ResourceNotFoundException"


@pytest.mark.parametrize(
    ("statements", "action"),
    [((JOBS,), "iam:PassRole"), ((PASS_ROLE,), "bedrock:CreateModelCustomizationJob")],
    ids=["without iam:PassRole", "without bedrock:CreateModelCustomizationJob"],
)
def test_an_execution_fails_if_its_role_lacks_a_permission(run, job_request, statements, action):
    task = build_task("createModelCustomizationJob", to_parameters(job_request()))
    description = run(task, *statements)
    assert description["status"] == "FAILED"
    assert description["error"] == "Bedrock.AccessDeniedException"
    assert f"is not authorized to perform: {action}" in description["cause"]
    assert ":assumed-role/states-" in description["cause"]
    assert "(Service: Bedrock, Status Code: 403, Request ID: " in description["cause"]
    assert list_jobs() == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", "Bedrock.ThrottlingException"),
        ("InternalServerException", "Bedrock.InternalServerException"),
        ("ValidationException", "Bedrock.ValidationException"),
    ],
)
def test_injected_errors_have_the_names_of_step_functions(sandbox, run, code, error):
    sandbox.faults.add("error", operation="ListModelCustomizationJobs", code=code, times=1)
    assert run(build_task("listModelCustomizationJobs", {}))["error"] == error


def test_errors_that_the_model_does_not_list_have_the_name_of_the_service(sandbox, run):
    sandbox.faults.add("expired-credentials", operation="ListModelCustomizationJobs", times=1)
    description = run(build_task("listModelCustomizationJobs", {}))
    assert description["error"] == "Bedrock.BedrockException"


def test_a_lost_reply_is_an_error_of_the_client_and_the_job_exists(sandbox, run, job_request):
    sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
    request = job_request(clientRequestToken="run-1")
    description = run(
        build_task("createModelCustomizationJob", to_parameters(request)), JOBS, PASS_ROLE
    )
    assert description["error"] == "Bedrock.SdkClientException"
    assert len(list_jobs()) == 1


def test_a_retry_after_a_lost_reply_creates_no_second_job(sandbox, run, job_request):
    sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
    task = build_task(
        "createModelCustomizationJob",
        to_parameters(job_request(clientRequestToken="run-1")),
        Retry=[{"ErrorEquals": ["Bedrock.SdkClientException"], "IntervalSeconds": 0}],
    )
    description = run(task, JOBS, PASS_ROLE)
    assert description["status"] == "SUCCEEDED"
    assert [job["jobArn"] for job in list_jobs()] == [json.loads(description["output"])["JobArn"]]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"JobName": "a"}, "The field 'CustomModelName' is required but was missing"),
        ({"jobName": "a"}, 'The field "jobName" is not supported by Step Functions'),
        (
            {"HyperParameters": {"epochCount": 2}},
            "The value of the field 'epochCount' has an invalid format",
        ),
    ],
)
def test_invalid_parameters_end_an_execution_whatever_it_catches(run, parameters, problem):
    task = build_task(
        "createModelCustomizationJob",
        "{% $states.input %}",
        Retry=[{"ErrorEquals": ["States.ALL"]}],
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Task"}],
    )
    description = run(task, value=parameters)
    assert description["error"] == "States.Runtime"
    assert "could not be used to start the Task: [" in description["cause"]
    assert problem in description["cause"]


def test_a_role_that_stopped_trusting_step_functions_fails_the_task(sandbox, account):
    task = build_task("listModelCustomizationJobs", {})
    role = account.create_role()
    machine = account.create(build_machine("Task", Task=task), role)
    other = json.dumps(TRUST).replace("states.amazonaws.com", "lambda.amazonaws.com")
    account.iam.update_assume_role_policy(RoleName=role.rsplit("/", 1)[1], PolicyDocument=other)
    execution = account.start(machine)
    sandbox.clock.advance(0)
    assert account.describe(execution)["error"] == "States.Permissions"
