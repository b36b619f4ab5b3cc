"""A wait of hours with faults: expired credentials, a wrong clock, a lost network, stalled jobs, unknown statuses."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tunestack import Poll, Tuner
from tunestack.errors import (
    ClockError,
    ConfigError,
    CredentialsExpiredError,
    JobStalledError,
    JobTimeoutError,
    NetworkError,
)

HOUR = 3600
POLL_OPERATION = "GetModelCustomizationJob"


@pytest.fixture(autouse=True)
def _no_retry_delays(monkeypatch):
    """botocore's retries wait in real time."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.fixture
def tuner(sandbox):
    """A tuner that polls every 15 minutes: the waits here take half a day."""
    poll = Poll(
        sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic, first=60, longest=900, jitter=0
    )
    return Tuner(poll=poll)


@pytest.fixture
def slow(sandbox, tuner, chat):
    """A job that trains for twelve hours."""
    sandbox.faults.add("slow-phase", phase="training", seconds=12 * HOUR)
    return tuner.submit("nova-micro", chat)


@pytest.fixture
def during(sandbox):
    """Return a tuner, and a dict of actions by the hour of the wait at which each runs once."""

    def make(**session):
        happens: dict[float, Any] = {}
        began = sandbox.clock.monotonic()

        def sleep(seconds):
            sandbox.clock.advance(seconds)
            for hour in [
                hour for hour in happens if began + hour * HOUR < sandbox.clock.monotonic()
            ]:
                happens.pop(hour)()

        poll = Poll(sleep=sleep, clock=sandbox.clock.monotonic, first=60, longest=900)
        return Tuner(poll=poll, **session), happens

    return make


@pytest.fixture
def other_user(sandbox):
    """The access key of another user."""
    iam = boto3.client("iam")
    name = f"user-{os.urandom(3).hex()}"
    iam.create_user(UserName=name)
    everything = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.attach_user_policy(UserName=name, PolicyArn=everything)
    return iam.create_access_key(UserName=name)["AccessKey"]


@pytest.mark.as_root
def test_wait_continues_with_new_credentials_after_they_expired(
    sandbox, slow, during, other_user, monkeypatch
):
    tuner, happens = during()

    def sign_in():
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", other_user["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", other_user["SecretAccessKey"])
        sandbox.faults.clear()

    happens[1] = lambda: sandbox.faults.add("expired-credentials", operation=POLL_OPERATION)
    happens[4] = sign_in
    job = tuner.job(slow.id)
    began = sandbox.clock.now()
    assert job.wait().model
    assert sandbox.clock.now() - began > timedelta(hours=12)
    signer = job.backend._control._request_signer
    assert signer._credentials.access_key == other_user["AccessKeyId"]


def test_credentials_that_expired_before_the_wait_are_an_error(sandbox, slow):
    sandbox.faults.add("expired-credentials", operation=POLL_OPERATION)
    with pytest.raises(CredentialsExpiredError, match="sign in again"):
        slow.wait()


def test_credentials_that_stay_expired_are_an_error_at_the_timeout(sandbox, slow, during):
    tuner, happens = during()
    happens[1] = lambda: sandbox.faults.add("expired-credentials", operation=POLL_OPERATION)
    with pytest.raises(CredentialsExpiredError, match="sign in again"):
        tuner.job(slow.id).wait(6 * HOUR)
    assert happens == {}


def test_wrong_local_clock_is_an_error(sandbox, slow, during):
    tuner, _ = during()
    job = tuner.job(slow.id)
    # The sandbox's clock is two hours ahead of this machine's.
    sandbox.clock.advance(datetime.now(UTC) + timedelta(hours=2) - sandbox.clock.now())
    sandbox.faults.add("clock-skew", operation=POLL_OPERATION)
    with pytest.raises(ClockError, match=r"clock is 1[12]\d minutes behind AWS's: set this"):
        job.wait()


