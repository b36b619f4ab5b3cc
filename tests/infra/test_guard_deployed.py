"""The guard as it is deployed: its function, its role, its rule and its schedules, in the sandbox's account."""

import time
import warnings
from datetime import timedelta

import boto3
import pytest

from tunestack import EndpointCostWarning
from tunestack.errors import ConfigError, TunestackError

HOUR, FIVE_MINUTES = 3600, 300


@pytest.fixture
def account(sandbox, sweeping):
    """What the stack made in us-west-2, where there is throughput."""
    (events, sweep) = sweeping[1]
    return sandbox.deployment("us-west-2"), events, sweep


def gone(tuner, sandbox, *, steps=4):
    """Let time pass, five minutes at a time, until nothing is left; a function of the account takes a moment of real time."""
    for _ in range(steps):
        sandbox.clock.advance(FIVE_MINUTES + 1)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if not list(tuner.endpoints()):
                return True
    return False


def schedules(deployment):
    client = boto3.client("scheduler", deployment.region)
    return client.list_schedules(GroupName=deployment.schedule_group)["Schedules"]


@pytest.fixture
def started(llama):
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint(ttl=timedelta(hours=2))
    return llama.endpoint()


def test_the_clients_own_stop_leaves_nothing(started, llama, west, account):
    deployment, _, _ = account
    assert [started.name] == [row["Name"] for row in schedules(deployment)]
    llama.stop_endpoint()
    assert [] == list(west.endpoints())
    # Its schedule stays: somebody else may be about to start it again.
    assert [started.name] == [row["Name"] for row in schedules(deployment)]


def test_its_schedule_alone_ends_it(started, west, sandbox, account):
    deployment, events, sweep = account
    events.disable_rule(Name=sweep)
    sandbox.clock.advance(HOUR)
    assert [started.name] == [found.name for found in west.endpoints()]
    sandbox.clock.advance(HOUR)
    assert gone(west, sandbox)
    # The schedule comes for a day, finds nothing, and goes.
    sandbox.clock.advance(23 * HOUR)
    assert [started.name] == [row["Name"] for row in schedules(deployment)]
    sandbox.clock.advance(HOUR)
    end = time.monotonic() + 5
    while schedules(deployment) and time.monotonic() < end:
        sandbox.clock.advance(FIVE_MINUTES + 1)
    assert [] == schedules(deployment)


def test_what_is_started_again_meanwhile_is_ended_too(started, llama, west, sandbox, account):
    """Whoever stops takes nothing away from whoever starts: the schedule of a name is widened, never deleted."""
    deployment, events, sweep = account
    events.disable_rule(Name=sweep)
    sandbox.clock.advance(HOUR)
    guard = started.backend.guard()
    first = sandbox.clock.now() + timedelta(hours=20)
    guard.arm(started.name, started.serving, first)
    llama.stop_endpoint()
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint(ttl=timedelta(hours=20))
    sandbox.clock.advance(19 * HOUR)
    assert [started.name] == [found.name for found in west.endpoints()]
    sandbox.clock.advance(HOUR)
    assert gone(west, sandbox)
    assert [started.name] == [row["Name"] for row in schedules(deployment)]


def test_the_sweep_alone_ends_it(started, west, sandbox, account):
    deployment, _, _ = account
    boto3.client("scheduler", "us-west-2").delete_schedule(
        Name=started.name, GroupName=deployment.schedule_group
    )
    sandbox.clock.advance(HOUR)
    assert [started.name] == [found.name for found in west.endpoints()]
    sandbox.clock.advance(HOUR)
    assert gone(west, sandbox)


def test_a_deployment_with_an_end_is_ended_too(job, tuner, sandbox):
    job.start_endpoint(ttl=timedelta(hours=1))
    assert 1 == len(list(tuner.endpoints()))
    sandbox.clock.advance(HOUR)
    assert gone(tuner, sandbox)


def test_one_without_an_end_stays(job, tuner, sandbox):
    job.start_endpoint()
    sandbox.clock.advance(48 * HOUR)
    assert not gone(tuner, sandbox, steps=1)
    job.stop_endpoint()


def test_an_end_can_be_put_off_as_far_as_the_stage_allows(started, llama, west, sandbox):
    end = started.extend(timedelta(hours=5))
    assert (
        timedelta(hours=4, minutes=59) < end - sandbox.clock.now() < timedelta(hours=5, minutes=6)
    )
    sandbox.clock.advance(4 * HOUR)
    assert [started.name] == [found.name for found in west.endpoints()]
    with pytest.raises(
        ConfigError,
        match="invalid ttl of 21 hours .*at the latest, 1 day after its creation: use at most 19 hours",
    ):
        started.extend(timedelta(hours=21))
    sandbox.clock.advance(HOUR)
    assert gone(west, sandbox)


def test_more_than_the_stage_allows_is_refused_before_anything_is_made(llama, west):
    with pytest.raises(ConfigError, match="this stage allows at most 1 day"):
        llama.start_endpoint(ttl=timedelta(hours=25))
    assert [] == list(west.endpoints())


def test_without_a_guard_nothing_is_started_that_is_billed_by_the_hour(llama, west, monkeypatch):
    monkeypatch.setattr("tunestack.backends.bedrock.backend.BedrockBackend.guard", lambda _: None)
    with pytest.raises(ConfigError, match="no endpoint guard is deployed here.*unguarded=True"):
        llama.start_endpoint()
    assert [] == list(west.endpoints())
    with pytest.warns(EndpointCostWarning, match="Nothing in the account deletes it"):
        llama.start_endpoint(unguarded=True)
    llama.stop_endpoint()


def test_if_it_cant_be_armed_nothing_is_created(llama, west, account, monkeypatch):
    def refuse(*_, **__):
        raise TunestackError("no")

    monkeypatch.setattr("tunestack.backends.bedrock.guard.ScheduledGuard.arm", refuse)
    with pytest.raises(TunestackError, match="no"), warnings.catch_warnings():
        warnings.simplefilter("error")
        llama.start_endpoint()
    assert [] == list(west.endpoints())


def test_what_the_guard_may_not_touch_is_reported(llama, west, sandbox, account):
    """Another team's endpoint, without a tag: it stays, and the function's metrics say that it is there."""
    deployment, _, _ = account
    bedrock = boto3.client("bedrock", "us-west-2")
    arn = bedrock.create_provisioned_model_throughput(
        provisionedModelName="somebody-elses", modelId=llama.model, modelUnits=1
    )["provisionedModelArn"]
    sandbox.clock.advance(100 * HOUR)
    answer = boto3.client("lambda", "us-west-2").invoke(
        FunctionName=deployment.guard_arn, Payload=b"{}"
    )
    said = answer["Payload"].read()
    assert b'"foreign": 1' in said, said
    assert b'"ended": 0' in said
    bedrock.delete_provisioned_model_throughput(provisionedModelId=arn)
