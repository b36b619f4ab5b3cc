"""Submission with a job role that Bedrock can't assume yet, as in the first minutes after a deployment."""

import json
from dataclasses import replace

import boto3
import pytest

from tunestack import RoleError, Tuner

# The tuner policy allows passing the stage's role only.
pytestmark = pytest.mark.as_root

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "bedrock.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture
def sent():
    """Return the list of the names and tokens of the requests for a job."""
    return []


@pytest.fixture
def create_tuner(sandbox, poll, sent):
    """Return a function that creates a tuner with a role that does not exist, and an action for each pause."""

    def create(name, on_pause=lambda: None):
        def sleep(seconds):
            sandbox.clock.advance(seconds)
            on_pause()

        session = boto3.Session()
        session.events.register(
            "provide-client-params.bedrock.CreateModelCustomizationJob",
            lambda params, **_: sent.append((params["jobName"], params["clientRequestToken"])),
        )
        role = f"arn:aws:iam::123456789012:role/{name}"
        return Tuner(
            deployment=replace(sandbox.deployment(), job_role_arn=role),
            session=session,
            poll=replace(poll, longest=20, sleep=sleep),
        )

    return create


def create_role(name):
    boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))


def list_job_names():
    jobs = boto3.client("bedrock").list_model_customization_jobs()
    return [row["jobName"] for row in jobs["modelCustomizationJobSummaries"]]


def test_submit_retries_until_the_role_can_be_assumed(create_tuner, chat, sent):
    def create_role_after_five_tries():
        if len(sent) == 5:
            create_role("late")

    job = create_tuner("late", create_role_after_five_tries).submit("nova-micro", chat)
    assert len(sent) == 6
    assert len(set(sent)) == 1, "every try has the same name and token"
    assert list_job_names() == [job.name]


def test_role_of_a_new_account_is_awaited(sandbox, tuner, chat):
    fault = sandbox.faults.add("role-not-ready", seconds=100)
    job = tuner.submit("nova-micro", chat)
    assert fault.injected_count > 1
    assert list_job_names() == [job.name]
    assert job.wait().model


def test_role_that_can_not_be_assumed_is_an_error_after_two_minutes(
    sandbox, create_tuner, chat, sent
):
    before = sandbox.clock.now()
    with pytest.raises(RoleError) as raised:
        create_tuner("missing").submit("nova-micro", chat)
    assert 120 <= (sandbox.clock.now() - before).total_seconds() < 150
    message = str(raised.value)
    assert "Could not assume provided IAM role" in message
    assert "arn:aws:iam::123456789012:role/missing" in message
    assert "wait and submit again" in message
    assert "tunestack doctor" in message
    assert raised.value.code == "ValidationException"
    assert len(sent) > 5
    assert list_job_names() == []


def test_throttling_does_not_end_the_wait_for_the_role(create_tuner, chat, inject_error, sent):
    pauses = []

    def throttle_then_create_role():
        pauses.append(len(sent))
        if len(pauses) == 1:
            inject_error("CreateModelCustomizationJob", "ThrottlingException", times=5)
        if len(pauses) == 3:
            create_role("throttled")

    job = create_tuner("throttled", throttle_then_create_role).submit("nova-micro", chat)
    assert list_job_names() == [job.name]


def test_other_invalid_requests_are_not_retried(tuner, chat, inject_error, sandbox):
    inject_error("CreateModelCustomizationJob", "ValidationException", times=5)
    before = sandbox.clock.now()
    with pytest.raises(Exception, match="ValidationException"):
        tuner.submit("nova-micro", chat)
    assert (sandbox.clock.now() - before).total_seconds() < 10
