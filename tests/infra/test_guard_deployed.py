"""The guard deployed to the sandbox: its function, role, rule and schedules."""

import time
import warnings
from datetime import timedelta

import boto3
import pytest

from tests.waiting import wait_until
from tunestack import EndpointCostWarning
from tunestack.errors import ConfigError, TunestackError

HOUR, FIVE_MINUTES = 3600, 300


@pytest.fixture
def deployed(sandbox, enabled_sweep_rules):
    """The deployment in us-west-2, where throughput can be created, with the client and the name of the sweep rule."""
    (events, sweep_rule) = enabled_sweep_rules[1]
    return sandbox.deployment("us-west-2"), events, sweep_rule


def are_deleted(tuner, sandbox, *, steps=4):
    """Advance the clock by five minutes at a time, until no endpoint exists. The function runs in real time."""
    for _ in range(steps):
        sandbox.clock.advance(FIVE_MINUTES + 1)
        if wait_until(lambda: not list(tuner.endpoints()), 5):
            return True
    return False


def list_endpoint_names(tuner):
    return [endpoint.name for endpoint in tuner.endpoints()]


def list_schedule_names(deployment):
    client = boto3.client("scheduler", deployment.region)
    schedules = client.list_schedules(GroupName=deployment.schedule_group)["Schedules"]
    return [row["Name"] for row in schedules]


@pytest.fixture
def endpoint(llama):
    """Provisioned throughput that expires after two hours."""
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint(ttl=timedelta(hours=2))
    return llama.endpoint()


def test_client_deletes_the_endpoint_but_not_its_schedule(endpoint, llama, west, deployed):
    deployment, _, _ = deployed
    assert list_schedule_names(deployment) == [endpoint.name]
    llama.stop_endpoint()
    assert list_endpoint_names(west) == []
    # Another client may be about to create an endpoint with the same name.
    assert list_schedule_names(deployment) == [endpoint.name]


def test_schedule_alone_deletes_the_endpoint(endpoint, west, sandbox, deployed):
    deployment, events, sweep_rule = deployed
    events.disable_rule(Name=sweep_rule)
    sandbox.clock.advance(HOUR)
    assert list_endpoint_names(west) == [endpoint.name]
    sandbox.clock.advance(HOUR)
    assert are_deleted(west, sandbox)
    # The schedule continues for a day, and is then deleted.
    sandbox.clock.advance(23 * HOUR)
    assert list_schedule_names(deployment) == [endpoint.name]
    sandbox.clock.advance(HOUR)
    give_up_at = time.monotonic() + 5
    while list_schedule_names(deployment) and time.monotonic() < give_up_at:
        sandbox.clock.advance(FIVE_MINUTES + 1)
    assert list_schedule_names(deployment) == []


def test_endpoint_that_is_created_again_is_deleted_too(endpoint, llama, west, sandbox, deployed):
    """A client that deletes an endpoint does not affect one that creates it: schedules are extended, never deleted."""
    deployment, events, sweep_rule = deployed
    events.disable_rule(Name=sweep_rule)
    sandbox.clock.advance(HOUR)
    guard = endpoint.backend.guard()
    expires_at = sandbox.clock.now() + timedelta(hours=20)
    guard.arm(endpoint.name, endpoint.serving, expires_at)
    llama.stop_endpoint()
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint(ttl=timedelta(hours=20))
    sandbox.clock.advance(19 * HOUR)
    assert list_endpoint_names(west) == [endpoint.name]
    sandbox.clock.advance(HOUR)
    assert are_deleted(west, sandbox)
    assert list_schedule_names(deployment) == [endpoint.name]


def test_sweep_alone_deletes_the_endpoint(endpoint, west, sandbox, deployed):
    deployment, _, _ = deployed
    boto3.client("scheduler", "us-west-2").delete_schedule(
        Name=endpoint.name, GroupName=deployment.schedule_group
    )
    sandbox.clock.advance(HOUR)
    assert list_endpoint_names(west) == [endpoint.name]
    sandbox.clock.advance(HOUR)
    assert are_deleted(west, sandbox)


def test_on_demand_endpoint_with_expiry_is_deleted(job, tuner, sandbox):
    job.start_endpoint(ttl=timedelta(hours=1))
    assert len(list(tuner.endpoints())) == 1
    sandbox.clock.advance(HOUR)
    assert are_deleted(tuner, sandbox)


def test_on_demand_endpoint_without_expiry_is_kept(job, tuner, sandbox):
    job.start_endpoint()
    sandbox.clock.advance(48 * HOUR)
    assert not are_deleted(tuner, sandbox, steps=1)
    job.stop_endpoint()


def test_expiry_can_be_extended_up_to_the_limit_of_the_stage(endpoint, llama, west, sandbox):
    expires_at = endpoint.extend(timedelta(hours=5))
    remaining = expires_at - sandbox.clock.now()
    assert timedelta(hours=4, minutes=59) < remaining < timedelta(hours=5, minutes=6)
    sandbox.clock.advance(4 * HOUR)
    assert list_endpoint_names(west) == [endpoint.name]
    with pytest.raises(
        ConfigError,
        match="invalid ttl of 21 hours .*at the latest, 1 day after its creation: use at most 19 hours",
    ):
        endpoint.extend(timedelta(hours=21))
    sandbox.clock.advance(HOUR)
    assert are_deleted(west, sandbox)


def test_ttl_above_the_limit_of_the_stage_creates_nothing(llama, west):
    with pytest.raises(ConfigError, match="this stage allows at most 1 day"):
        llama.start_endpoint(ttl=timedelta(hours=25))
    assert list_endpoint_names(west) == []


def test_provisioned_throughput_needs_a_guard_or_the_unguarded_option(llama, west, monkeypatch):
    monkeypatch.setattr("tunestack.backends.bedrock.backend.BedrockBackend.guard", lambda _: None)
    with pytest.raises(ConfigError, match="no endpoint guard is deployed, .*unguarded=True"):
        llama.start_endpoint()
    assert list_endpoint_names(west) == []
    with pytest.warns(EndpointCostWarning, match="Nothing in the account deletes it"):
        llama.start_endpoint(unguarded=True)
    llama.stop_endpoint()


def test_error_while_arming_the_guard_creates_nothing(llama, west, deployed, monkeypatch):
    def fail(*_, **__):
        raise TunestackError("no")

    monkeypatch.setattr("tunestack.backends.bedrock.guard.ScheduledGuard.arm", fail)
    with pytest.raises(TunestackError, match="no"), warnings.catch_warnings():
        warnings.simplefilter("error")
        llama.start_endpoint()
    assert list_endpoint_names(west) == []


def test_endpoint_without_stage_tag_is_kept_and_counted(llama, west, sandbox, deployed):
    deployment, _, _ = deployed
    bedrock = boto3.client("bedrock", "us-west-2")
    arn = bedrock.create_provisioned_model_throughput(
        provisionedModelName="other-team", modelId=llama.model, modelUnits=1
    )["provisionedModelArn"]
    sandbox.clock.advance(100 * HOUR)
    response = boto3.client("lambda", "us-west-2").invoke(
        FunctionName=deployment.guard_arn, Payload=b"{}"
    )
    payload = response["Payload"].read()
    assert b'"foreign": 1' in payload, payload
    assert b'"ended": 0' in payload
    bedrock.delete_provisioned_model_throughput(provisionedModelId=arn)
