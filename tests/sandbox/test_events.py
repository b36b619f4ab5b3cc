"""Events of jobs trigger the rules of the account, and schedules follow the sandbox's clock."""

import io
import json
import time
import zipfile
from typing import Any

import boto3
import pytest

from tests.sandbox.samples import A_JOB
from tests.sandbox.stacks import create_job
from tunestack_sandbox import Sandbox

ROLE = "arn:aws:iam::123456789012:role/scheduler"
PATTERN = {
    "source": ["aws.bedrock"],
    "detail-type": ["Model Customization Job State Change"],
}
LET_RULES_SEND = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    },
}
LAMBDA = """
import boto3

def handler(event, context):
    rows = boto3.client("bedrock").list_model_customization_jobs()
    names = [row["jobName"] for row in rows["modelCustomizationJobSummaries"]]
    boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody=",".join(names))
"""


class Queue:
    def __init__(self, session=boto3):
        self.sqs = session.client("sqs")
        attributes = {"Policy": json.dumps(LET_RULES_SEND)}
        self.url = self.sqs.create_queue(QueueName="events", Attributes=attributes)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = attributes["Attributes"]["QueueArn"]

    def taken(self, count=None):
        """Receive and delete the messages; with a count, wait for that number."""
        found, deadline = [], time.monotonic() + 60
        while True:
            answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            for row in answer.get("Messages", ()):
                found.append(row["Body"])
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=row["ReceiptHandle"])
            if not answer.get("Messages") and (count is None or len(found) >= count):
                return found
            assert time.monotonic() < deadline, found


@pytest.fixture
def queue(sandbox):
    queue = Queue()
    yield queue
    queue.sqs.delete_queue(QueueUrl=queue.url)


@pytest.fixture
def rule(queue):
    """A rule of the account that sends jobs' events to the queue."""
    events = boto3.client("events")

    def make(**more):
        events.put_rule(Name="jobs", EventPattern=json.dumps({**PATTERN, **more}))
        events.put_targets(Rule="jobs", Targets=[{"Id": "queue", "Arn": queue.arn}])

    yield make
    events.remove_targets(Rule="jobs", Ids=["queue"])
    events.delete_rule(Name="jobs")


@pytest.fixture
def schedule(queue):
    scheduler = boto3.client("scheduler")
    created: list[str] = []

    def make(expression, target=None, **more):
        default: Any = {"Arn": queue.arn, "RoleArn": ROLE, "Input": "fired"}
        scheduler.create_schedule(
            Name=f"s{len(created)}",
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target or default,
            **more,
        )
        created.append(f"s{len(created)}")

    yield make
    left = [row["Name"] for row in scheduler.list_schedules()["Schedules"]]
    for name in set(created) & set(left):
        scheduler.delete_schedule(Name=name)


def statuses(queue):
    return [json.loads(body)["detail"]["jobStatus"] for body in queue.taken()]


def test_each_state_of_a_job_is_an_event_as_aws_documents_it(sandbox, rule, queue, create):
    rule()
    arn = create()
    sandbox.clock.advance(A_JOB)
    first, last = map(json.loads, queue.taken())
    assert ("aws.bedrock", PATTERN["detail-type"][0]) == (first["source"], first["detail-type"])
    assert ("123456789012", "us-east-1", [arn]) == (
        first["account"],
        first["region"],
        first["resources"],
    )
    assert (
        first["detail"]["jobStatus"],
        last["detail"]["jobStatus"],
    ) == ("InProgress", "Completed")
    assert "outputModelArn" not in first["detail"]
    assert {
        "version",
        "jobName",
        "jobArn",
        "outputModelName",
        "outputModelArn",
        "roleArn",
        "jobStatus",
        "creationTime",
        "lastModifiedTime",
        "endTime",
        "baseModelArn",
        "hyperParameters",
        "trainingDataConfig",
        "validationDataConfig",
        "outputDataConfig",
    } == last["detail"].keys()
    assert last["detail"]["hyperParameters"]["epochCount"] == "2"


