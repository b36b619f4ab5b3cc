"""Services send to a topic, queue or function only if its policy and that of its KMS key allow it, as on AWS."""

import io
import itertools
import json
import zipfile
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
RULE_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/deliveries"
RULES, ALARMS = "events.amazonaws.com", "cloudwatch.amazonaws.com"
SAME_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
FROM_RULE = {"ArnEquals": {"aws:SourceArn": RULE_ARN}}
FOR_TOPIC = {"StringLike": {"kms:EncryptionContext:aws:sns:topicArn": "arn:aws:sns:*:deliver*"}}
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey*")


def build_policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(service, *actions, condition=None, resource="*"):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
        "Resource": resource,
    }
    return statement if condition is None else {**statement, "Condition": condition}


ALLOW_TOPIC = allow(
    "sns.amazonaws.com",
    "sqs:SendMessage",
    condition={"ArnEquals": {"aws:SourceArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:deliveries"}},
)
ALARM_NUMBERS = itertools.count()
"""The history of an alarm outlives it, so each alarm has another name."""
ADMINISTRATORS = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}


class Account:
    """Creates resources of a test, and sends events of a rule."""

    def __init__(self):
        self.sqs: Any = boto3.client("sqs")
        self.sns = boto3.client("sns")
        self.kms, self.events = boto3.client("kms"), boto3.client("events")
        self.cloudwatch = boto3.client("cloudwatch")
        self.queues = {}

    def create_queue(self, name, *statements, **attributes):
        if statements:
            attributes["Policy"] = build_policy(*statements)
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
        self.queues[arn] = url
        return arn

    def create_topic(self, *statements, key=None):
        """Create a topic with a subscribed queue, and return the ARNs of both."""
        attributes = {} if key is None else {"KmsMasterKeyId": key}
        if statements:
            attributes["Policy"] = build_policy(*statements)
        topic = self.sns.create_topic(Name="deliveries", Attributes=attributes)["TopicArn"]
        queue = self.create_queue("subscriber", allow("sns.amazonaws.com", "sqs:SendMessage"))
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        return topic, queue

    def create_key(self, *statements):
        policy = build_policy(ADMINISTRATORS, *statements)
        return self.kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]

    def send_event(self, target, dead_letters=None):
        config = {} if dead_letters is None else {"DeadLetterConfig": {"Arn": dead_letters}}
        self.events.put_rule(Name="deliveries", EventPattern='{"source": ["tests"]}')
        self.events.put_targets(
            Rule="deliveries",
            Targets=[{"Id": "target", "Arn": target, "Input": '"hello"', **config}],
        )
        entry = {"Source": "tests", "DetailType": "test", "Detail": '{"number": 1}'}
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def receive(self, queue, *, seconds=0):
        answer = self.sqs.receive_message(
            QueueUrl=self.queues[queue],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=seconds,
        )
        return answer.get("Messages", [])

    def delete(self):
        for url in self.queues.values():
            self.sqs.delete_queue(QueueUrl=url)
        self.sns.delete_topic(TopicArn=f"arn:aws:sns:us-east-1:{ACCOUNT}:deliveries")
        if self.events.list_rules(NamePrefix="deliveries")["Rules"]:
            self.events.remove_targets(Rule="deliveries", Ids=["target"])
            self.events.delete_rule(Name="deliveries")
        alarms = self.cloudwatch.describe_alarms(AlarmNamePrefix="deliveries")["MetricAlarms"]
        self.cloudwatch.delete_alarms(AlarmNames=[row["AlarmName"] for row in alarms])


@pytest.fixture
def account(sandbox):
    account = Account()
    yield account
    account.delete()


@pytest.mark.parametrize(
    ("condition", "is_delivered"),
    [
        (None, True),
        (SAME_ACCOUNT, True),
        (FROM_RULE, True),
        ({"ArnEquals": {"aws:SourceArn": RULE_ARN + "-other"}}, False),
    ],
)
def test_rule_sends_to_a_queue_whose_policy_allows_it(account, condition, is_delivered):
    queue = account.create_queue("target", allow(RULES, "sqs:SendMessage", condition=condition))
    account.send_event(queue)
    assert [row["Body"] for row in account.receive(queue)] == ['"hello"'] * is_delivered


def test_rule_does_not_send_to_a_queue_without_a_policy(account):
    queue = account.create_queue("target")
    account.send_event(queue)
    assert account.receive(queue) == []


@pytest.mark.parametrize(
    ("condition", "is_delivered"), [(None, True), (SAME_ACCOUNT, False), (FROM_RULE, False)]
)
def test_rule_publishes_to_a_topic_whose_policy_allows_it_without_conditions(
    account, condition, is_delivered
):
    topic, queue = account.create_topic(allow(RULES, "sns:Publish", condition=condition))
    account.send_event(topic)
    assert len(account.receive(queue)) == is_delivered


