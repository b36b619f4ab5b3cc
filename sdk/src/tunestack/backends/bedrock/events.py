"""What Bedrock says of jobs, in the stage's queue: it wakes whoever waits, who then looks.

Bedrock sends its events as well as it can, and no more (user guide, monitoring-eventbridge, read 2026-11-22), and several
processes may read the same queue: nothing is lost when a message is.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translated
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tunestack.backends.bedrock.clients import Clients

logger = logging.getLogger(__name__)

_LONGEST_POLL = 20
"""Seconds; SQS waits no longer."""
_FOR_OTHERS = 60.0
"""Seconds for which a message is left to those whom it is for."""
_AWAY = 2
"""Seconds for which nobody else sees a message that was read."""


class JobEvents:
    """The queue of a stage, in one region."""

    def __init__(self, clients: Clients, region: str, queue: str | None) -> None:
        """Take who calls, and the queue, if there is one."""
        self._clients = clients
        self._region = region
        self._queue = queue

    def listen(
        self, job_ids: Collection[str], timeout: float, *, stop: threading.Event | None = None
    ) -> bool:
        """Wait for a message about one of these jobs, in real time; `False` at once if there is no queue to wait at.

        Messages about these jobs are deleted, and old ones about others, which no one waits for. After `stop` nothing is
        deleted.
        """
        end = time.monotonic() + timeout
        stop = stop or threading.Event()
        while self._queue is not None and (left := end - time.monotonic()) > 0:
            if left < 1:  # SQS waits whole seconds
                time.sleep(left)
                break
            try:
                with translated("waiting for an event"):
                    messages = self._receive(min(left, _LONGEST_POLL))
                    if stop.is_set():
                        return True
                    about = [_job(message) for message in messages]
                    for message, job in zip(messages, about, strict=True):
                        if job in job_ids or self._is_old(message):
                            self._delete(message)
            except TunestackError as error:
                logger.debug("not woken by events: %s", error)
                self._queue = None
                stop.wait(max(0.0, end - time.monotonic()))
                return True
            if any(job in job_ids for job in about):
                return True
            if messages:  # those of others; they are visible again soon
                stop.wait(min(1.0, max(0.0, end - time.monotonic())))
        return self._queue is not None

    def _receive(self, seconds: float) -> list[Mapping[str, Any]]:
        answer = self._clients.get("sqs", self._region).receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_AWAY,
            WaitTimeSeconds=int(seconds),
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        found: list[Mapping[str, Any]] = answer.get("Messages", [])
        return found

    def _delete(self, message: Mapping[str, Any]) -> None:
        self._clients.get("sqs", self._region).delete_message(
            QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"]
        )

    def _is_old(self, message: Mapping[str, Any]) -> bool:
        sent = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
        return self._clients.now(self._region).timestamp() - sent > _FOR_OTHERS


def _job(message: Mapping[str, Any]) -> str | None:
    """Tell which job a message is about; `None` if it is no event of a job."""
    try:
        found = json.loads(message["Body"])["detail"]["jobArn"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
