"""Wait for Bedrock's events about jobs in the stage's SQS queue; an event makes the caller poll at once.

Bedrock sends events on a best-effort basis (user guide, monitoring-eventbridge, read 2026-11-22), and several processes may
read the same queue. Callers poll in any case, so a lost message only means a later poll.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tunestack.backends.bedrock.clients import Clients

logger = logging.getLogger(__name__)

_MAX_WAIT = 20
"""Seconds; the longest wait of SQS's `ReceiveMessage`."""
_MAX_AGE = 60.0
"""Seconds for which a message about another job is left in the queue for other processes."""
_VISIBILITY_TIMEOUT = 2
"""Seconds for which a received message is hidden from other processes."""


class JobEvents:
    """The queue of a stage, in one region."""

    def __init__(self, clients: Clients, region: str, queue: str | None) -> None:
        """Store the arguments; no call is made here.

        Args:
            clients: the clients that make the calls.
            region: the AWS region.
            queue: the URL of the queue; `None` if the deployment has none.
        """
        self._clients = clients
        self._region = region
        self._queue = queue

    def listen(
        self, job_ids: Collection[str], timeout: float, *, stop: threading.Event | None = None
    ) -> bool:
        """Wait for a message about one of these jobs, in real time; return `False` at once if there is no queue.

        Deletes messages about these jobs, and messages about other jobs that are older than a minute. Deletes nothing once
        `stop` is set.
        """
        end = time.monotonic() + timeout
        stop = stop or threading.Event()
        while self._queue is not None and (left := end - time.monotonic()) > 0:
            if left < 1:  # SQS waits whole seconds
                time.sleep(left)
                break
            try:
                with translate_errors("waiting for an event"):
                    messages = self._receive(min(left, _MAX_WAIT))
                    if stop.is_set():
                        return True
                    received_ids = [_job_id(message) for message in messages]
                    for message, job_id in zip(messages, received_ids, strict=True):
                        if job_id in job_ids or self._is_old(message):
                            self._delete(message)
            except TunestackError as error:
                logger.debug("events are not available, jobs are polled only: %s", error)
                self._queue = None
                stop.wait(max(0.0, end - time.monotonic()))
                return True
            if any(job_id in job_ids for job_id in received_ids):
                return True
            if messages:  # about other jobs, and visible again soon
                stop.wait(min(1.0, max(0.0, end - time.monotonic())))
        return self._queue is not None

    def _receive(self, seconds: float) -> list[Mapping[str, Any]]:
        response = self._clients.get("sqs", self._region).receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_VISIBILITY_TIMEOUT,
            WaitTimeSeconds=int(seconds),
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        messages: list[Mapping[str, Any]] = response.get("Messages", [])
        return messages

    def _delete(self, message: Mapping[str, Any]) -> None:
        self._clients.get("sqs", self._region).delete_message(
            QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"]
        )

    def _is_old(self, message: Mapping[str, Any]) -> bool:
        sent = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
        return self._clients.now(self._region).timestamp() - sent > _MAX_AGE


def _job_id(message: Mapping[str, Any]) -> str | None:
    """Return the ARN of the job that a message is about; `None` if it is not an event of a job."""
    try:
        arn = json.loads(message["Body"])["detail"]["jobArn"]
    except (ValueError, KeyError, TypeError):
        return None
    return arn if isinstance(arn, str) else None
