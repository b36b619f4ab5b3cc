"""The notice of a finished job arrives with the policies of the stage, and becomes a dead letter with other policies."""

import json

import boto3
import pytest

from tests.sandbox.samples import A_JOB, NOVA, converse_row
from tests.sandbox.stacks import STACK, deploy, find_statement, read_template
from tunestack_sandbox import Sandbox

SAME_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
LET_TOPIC_SEND = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    },
}


@pytest.fixture(scope="module")
def empty_sandbox(count_traffic):
    with Sandbox(empty=True, speed=1) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)


@pytest.fixture
def session(empty_sandbox, monkeypatch):
    for name, value in empty_sandbox.variables().items():
        monkeypatch.setenv(name, value)
    yield boto3.Session()
    empty_sandbox.reset(everything=True)


def receive(session, url):
    answer = session.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return answer.get("Messages", [])


def subscribe(session):
    """Subscribe a queue to the topic of the stage, and return the URLs of this queue and of the dead-letter queue."""
    sqs = session.client("sqs")
    url = sqs.create_queue(QueueName="notices", Attributes={"Policy": json.dumps(LET_TOPIC_SEND)})
    queue = f"arn:aws:sqs:us-east-1:123456789012:{url['QueueUrl'].rsplit('/', 1)[1]}"
    events = session.client("events")
    resources = session.client("cloudformation").describe_stack_resources(StackName=STACK)
    (rule,) = (
        row["PhysicalResourceId"].rsplit("|")[-1]
        for row in resources["StackResources"]
        if row["LogicalResourceId"].startswith("JobEventsEnds")
    )
    (target,) = events.list_targets_by_rule(Rule=rule.rsplit("/", 1)[-1])["Targets"]
    session.client("sns").subscribe(TopicArn=target["Arn"], Protocol="sqs", Endpoint=queue)
    dead_letters = target["DeadLetterConfig"]["Arn"].rsplit(":", 1)[1]
    return url["QueueUrl"], sqs.get_queue_url(QueueName=dead_letters)["QueueUrl"]


def run_job(sandbox, session):
    deployment = sandbox.deployment()
    rows = "".join(json.dumps(converse_row(number)) + "\n" for number in range(8))
    key = f"{deployment.datasets_prefix}rows.jsonl"
    session.client("s3").put_object(Bucket=deployment.data_bucket, Key=key, Body=rows)
    session.client("bedrock").create_model_customization_job(
        jobName="job",
        customModelName="job",
        roleArn=deployment.job_role_arn,
        baseModelIdentifier=NOVA,
        trainingDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
        outputDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
    )
    sandbox.clock.advance(A_JOB)


def add_condition(sid):
    def change(template):
        find_statement(template, sid)["Condition"] = SAME_ACCOUNT

    return change


def remove_topic_policy(template):
    resources = template["Resources"]
    (name,) = (key for key, row in resources.items() if row["Type"] == "AWS::SNS::TopicPolicy")
    del resources[name]


def test_notice_arrives_with_the_policies_of_the_stage(empty_sandbox, session):
    assert deploy(session, read_template()) == ("CREATE_COMPLETE", [])
    notices, dead_letters = subscribe(session)
    run_job(empty_sandbox, session)
    (notice,) = receive(session, notices)
    assert "Fine-tuning job job: Completed" in json.loads(notice["Body"])["Message"]
    assert receive(session, dead_letters) == []


@pytest.mark.parametrize(
    ("change", "action"),
    [
        (add_condition("AllowEventRulesToPublish"), "sns:Publish"),
        (add_condition("AllowEventRulesToEncrypt"), "kms:GenerateDataKey"),
        (remove_topic_policy, "sns:Publish"),
    ],
)
def test_notice_that_a_policy_does_not_allow_is_a_dead_letter(
    empty_sandbox, session, change, action
):
    template = read_template()
    change(template)
    assert deploy(session, template) == ("CREATE_COMPLETE", [])
    notices, dead_letters = subscribe(session)
    run_job(empty_sandbox, session)
    assert receive(session, notices) == []
    (event,) = receive(session, dead_letters)
    assert json.loads(event["Body"])["detail"]["jobStatus"] == "Completed"
    attributes = event["MessageAttributes"]
    assert attributes["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert action in attributes["ERROR_MESSAGE"]["StringValue"]