def test_rule_does_not_publish_to_a_topic_with_the_default_policy(account):
    topic, queue = account.create_topic()
    account.send_event(topic)
    assert account.receive(queue) == []


@pytest.mark.parametrize(
    ("kind", "statements", "is_delivered"),
    [
        ("topic", [allow(RULES, *KEY_ACTIONS)], True),
        ("topic", [allow(RULES, *KEY_ACTIONS, condition=FOR_TOPIC)], True),
        ("topic", [allow(RULES, *KEY_ACTIONS, condition=SAME_ACCOUNT)], False),
        ("topic", [allow(RULES, *KEY_ACTIONS, condition=FROM_RULE)], False),
        ("topic", [allow(RULES, "kms:Decrypt")], False),
        ("topic", [allow(RULES, "kms:GenerateDataKey")], False),
        ("topic", [], False),
        ("queue", [allow(RULES, *KEY_ACTIONS)], True),
        ("queue", [allow(RULES, *KEY_ACTIONS, condition=SAME_ACCOUNT)], True),
        ("queue", [allow(RULES, *KEY_ACTIONS, condition=FROM_RULE)], True),
        ("queue", [allow(RULES, "kms:Decrypt")], False),
        ("queue", [], False),
    ],
)
def test_rule_sends_to_an_encrypted_target_whose_key_policy_allows_it(
    account, kind, statements, is_delivered
):
    key = account.create_key(*statements)
    if kind == "topic":
        target, queue = account.create_topic(allow(RULES, "sns:Publish"), key=key)
    else:
        permission = allow(RULES, "sqs:SendMessage", condition=FROM_RULE)
        target = queue = account.create_queue("target", permission, KmsMasterKeyId=key)
    account.send_event(target)
    assert len(account.receive(queue)) == is_delivered


def test_rule_can_not_use_the_aws_managed_key_of_a_topic(account):
    """Source: awslabs/aws-solutions-constructs#155."""
    topic, queue = account.create_topic(allow(RULES, "sns:Publish"), key="alias/aws/sns")
    account.send_event(topic)
    assert account.receive(queue) == []


def test_undelivered_event_is_sent_to_the_dead_letter_queue(account):
    queue = account.create_queue("target")
    permission = allow(RULES, "sqs:SendMessage", condition=FROM_RULE)
    dead_letters = account.create_queue("dead-letters", permission)
    account.send_event(queue, dead_letters)
    (message,) = account.receive(dead_letters)
    assert json.loads(message["Body"])["detail"] == {"number": 1}
    attributes = {
        name: value["StringValue"] for name, value in message["MessageAttributes"].items()
    }
    assert "events.amazonaws.com is not authorized to perform: sqs:SendMessage" in (
        attributes.pop("ERROR_MESSAGE")
    )
    assert attributes == {
        "RULE_ARN": RULE_ARN,
        "TARGET_ARN": queue,
        "ERROR_CODE": "NO_PERMISSIONS",
        "RETRY_ATTEMPTS": "0",
    }


def test_event_for_a_deleted_queue_is_sent_to_the_dead_letter_queue(account):
    dead_letters = account.create_queue("dead-letters", allow(RULES, "sqs:SendMessage"))
    account.send_event(f"arn:aws:sqs:us-east-1:{ACCOUNT}:deleted", dead_letters)
    (message,) = account.receive(dead_letters)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_dead_letter_queue_without_permission_gets_no_event(account):
    queue, dead_letters = account.create_queue("target"), account.create_queue("dead-letters")
    account.send_event(queue, dead_letters)
    assert account.receive(dead_letters) == []
    metrics = account.cloudwatch.list_metrics(
        Namespace="AWS/Events", Dimensions=[{"Name": "RuleName", "Value": "deliveries"}]
    )["Metrics"]
    assert {"FailedInvocations", "InvocationsFailedToBeSentToDlq"} <= {
        row["MetricName"] for row in metrics
    }


def set_alarm(account, *actions):
    """Set an alarm with actions, and return its name and its failed actions."""
    name = f"deliveries-{next(ALARM_NUMBERS)}"
    account.cloudwatch.put_metric_alarm(
        AlarmName=name,
        MetricName="Errors",
        Namespace="Tests",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=actions,
    )
    account.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    history = account.cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")
    return name, [row["HistorySummary"] for row in history["AlarmHistoryItems"]]


