"""Endpoints of both kinds, from start to deletion."""

from datetime import datetime, timedelta

import boto3
import pytest

from tunestack import EndpointCostWarning, EndpointState
from tunestack.catalog import Serving
from tunestack.errors import (
    BusyError,
    ConfigError,
    ConflictError,
    EndpointFailedError,
    EndpointTimeoutError,
    NotFoundError,
)


def get_tags(arn):
    rows = boto3.client("bedrock", arn.split(":")[3]).list_tags_for_resource(resourceARN=arn)[
        "tags"
    ]
    return {row["key"]: row["value"] for row in rows}


def test_deployment_can_be_invoked_and_deleted(job, tuner):
    name = job.start_endpoint().name
    endpoint = job.endpoint()
    assert (name, Serving.ON_DEMAND) == (endpoint.name, endpoint.serving)
    assert endpoint.refresh().state == EndpointState.READY
    assert endpoint.invoke("What is number 7?") == "It is 7."
    assert tuner.invoke(name, [{"role": "user", "content": "What is number 8?"}]) == "It is 8."
    assert [name] == [listed.name for listed in tuner.endpoints()]
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []
    with pytest.raises(NotFoundError):
        endpoint.refresh()


def test_throughput_warns_about_its_cost_and_is_tagged_with_its_expiry(llama, west):
    with pytest.warns(
        EndpointCostWarning, match="billed by the hour.*endpoint guard deletes it at 2.* UTC"
    ):
        llama.start_endpoint(ttl=timedelta(hours=2), model_units=2)
    endpoint = llama.endpoint()
    assert (endpoint.serving, endpoint.info.model_units) == (Serving.PROVISIONED, 2)
    tags = get_tags(endpoint.id)
    assert tags["tunestack:expires-at"].endswith("Z")
    assert tags["tunestack:stage"] == "dev"
    assert endpoint.invoke("What is number 7?") == "It is 7."
    llama.stop_endpoint()
    assert list(west.endpoints()) == []


def test_warning_has_the_price_if_it_is_known(west, tuner, completions):
    job = west.submit("llama-3-1-70b", completions).wait()
    with pytest.warns(
        EndpointCostWarning,
        match=r"\$24\.10 \(price list of 2026-10-30\) for each of 2 model units",
    ):
        job.start_endpoint(model_units=2)
    job.stop_endpoint()


def test_provisioned_throughput_must_be_specified_if_on_demand_is_supported(job):
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    assert job.endpoint().serving == Serving.PROVISIONED
    job.stop_endpoint()


def test_error_about_unsupported_serving_names_the_supported_one(llama, job):
    with pytest.raises(ConfigError, match="can't be served 'on-demand': use 'provisioned'"):
        llama.start_endpoint("on-demand")
    with pytest.raises(ConfigError, match="use 'on-demand' or 'provisioned'"):
        job.start_endpoint("direct")


def test_start_returns_an_endpoint_that_exists(job, tuner):
    assert job.start_endpoint() == tuner.job(job.id).start_endpoint()
    assert len(list(tuner.endpoints())) == 1
    job.stop_endpoint()


def test_stopped_endpoint_can_be_started_again(job, tuner):
    """With the same token, the service would return the deleted endpoint."""
    ids = set()
    for _ in range(4):
        job.start_endpoint()
        ids.add(job.endpoint().id)
        assert job.endpoint().invoke("What is number 3?") == "It is 3."
        job.stop_endpoint()
    assert len(ids) == 4


def test_endpoint_can_be_stopped_twice(job):
    job.start_endpoint()
    endpoint = job.endpoint()
    endpoint.stop()
    endpoint.stop()
    job.stop_endpoint()
    with pytest.raises(NotFoundError, match="has no endpoint: call start_endpoint"):
        job.endpoint()


def test_endpoint_that_is_still_starting_can_be_stopped(job, tuner, retry_at_once):
    with pytest.raises(
        EndpointTimeoutError, match="still 'Creating' after 1 minute; it continues"
    ) as raised:
        job.start_endpoint(timeout=60)
    assert isinstance(raised.value, TimeoutError)
    with pytest.raises(BusyError, match="wait until the endpoint is ready"):
        job.endpoint().invoke("What is number 7?")
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_error_of_a_stop_that_times_out_warns_about_billing(llama, poll):
    with (
        pytest.warns(EndpointCostWarning),
        pytest.raises(EndpointTimeoutError, match="may be billed"),
    ):
        llama.start_endpoint(timeout=60)
    with pytest.raises(EndpointTimeoutError, match="may be billed: stop it again"):
        llama.endpoint().stop(timeout=60)
    llama.stop_endpoint()