def test_wait_continues_after_hours_without_network(sandbox, slow, during):
    session = boto3.Session()
    away: list[bool] = []

    def fail(**_):
        if away:
            raise EndpointConnectionError(endpoint_url="https://bedrock")

    session.events.register_first("before-send.bedrock.*", fail)
    tuner, happens = during(session=session)
    happens[2] = lambda: away.append(True)
    happens[7] = away.clear
    assert tuner.job(slow.id).wait().model
    assert happens == {}


def test_network_that_stays_down_is_an_error_at_the_timeout(sandbox, slow, during):
    session = boto3.Session()

    def fail(**_):
        raise EndpointConnectionError(endpoint_url="https://bedrock")

    tuner, _ = during(session=session)
    job = tuner.job(slow.id)
    session.events.register_first("before-send.bedrock.*", fail)
    job.backend._clients._clients.clear()
    with pytest.raises(NetworkError, match="check the network"):
        job.wait(HOUR)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("validation", "pending .validation. for 3 hours"),
        ("training", "pending .queued. for 12 hours"),
    ],
)
def test_stalled_job_is_an_error(sandbox, tuner, chat, phase, message):
    sandbox.faults.add("stall", phase=phase)
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobStalledError, match=message) as error:
        job.wait()
    assert error.value.job_id == job.id
    assert isinstance(error.value, JobTimeoutError)
    # The job is still running, and can be cancelled.
    assert job.cancel()


def test_stall_after_sets_the_time_without_changes(sandbox, tuner, chat):
    sandbox.faults.add("stall", phase="training")
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobStalledError, match="for [0-9]+ minutes"):
        job.wait(stall_after=timedelta(minutes=20))
    with pytest.raises(JobTimeoutError, match="after 1 day") as error:
        job.wait(stall_after=timedelta(days=10))
    assert type(error.value) is JobTimeoutError
    with pytest.raises(ConfigError, match="use seconds or a timedelta"):
        job.wait(stall_after="1h")


@pytest.fixture
def tuner_with_status(sandbox, during):
    """Return a tuner that receives another status for a number of polls."""

    def make(status, *, polls):
        session = boto3.Session()
        remaining = [polls]

        def change(parsed, **_):
            if remaining[0] > 0 and "status" in parsed:
                remaining[0] -= 1
                parsed["status"] = status

        session.events.register("after-call.bedrock.GetModelCustomizationJob", change)
        return during(session=session)[0]

    return make


def test_unknown_status_does_not_end_the_wait(slow, tuner_with_status):
    assert tuner_with_status("Hibernating", polls=8).job(slow.id).wait().model


def test_unknown_status_for_an_hour_is_an_error(slow, tuner_with_status):
    with pytest.raises(
        JobStalledError, match=r"has been Hibernating .training. for 1 hour .*upgrade"
    ):
        tuner_with_status("Hibernating", polls=10**6).job(slow.id).wait()


def test_many_waits_run_in_one_event_loop(sandbox, tuner, chat):
    jobs = [tuner.submit("nova-micro", chat[: 8 + number]) for number in range(5)]

    async def wait_for_all():
        return await asyncio.gather(*(job.wait_async() for job in jobs))

    assert jobs == asyncio.run(wait_for_all())
    assert all(job.info.model for job in jobs)


def test_wait_in_an_event_loop_can_be_cancelled(sandbox, slow):
    """In real time: a cancelled pause must end immediately."""
    job = Tuner().job(slow.id)

    async def wait_briefly():
        await asyncio.wait_for(job.wait_async(), timeout=0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(wait_briefly())
    assert not job.status().is_terminal


def test_wait_in_an_event_loop_raises_the_same_errors(sandbox, tuner, chat):
    sandbox.faults.add("stall", phase="validation")
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobTimeoutError, match="after 10 minutes"):
        asyncio.run(job.wait_async(600))
    with pytest.raises(JobStalledError):
        asyncio.run(job.wait_async())