def test_alarm_publishes_with_conditions_of_its_account(account):
    key = account.create_key(allow(ALARMS, *KEY_ACTIONS, condition=SAME_ACCOUNT))
    permission = allow(ALARMS, "sns:Publish", condition=SAME_ACCOUNT)
    topic, queue = account.create_topic(permission, key=key)
    _, failures = set_alarm(account, topic)
    assert failures == []
    assert len(account.receive(queue)) == 1


def test_alarm_publishes_to_a_topic_with_the_default_policy(account):
    topic, queue = account.create_topic()
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:other-action"
    _, failures = set_alarm(account, topic, function)
    assert failures == []
    assert len(account.receive(queue)) == 1


def test_alarm_without_permission_has_a_failed_action(account):
    topic, queue = account.create_topic(allow(RULES, "sns:Publish"))
    name, (failure,) = set_alarm(account, topic)
    assert failure == (
        f'Failed to execute action {topic}. Received error: "Resource: '
        f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:{name} is not authorized to perform: "
        f'SNS:Publish on resource: {topic}"'
    )
    assert account.receive(queue) == []


def test_alarm_without_permission_for_the_key_has_a_failed_action(account):
    topic, queue = account.create_topic(allow(ALARMS, "sns:Publish"), key=account.create_key())
    _, (failure,) = set_alarm(account, topic)
    assert "does not have authorization to access the SNS topic encryption key" in failure
    assert account.receive(queue) == []


@pytest.fixture
def function(account):
    """Create a function, and return its ARN."""
    client, code = boto3.client("lambda"), io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): pass")
    created = client.create_function(
        FunctionName="deliveries",
        Runtime="python3.13",
        Handler="main.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/deliveries",
        Code={"ZipFile": code.getvalue()},
    )
    yield created["FunctionArn"]
    client.delete_function(FunctionName="deliveries")


@pytest.mark.parametrize(
    ("source", "is_invoked"), [(RULE_ARN, True), (RULE_ARN + "-other", False), (None, False)]
)
def test_rule_invokes_a_function_whose_policy_allows_it(account, function, source, is_invoked):
    dead_letters = account.create_queue("dead-letters", allow(RULES, "sqs:SendMessage"))
    if source is not None:
        boto3.client("lambda").add_permission(
            FunctionName=function,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal=RULES,
            SourceArn=source,
        )
    account.send_event(function, dead_letters)
    errors = [
        row["MessageAttributes"]["ERROR_CODE"]["StringValue"]
        for row in account.receive(dead_letters)
    ]
    assert errors == ([] if is_invoked else ["NO_PERMISSIONS"])


@pytest.mark.parametrize(
    ("key_statements", "policy", "is_delivered"),
    [
        (None, [allow("sns.amazonaws.com", "sqs:SendMessage")], True),
        (None, [], False),
        (None, [allow(RULES, "sqs:SendMessage")], False),
        ([allow("sns.amazonaws.com", *KEY_ACTIONS)], [ALLOW_TOPIC], True),
        ([], [ALLOW_TOPIC], False),
    ],
)
def test_topic_sends_to_a_subscribed_queue_whose_policies_allow_it(
    account, key_statements, policy, is_delivered
):
    attributes = {}
    if key_statements is not None:
        attributes["KmsMasterKeyId"] = account.create_key(*key_statements)
    queue = account.create_queue("subscriber", *policy, **attributes)
    topic = account.sns.create_topic(Name="deliveries")["TopicArn"]
    account.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    account.sns.publish(TopicArn=topic, Message="hello")
    assert len(account.receive(queue)) == is_delivered


def test_bucket_notifies_a_queue_whose_policy_allows_it(account):
    s3, bucket = boto3.client("s3"), "deliveries"
    s3.create_bucket(Bucket=bucket)
    queue = account.create_queue("target")
    configuration = {"QueueConfigurations": [{"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}]}
    arguments: Any = {"Bucket": bucket, "NotificationConfiguration": configuration}
    with pytest.raises(ClientError, match="Unable to validate the following destination"):
        s3.put_bucket_notification_configuration(**arguments)
    policy = build_policy(allow("s3.amazonaws.com", "sqs:SendMessage", condition=SAME_ACCOUNT))
    account.sqs.set_queue_attributes(QueueUrl=account.queues[queue], Attributes={"Policy": policy})
    s3.put_bucket_notification_configuration(**arguments)
    s3.put_object(Bucket=bucket, Key="file", Body=b"content")
    # The first message is a test of S3, and it may come alone.
    received = (row["Body"] for _ in range(10) for row in account.receive(queue, seconds=1))
    assert any("ObjectCreated" in body for body in received)
    s3.delete_object(Bucket=bucket, Key="file")
    s3.delete_bucket(Bucket=bucket)