def test_context_manager_stops_the_endpoint(job, tuner):
    job.start_endpoint()
    with pytest.raises(ZeroDivisionError), job.endpoint() as endpoint:
        assert endpoint.invoke("What is number 7?") == "It is 7."
        raise ZeroDivisionError
    assert list(tuner.endpoints()) == []


def test_failed_endpoint_raises_and_is_replaced(job, tuner, sandbox):
    sandbox.faults.add("endpoint-failure", times=1)
    with pytest.raises(EndpointFailedError, match="could not be started: The request failed"):
        job.start_endpoint()
    job.start_endpoint()
    assert job.endpoint().refresh().state == EndpointState.READY
    job.stop_endpoint()


def test_endpoint_can_be_attached_with_its_name_or_arn(job, tuner, llama, west):
    name = job.start_endpoint().name
    assert tuner.endpoint(name).id == job.endpoint().id == tuner.endpoint(job.endpoint().id).id
    with pytest.warns(EndpointCostWarning):
        provisioned = llama.start_endpoint().name
    assert west.endpoint(provisioned).id == tuner.endpoint(llama.endpoint().id).id
    job.stop_endpoint()
    llama.stop_endpoint()
    for attach in (lambda: tuner.endpoint(name), lambda: west.endpoint(provisioned)):
        with pytest.raises(NotFoundError):
            attach()


def test_endpoint_that_was_started_last_is_used(job, tuner):
    job.start_endpoint()
    on_demand = job.endpoint()
    with pytest.warns(EndpointCostWarning):
        name = job.start_endpoint("provisioned").name
    assert (name, Serving.PROVISIONED) == (job.endpoint().name, job.endpoint().serving)
    assert name == tuner.job(job.id).endpoint().name, "another process uses the newest endpoint"
    assert on_demand.refresh().state is EndpointState.READY
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ttl": timedelta(0)}, "longer than 0"),
        ({"ttl": timedelta(-1)}, "from 0 to 366 days"),
        ({"ttl": timedelta.max}, "from 0 to 366 days"),
        ({"ttl": "1h"}, "use seconds or a timedelta"),
        ({"model_units": 0}, "use an integer from 1"),
        ({"model_units": True}, "use an integer from 1"),
        ({"model_units": "1"}, "use an integer from 1"),
        ({"timeout": "1h"}, "use seconds or a timedelta"),
        ({"timeout": float("nan")}, "from 0 to 366 days"),
    ],
)
def test_invalid_arguments_create_no_endpoint(llama, west, arguments, message):
    with pytest.raises(ConfigError, match=message):
        llama.start_endpoint(**arguments)
    assert list(west.endpoints()) == []


def test_model_units_are_rejected_for_on_demand_deployments(job):
    with pytest.raises(ConfigError, match="only provisioned throughput has units"):
        job.start_endpoint(model_units=2)


def test_endpoint_with_other_units_is_a_conflict(llama):
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint()
    with pytest.raises(ConflictError, match="exists with 1 model units, not 5: stop it first"):
        llama.start_endpoint(model_units=5)
    with pytest.warns(EndpointCostWarning, match="exists already, billed by the hour"):
        llama.start_endpoint()
    llama.stop_endpoint()


def test_expiry_is_rounded_up_to_five_minutes(llama, west, sandbox):
    before = sandbox.clock.now()
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint(ttl=timedelta(hours=2))
    expires_at = datetime.fromisoformat(get_tags(llama.endpoint().id)["tunestack:expires-at"])
    # The time of AWS has whole seconds.
    rounding = expires_at - before - timedelta(hours=2)
    assert timedelta(seconds=-1) <= rounding <= timedelta(minutes=5, seconds=5)
    assert (expires_at.minute % 5, expires_at.second) == (0, 0)
    llama.stop_endpoint()
