"""Step Functions with `--enforce-iam`: TLS, signatures, and the permissions of the execution role at all services."""

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
    build_task,
    to_parameters,
)

pytestmark = pytest.mark.as_root
GET_SCHEDULE = {
    **build_task("", {"Name": "nightly"}),
    "Resource": "arn:aws:states:::aws-sdk:scheduler:getSchedule",
}


@pytest.fixture
def sandbox(enforced):
    return enforced


@pytest.fixture
def account(sandbox):
    return Account(boto3.Session())


def test_an_execution_creates_a_job(sandbox, account, job_request):
    machine = account.create(build_job_machine(), account.create_role(JOBS, PASS_ROLE))
    execution = account.start(machine, to_parameters(job_request()))
    sandbox.clock.advance(24 * HOUR)
    assert account.describe(execution)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("statements", "error"),
    [
        ([], "Scheduler.SchedulerException"),
        (
            [{"Effect": "Allow", "Action": "scheduler:GetSchedule", "Resource": "*"}],
            "Scheduler.ResourceNotFoundException",
        ),
    ],
    ids=["without permission", "with permission"],
)
def test_other_services_evaluate_the_permissions_of_the_role(sandbox, account, statements, error):
    machine = account.create(
        build_machine("Task", Task=GET_SCHEDULE), account.create_role(*statements)
    )
    execution = account.start(machine)
    sandbox.clock.advance(0)
    description = account.describe(execution)
    assert description["error"] == error, json.dumps(description, default=str)
