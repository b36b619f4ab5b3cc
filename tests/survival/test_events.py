"""An event wakes whoever waits; without events, the next look tells."""

import statistics
import threading
import time

import boto3
import pytest

from tunestack import Poll, Tuner
from tunestack.providers.events import JobEvents

RARELY = Poll(first=300, longest=300)
"""Looks so rarely that only an event can end a wait in time."""


@pytest.fixture
def queue(sandbox):
    """The stage's queue, empty."""
    url = sandbox.deployment().event_queue_url
    client = boto3.client("sqs")
    client.purge_queue(QueueUrl=url)
    return client, url


def waited(sandbox, job, *, seconds=20000):
    """Wait in a thread while the clock is turned to the job's end; returns the seconds from there to the wait's."""
    ended = []
    waiter = threading.Thread(target=lambda: (job.wait(), ended.append(time.monotonic())))
    waiter.start()
    time.sleep(0.3)  # until it has looked, and pauses
    sandbox.clock.advance(seconds)
    happened = time.monotonic()
    waiter.join(60)
    assert ended, "nothing woke it"
    return ended[0] - happened


def test_an_event_ends_a_pause_of_minutes(sandbox, queue, chat, figure):
    tuner, took = Tuner(poll=RARELY), []
    for number in range(5):
        job = tuner.submit("nova-micro", chat[: 8 + number])
        took.append(waited(sandbox, job))
        assert job.last.model
    figure(
        f"from event to wait's end: median {statistics.median(took):.2f} s, worst {max(took):.2f} s"
    )
    assert max(took) < 30


def test_without_events_the_next_look_tells(sandbox, queue, chat):
    sandbox.faults.add("event-loss")
    job = Tuner(poll=Poll(first=2, longest=2)).submit("nova-micro", chat)
    assert waited(sandbox, job) < 10


def test_one_event_wakes_whoever_follows_many(sandbox, queue, chat):
    tuner = Tuner(poll=RARELY)
    jobs = [tuner.submit("nova-micro", chat[: 8 + number]) for number in range(3)]
    ended = []
    waiter = threading.Thread(target=lambda: ended.extend(tuner.wait_all(jobs)))
    waiter.start()
    time.sleep(0.3)
    sandbox.clock.advance(20000)
    waiter.join(60)
    assert jobs == ended


def test_messages_for_others_are_left_to_them_for_a_while(sandbox, queue, chat):
    client, url = queue
    sent = '{"detail": {"jobArn": "arn:theirs"}}'
    client.send_message(QueueUrl=url, MessageBody=sent)
    client.send_message(QueueUrl=url, MessageBody="no event at all")
    clients = Tuner()._accounts.aws._clients
    clients.get("bedrock", "us-east-1").list_custom_models()
    events = JobEvents(clients, "us-east-1", url)
    assert events.listen({"arn:ours"}, 1.5)
    assert bodies(client, url) == {sent, "no event at all"}
    sandbox.clock.advance(120)
    clients.get("bedrock", "us-east-1").list_custom_models()
    assert events.listen({"arn:ours"}, 4.0)
    assert bodies(client, url) == set()


def bodies(client, url):
    """What is in the queue, by whoever can see it."""
    time.sleep(2.1)  # until what was read can be seen again
    rows = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return {row["Body"] for row in rows.get("Messages", [])}


@pytest.mark.parametrize("url", [None, "https://127.0.0.1:9/nowhere"])
def test_where_no_queue_can_be_asked_the_pause_is_as_long(sandbox, url, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    events = JobEvents(Tuner()._accounts.aws._clients, "us-east-1", url)
    assert (url is not None) == events.listen({"a"}, 1.2)  # SQS waits whole seconds
    assert not events.listen({"a"}, 0.2)
