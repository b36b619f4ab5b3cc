"""The notice of a finished job arrives with the policies of the stage, and becomes a dead letter with other policies."""

import copy
import json

import pytest

from tests.sandbox.samples import A_JOB
from tests.sandbox.stacks import (
    STACK,
    create_job,
    deploy,
    find_statement,
    read_released,
    read_template,
)

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


def complete_job(sandbox, session):
    """Run a job to its end, and return the notices of the topic and the dead letters."""
    notices, dead_letters = subscribe(session)
    create_job(sandbox, session)
    sandbox.clock.advance(A_JOB)
    return receive(session, notices), receive(session, dead_letters)


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
    (notice,), dead_letters = complete_job(empty_sandbox, session)
    assert "Fine-tuning job job: Completed" in json.loads(notice["Body"])["Message"]
    assert dead_letters == []


def test_notice_of_the_first_release_is_a_dead_letter(empty_sandbox, session):
    template = read_released("dev")
    _, reasons = deploy(session, copy.deepcopy(template), "refused")
    assert any("KMS key does not exist or is not allowed" in reason for reason in reasons)
    # With the permissions that CloudWatch Logs needs, it is created, but the notice does not arrive.
    find_statement(template, "LetLogsEncrypt")["Action"] += ["kms:Describe*", "kms:ReEncrypt*"]
    assert deploy(session, template) == ("CREATE_COMPLETE", [])
    notices, (event,) = complete_job(empty_sandbox, session)
    assert notices == []
    assert "sns:Publish" in event["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]


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
    notices, (event,) = complete_job(empty_sandbox, session)
    assert notices == []
    assert json.loads(event["Body"])["detail"]["jobStatus"] == "Completed"
    attributes = event["MessageAttributes"]
    assert attributes["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert action in attributes["ERROR_MESSAGE"]["StringValue"]
