"""`wait_async` receives the events of the stage as `wait` does, and returns immediately when it is cancelled."""

import asyncio
import contextlib
import subprocess
import sys
import time

import boto3
import pytest

from tunestack import Poll, Tuner
from tunestack.backends.base import JobState
from tunestack.errors import AccessError

RARELY = Poll(first=300, longest=300)
"""Polls so rarely that only an event can end a wait in time."""


@pytest.fixture
def queue(sandbox):
    """The event queue of the stage, emptied."""
    url = sandbox.deployment().event_queue_url
    boto3.client("sqs").purge_queue(QueueUrl=url)
    return url


async def wait_until_first_poll(job):
    """Start a wait, and return its task after the first poll."""
    task = asyncio.create_task(job.wait_async())
    await asyncio.sleep(0.5)
    return task


def test_event_ends_a_pause_of_minutes(sandbox, queue, chat):
    job = Tuner(poll=RARELY).submit("nova-micro", chat)

    async def wait():
        task = await wait_until_first_poll(job)
        sandbox.clock.advance(20000)
        return await asyncio.wait_for(task, 30)

    assert JobState.SUCCEEDED is asyncio.run(wait()).info.state


def test_next_poll_ends_the_wait_without_events(sandbox, queue, chat):
    sandbox.faults.add("event-loss")
    job = Tuner(poll=Poll(first=2, longest=2)).submit("nova-micro", chat)

    async def wait():
        task = await wait_until_first_poll(job)
        sandbox.clock.advance(20000)
        return await asyncio.wait_for(task, 30)

    assert asyncio.run(wait()).info.model


@pytest.mark.parametrize("events", [True, False])
def test_cancelled_wait_returns_immediately_and_keeps_the_job(sandbox, queue, chat, events):
    tuner = Tuner(poll=Poll(first=300, longest=300, events=events))
    job = tuner.submit("nova-micro", chat)

    async def wait():
        task = await wait_until_first_poll(job)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    started = time.monotonic()
    # Closing the event loop waits for the threads of its executor.
    assert asyncio.run(wait())
    assert time.monotonic() - started < 10
    assert not tuner.job(job.id).status().is_terminal


def test_other_tasks_run_during_a_wait(sandbox, queue, chat):
    job = Tuner(poll=RARELY).submit("nova-micro", chat)

    async def wait():
        task = await wait_until_first_poll(job)
        ticks = 0
        while ticks < 20:
            await asyncio.sleep(0.01)
            ticks += 1
        sandbox.clock.advance(20000)
        await asyncio.wait_for(task, 30)
        return ticks

    assert asyncio.run(wait()) == 20


def test_event_after_a_cancelled_wait_ends_the_next_wait(sandbox, queue, chat):
    job = Tuner(poll=RARELY).submit("nova-micro", chat)

    async def wait():
        first = await wait_until_first_poll(job)
        first.cancel()
        second = await wait_until_first_poll(job)
        sandbox.clock.advance(20000)
        return await asyncio.wait_for(second, 40)

    assert asyncio.run(wait()).info.model


def test_error_of_a_poll_is_raised(sandbox, queue, chat, inject_error):
    job = Tuner(poll=RARELY).submit("nova-micro", chat)
    inject_error("GetModelCustomizationJob", "AccessDeniedException", times=100)

    with pytest.raises(AccessError):
        asyncio.run(job.wait_async())


def test_process_exits_after_a_wait_timed_out(sandbox, queue, chat):
    job = Tuner(poll=RARELY).submit("nova-micro", chat)
    code = (
        "import asyncio\n"
        "from tunestack import Poll, Tuner\n"
        "async def main():\n"
        f"    job = Tuner(poll=Poll(first=300, longest=300)).job({job.id!r})\n"
        "    try:\n"
        "        await asyncio.wait_for(job.wait_async(), 1)\n"
        "    except TimeoutError:\n"
        "        print('timed out')\n"
        "asyncio.run(main())\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "timed out\n", "")
