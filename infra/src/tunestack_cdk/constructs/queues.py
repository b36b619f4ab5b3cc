"""SQS queues: encrypted with a KMS key, and reachable over TLS only. An alarm for each dead-letter queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sqs as sqs

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sns as sns
    from constructs import Construct

_MAX_RETENTION = Duration.days(14)
# Several processes read the queue, so a message is received many times before the process that waits for it deletes it.
_MAX_RECEIVE_COUNT = 1000


def create_dead_letter_queue(scope: Construct, construct_id: str, *, key: kms.IKey) -> sqs.Queue:
    """Create a queue for messages that could not be delivered."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=_MAX_RETENTION,
    )


def create_dead_letter_alarm(
    scope: Construct, *, queue: sqs.IQueue, description: str, topic: sns.ITopic
) -> cloudwatch.Alarm:
    """Create an alarm on messages in a dead-letter queue, which notifies the topic."""
    alarm = cloudwatch.Alarm(
        scope,
        "Undelivered",
        alarm_description=description,
        metric=queue.metric_approximate_number_of_messages_visible(
            period=Duration.minutes(5), statistic="Maximum"
        ),
        threshold=1,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    alarm.add_alarm_action(actions.SnsAction(topic))
    return alarm


def create_shared_queue(
    scope: Construct, construct_id: str, *, dead_letters: sqs.Queue, key: kms.IKey
) -> sqs.Queue:
    """Create a queue that several processes read. Messages that are not deleted go to the dead-letter queue."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        # A job takes hours, and the process that waits for it may be suspended over a weekend.
        retention_period=Duration.days(4),
        dead_letter_queue=sqs.DeadLetterQueue(
            queue=dead_letters, max_receive_count=_MAX_RECEIVE_COUNT
        ),
    )
