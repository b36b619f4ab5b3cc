"""Your own tests: the fixture comes with the package, and nothing here is mocked."""

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
    rows = [
        {
            "messages": [
                {"role": "user", "content": ticket},
                {"role": "assistant", "content": team},
            ]
        }
        for ticket, team in TICKETS.items()
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_a_ticket_is_sorted(tunestack_sandbox, tickets):
    endpoint = support.train(tickets)
    assert support.sort(endpoint, "Where is my parcel?") == "shipping"


def test_hours_pass_at_once(tunestack_sandbox, tickets):
    clock = tunestack_sandbox.clock
    tuner = Tuner(poll=Poll(sleep=clock.advance, clock=clock.monotonic))
    before = clock.now()
    support.train(tickets, tuner=tuner)
    assert clock.now() > before


def test_what_aws_does_once_a_year_is_tried_today(tunestack_sandbox, tickets):
    tunestack_sandbox.faults.add("internal-failure", times=1)
    with pytest.raises(JobFailedError, match="unexpected error"):
        support.train(tickets)
    assert support.train(tickets)


def test_a_role_for_asking_only_may_not_train(tunestack_sandbox, tickets):
    endpoint = support.train(tickets)
    iam, sts = boto3.client("iam"), boto3.client("sts")
    account = sts.get_caller_identity()["Account"]
    may = {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": endpoint}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}
    arn = iam.create_role(RoleName="asker", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="asker", PolicyName="ask", PolicyDocument=policy(may))
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    messages = [{"role": "user", "content": [{"text": "Where is my parcel?"}]}]
    assert session.client("bedrock-runtime").converse(modelId=endpoint, messages=messages)
    with pytest.raises(AccessError, match="not authorized to perform: bedrock:List"):
        support.train(tickets, tuner=Tuner(session=session))


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_nothing_is_left_of_the_test_before(tunestack_sandbox):
    assert tunestack_sandbox.state()["regions"] == []
