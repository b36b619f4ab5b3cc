"""Example tests with the fixture `tunestack_sandbox`, which `tunestack-sandbox` registers. Nothing is mocked."""

import json

import boto3
import pytest
import support

from tunestack import Poll, Tuner
from tunestack.errors import AccessError, JobFailedError

TICKETS = {
    "My parcel has not come": "shipping",
    "The invoice is wrong": "billing",
    "I can't log in": "accounts",
    "Where is my order": "shipping",
    "Please refund me": "billing",
    "Reset my password": "accounts",
    "The box was damaged": "shipping",
    "I was charged twice": "billing",
}


@pytest.fixture
def tickets(tmp_path):
    file = tmp_path / "tickets.jsonl"
    records = [
        {
            "messages": [
                {"role": "user", "content": ticket},
                {"role": "assistant", "content": team},
            ]
        }
        for ticket, team in TICKETS.items()
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_ticket_is_assigned_to_its_team(tunestack_sandbox, tickets):
    endpoint = support.train(tickets)
    assert support.assign_team(endpoint, "Where is my parcel?") == "shipping"


def test_a_job_of_hours_takes_no_time(tunestack_sandbox, tickets):
    clock = tunestack_sandbox.clock
    tuner = Tuner(poll=Poll(sleep=clock.advance, clock=clock.monotonic))
    start = clock.now()
    support.train(tickets, tuner=tuner)
    assert clock.now() > start


def test_training_again_after_an_internal_failure(tunestack_sandbox, tickets):
    tunestack_sandbox.faults.add("internal-failure", times=1)
    with pytest.raises(JobFailedError, match="unexpected error"):
        support.train(tickets)
    assert support.train(tickets)


def test_a_role_that_may_only_invoke_cannot_train(tunestack_sandbox, tickets):
    endpoint = support.train(tickets)
    iam, sts = boto3.client("iam"), boto3.client("sts")
    account = sts.get_caller_identity()["Account"]
    allow = {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": endpoint}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}
    arn = iam.create_role(RoleName="invoker", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="invoker", PolicyName="invoke", PolicyDocument=policy(allow))
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    messages = [{"role": "user", "content": [{"text": "Where is my parcel?"}]}]
    assert session.client("bedrock-runtime").converse(modelId=endpoint, messages=messages)
    with pytest.raises(AccessError, match="not authorized to perform: bedrock:List"):
        support.train(tickets, tuner=Tuner(session=session))


def test_each_test_starts_without_jobs_and_endpoints(tunestack_sandbox):
    assert tunestack_sandbox.state()["regions"] == []
