"""A wait of hours, through everything that happens meanwhile."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

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
LOOK = "GetModelCustomizationJob"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """botocore's own retries pause on the wall's clock."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.fixture
def tuner(sandbox):
    """One that looks every quarter of an hour: the waits here are of half a day."""
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
    """Waits on the sandbox's clock, during which something happens at an hour, once."""

    def make(**session):
        happens = {}
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
def somebody(sandbox):
    """Another user's access key."""
    iam = boto3.client("iam")
    name = f"somebody-{os.urandom(3).hex()}"
    iam.create_user(UserName=name)
    everything = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.attach_user_policy(UserName=name, PolicyArn=everything)
    return iam.create_access_key(UserName=name)["AccessKey"]


@pytest.mark.as_root
def test_credentials_that_expire_are_found_anew_when_somebody_signs_in(
    sandbox, slow, during, somebody, monkeypatch
):
    tuner, happens = during()

    def sign_in():
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", somebody["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", somebody["SecretAccessKey"])
        sandbox.faults.clear()

    happens[1] = lambda: sandbox.faults.add("expired-credentials", operation=LOOK)
    happens[4] = sign_in
    job = tuner.job(slow.id)
    began = sandbox.clock.now()
    assert job.wait().model
    assert sandbox.clock.now() - began > timedelta(hours=12)
    signer = job.backend._control._request_signer
    assert somebody["AccessKeyId"] == signer._credentials.access_key


def test_credentials_that_have_expired_before_are_no_wait(sandbox, slow):
    sandbox.faults.add("expired-credentials", operation=LOOK)
    with pytest.raises(CredentialsExpiredError, match="sign in again"):
        slow.wait()


def test_credentials_that_nobody_renews_end_the_wait_at_its_end(sandbox, slow, during):
    tuner, happens = during()
    happens[1] = lambda: sandbox.faults.add("expired-credentials", operation=LOOK)
    with pytest.raises(CredentialsExpiredError, match="sign in again"):
        tuner.job(slow.id).wait(6 * HOUR)
    assert happens == {}


def test_a_clock_that_is_two_hours_wrong_is_said_to_be(sandbox, slow, during):
    tuner, _ = during()
    job = tuner.job(slow.id)
    # The sandbox's clock is two hours ahead of this machine's.
    sandbox.clock.advance(datetime.now(UTC) + timedelta(hours=2) - sandbox.clock.now())
    sandbox.faults.add("clock-skew", operation=LOOK)
    with pytest.raises(ClockError, match=r"clock is 1[12]\d minutes behind AWS's: set this"):
        job.wait()


def test_a_network_that_is_away_for_hours_ends_nothing(sandbox, slow, during):
    session = boto3.Session()
    away = []

    def unplugged(**_):
        if away:
            raise EndpointConnectionError(endpoint_url="https://bedrock")

    session.events.register_first("before-send.bedrock.*", unplugged)
    tuner, happens = during(session=session)
    happens[2] = lambda: away.append(True)
    happens[7] = away.clear
    assert tuner.job(slow.id).wait().model
    assert happens == {}


def test_a_network_that_stays_away_is_what_the_wait_ends_with(sandbox, slow, during):
    session = boto3.Session()

    def unplugged(**_):
        raise EndpointConnectionError(endpoint_url="https://bedrock")

    tuner, _ = during(session=session)
    job = tuner.job(slow.id)
    session.events.register_first("before-send.bedrock.*", unplugged)
    job.backend._clients._clients.clear()
    with pytest.raises(NetworkError, match="check the network"):
        job.wait(HOUR)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("validation", "pending .validation. for 3 hours"),
        ("training", "pending .queued. for 12 hours"),
    ],
)
def test_a_job_that_is_stuck_is_said_to_be(sandbox, tuner, chat, phase, words):
    sandbox.faults.add("stall", phase=phase)
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobStalledError, match=words) as error:
        job.wait()
    assert job.id == error.value.job_id
    assert isinstance(error.value, JobTimeoutError)
    # It goes on, and can be ended.
    assert job.cancel()


def test_how_long_nothing_may_change_is_for_the_caller_to_say(sandbox, tuner, chat):
    sandbox.faults.add("stall", phase="training")
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobStalledError, match="for [0-9]+ minutes"):
        job.wait(stall_after=timedelta(minutes=20))
    with pytest.raises(JobTimeoutError, match="after 1 day") as error:
        job.wait(stall_after=timedelta(days=10))
    assert JobTimeoutError is type(error.value)
    with pytest.raises(ConfigError, match="use seconds or a timedelta"):
        job.wait(stall_after="1h")


@pytest.fixture
def saying(sandbox, during):
    """A tuner to which Bedrock says another word for a job's state, for some looks."""

    def make(word, *, looks):
        session = boto3.Session()
        left = [looks]

        def say(parsed, **_):
            if left[0] > 0 and "status" in parsed:
                left[0] -= 1
                parsed["status"] = word

        session.events.register("after-call.bedrock.GetModelCustomizationJob", say)
        return during(session=session)[0]

    return make


def test_a_word_that_nobody_knows_is_no_end(slow, saying):
    assert saying("Hibernating", looks=8).job(slow.id).wait().model


def test_a_word_that_nobody_knows_for_an_hour_is_said(slow, saying):
    with pytest.raises(
        JobStalledError, match=r"has been Hibernating .training. for 1 hour .*upgrade"
    ):
        saying("Hibernating", looks=10**6).job(slow.id).wait()


def test_a_wait_is_one_of_many_in_an_event_loop(sandbox, tuner, chat):
    jobs = [tuner.submit("nova-micro", chat[: 8 + number]) for number in range(5)]

    async def all_of_them():
        return await asyncio.gather(*(job.wait_async() for job in jobs))

    assert jobs == asyncio.run(all_of_them())
    assert all(job.info.model for job in jobs)


def test_a_wait_in_an_event_loop_can_be_cancelled(sandbox, slow):
    """On the wall's clock: the pause is one that nothing else waits for."""
    job = Tuner().job(slow.id)

    async def a_moment():
        await asyncio.wait_for(job.wait_async(), timeout=0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(a_moment())
    assert not job.status().is_terminal


def test_a_wait_in_an_event_loop_fails_as_others_do(sandbox, tuner, chat):
    sandbox.faults.add("stall", phase="validation")
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobTimeoutError, match="after 10 minutes"):
        asyncio.run(job.wait_async(600))
    with pytest.raises(JobStalledError):
        asyncio.run(job.wait_async())
