"""An event ends the pause of a wait; without events, the next poll does."""

import statistics
import threading
import time

import boto3
import pytest

from tunestack import Poll, Tuner
from tunestack.backends.bedrock.events import JobEvents

RARELY = Poll(first=300, longest=300)
"""Polls so rarely that only an event can end a wait in time."""


@pytest.fixture
def queue(sandbox):
    """The event queue of the stage, emptied."""
    url = sandbox.deployment().event_queue_url
    client = boto3.client("sqs")
    client.purge_queue(QueueUrl=url)
    return client, url


def measure_wait(sandbox, job, *, seconds=20000):
    """Wait in a thread, advance the clock to the end of the job, and return the real seconds until the wait ends."""
    ended = []

    def wait():
        job.wait()
        ended.append(time.monotonic())

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.3)  # The first poll is over.
    sandbox.clock.advance(seconds)
    advanced_at = time.monotonic()
    waiter.join(60)
    assert ended, "the wait did not end"
    return ended[0] - advanced_at


def test_event_ends_a_pause_of_minutes(sandbox, queue, chat, figure):
    tuner, took = Tuner(poll=RARELY), []
    for number in range(5):
        job = tuner.submit("nova-micro", chat[: 8 + number])
        took.append(measure_wait(sandbox, job))
        assert job.info.model
    figure(
        f"from event to wait's end: median {statistics.median(took):.2f} s, worst {max(took):.2f} s"
    )
    assert max(took) < 30


def test_next_poll_ends_the_wait_without_events(sandbox, queue, chat):
    sandbox.faults.add("event-loss")
    job = Tuner(poll=Poll(first=2, longest=2)).submit("nova-micro", chat)
    assert measure_wait(sandbox, job) < 30


def test_events_end_a_wait_for_several_jobs(sandbox, queue, chat):
    tuner = Tuner(poll=RARELY)
    jobs = [tuner.submit("nova-micro", chat[: 8 + number]) for number in range(3)]
    ended = []
    waiter = threading.Thread(target=lambda: ended.extend(tuner.wait_all(jobs)))
    waiter.start()
    time.sleep(0.3)
    sandbox.clock.advance(20000)
    waiter.join(60)
    assert ended == jobs


def test_messages_for_other_jobs_are_kept_for_a_while(sandbox, queue, chat):
    client, url = queue
    other_event = '{"detail": {"jobArn": "arn:other"}}'
    client.send_message(QueueUrl=url, MessageBody=other_event)
    client.send_message(QueueUrl=url, MessageBody="not an event")
    clients = Tuner()._accounts.bedrock._clients
    clients.get("bedrock", "us-east-1").list_custom_models()
    events = JobEvents(clients, "us-east-1", url)
    assert events.listen({"arn:ours"}, 1.5)
    assert read_bodies(client, url) == {other_event, "not an event"}
    sandbox.clock.advance(120)
    clients.get("bedrock", "us-east-1").list_custom_models()
    assert events.listen({"arn:ours"}, 4.0)
    assert read_bodies(client, url) == set()


def read_bodies(client, url):
    """Return the bodies of all visible messages."""
    time.sleep(2.1)  # The messages are visible again.
    rows = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return {row["Body"] for row in rows.get("Messages", [])}


@pytest.mark.parametrize("url", [None, "https://127.0.0.1:9/nowhere"])
def test_pause_without_a_usable_queue_has_the_same_length(sandbox, url, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    events = JobEvents(Tuner()._accounts.bedrock._clients, "us-east-1", url)
    assert (url is not None) == events.listen({"a"}, 1.2)  # SQS waits whole seconds
    assert not events.listen({"a"}, 0.2)
