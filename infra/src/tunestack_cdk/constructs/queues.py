"""Queues, all of one kind: encrypted, over TLS, kept for two weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct

_LONGEST = Duration.days(14)


def dead_letters(scope: Construct, construct_id: str, *, key: kms.IKey) -> sqs.Queue:
    """Make a queue for what could not be delivered."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=_LONGEST,
    )


# Several who wait read the same message before the one whom it is for.
_MOST_READS = 1000


def queue(scope: Construct, construct_id: str, *, dead: sqs.Queue, key: kms.IKey) -> sqs.Queue:
    """Make a queue that many read from; what nobody ever deletes goes to the dead letters."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        # A job takes hours, and whoever waits for it may be away over a weekend.
        retention_period=Duration.days(4),
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=_MOST_READS),
    )
