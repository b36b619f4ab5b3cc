"""SQS queues: encrypted with a KMS key, and reachable over TLS only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
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


def create_shared_queue(
    scope: Construct, construct_id: str, *, dead_letters: sqs.Queue, key: kms.IKey
) -> sqs.Queue:
    """Create a queue that several processes read. Messages that nobody deletes go to the dead-letter queue."""
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