def test_stopped_and_failed_jobs_send_events(sandbox, bedrock, rule, queue, create, upload):
    rule()
    bedrock.stop_model_customization_job(jobIdentifier=create())
    sandbox.clock.advance(61)
    assert statuses(queue) == ["InProgress", "Stopping", "Stopped"]
    create("bad", trainingDataConfig={"s3Uri": upload(b"no json\n", "bad.jsonl")})
    sandbox.clock.advance(A_JOB)
    _, failed = map(json.loads, queue.taken())
    assert "must conform to JSONL" in failed["detail"]["failureMessage"]


def test_a_rule_filters(sandbox, rule, queue, create):
    rule(detail={"jobStatus": ["Completed", "Failed", "Stopped"]})
    create()
    sandbox.clock.advance(A_JOB)
    assert statuses(queue) == ["Completed"]


def test_event_faults_lose_and_duplicate_events(sandbox, rule, queue, create):
    rule()
    sandbox.faults.add("event-loss", times=1)
    create("lost")
    assert statuses(queue) == []
    sandbox.faults.add("event-duplication", times=1)
    create("twice")
    assert statuses(queue) == ["InProgress", "InProgress"]


def test_events_are_sent_without_requests_to_bedrock(monkeypatch, count_traffic):
    """A program that waits for an event does not poll."""
    with Sandbox(speed=10_000) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        session = boto3.Session()
        fast = Queue(session)
        events = session.client("events")
        events.put_rule(Name="jobs", EventPattern=json.dumps(PATTERN))
        events.put_targets(Rule="jobs", Targets=[{"Id": "queue", "Arn": fast.arn}])
        create_job(sandbox, session)
        found = fast.taken(2)
        assert json.loads(found[-1])["detail"]["jobStatus"] == "Completed"
    count_traffic(sandbox.traffic)


def test_no_client_can_send_an_event_of_an_aws_service(sandbox):
    answer = boto3.client("events").put_events(
        Entries=[{"Source": "aws.bedrock", "DetailType": "x", "Detail": "{}"}]
    )
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_schedule_runs_when_the_clock_passes_its_time(sandbox, queue, schedule):
    when = sandbox.clock.now().timestamp() + 3600
    at = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(when))
    schedule(at, ActionAfterCompletion="DELETE")
    sandbox.clock.advance(3500)
    assert queue.taken() == []
    sandbox.clock.advance(200)
    assert queue.taken(1) == ["fired"]
    assert boto3.client("scheduler").list_schedules()["Schedules"] == []
    sandbox.clock.advance(3600)
    assert queue.taken() == []


def test_a_recurring_schedule_runs_each_time_the_clock_passes_it(sandbox, queue, schedule):
    schedule("rate(5 minutes)")
    for _ in range(3):
        sandbox.clock.advance(301)
    assert queue.taken(3) == ["fired"] * 3


def test_a_lambda_function_can_call_bedrock(sandbox, queue, schedule, create):
    """The endpoint guard of a stack works this way: a schedule, a function and Bedrock, with the policies of its role."""
    create("seen")
    iam = boto3.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    own = iam.create_role(RoleName="look", AssumeRolePolicyDocument=json.dumps(trust))["Role"][
        "Arn"
    ]
    may = {"Effect": "Allow", "Action": ["bedrock:List*", "sqs:SendMessage"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="look",
        PolicyName="may",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": may}),
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", LAMBDA)
    functions = boto3.client("lambda")
    arn = functions.create_function(
        FunctionName="look",
        Runtime="python3.11",
        Role=own,
        Handler="code.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=30,
    )["FunctionArn"]
    target = {"Arn": arn, "RoleArn": ROLE, "Input": json.dumps({"queue": queue.url})}
    schedule("rate(1 minutes)", target)
    sandbox.clock.advance(61)
    assert queue.taken(1) == ["seen"]
    functions.delete_function(FunctionName="look")
    iam.delete_role_policy(RoleName="look", PolicyName="may")
    iam.delete_role(RoleName="look")
