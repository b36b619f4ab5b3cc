"""The metrics of endpoints, from CloudWatch."""

from datetime import UTC, datetime, timedelta, timezone

import boto3
import pytest

from tunestack import EndpointCostWarning, Tuner
from tunestack.errors import AccessError, BusyError, ConfigError
from tunestack_sandbox.bedrock.training_data import estimate_tokens

MINUTES = timedelta(minutes=1)
EAST = timezone(timedelta(hours=14))


@pytest.fixture
def endpoint(job, sandbox):
    """Return an on-demand endpoint, at the start of an hour."""
    job.start_endpoint()
    endpoint, now = job.endpoint(), sandbox.clock.now()
    advance(sandbox, endpoint, 3600 - now.minute * 60 - now.second)
    return endpoint


def invoke(endpoint, times=1):
    for _ in range(times):
        endpoint.invoke("What is number 7?")


def advance(sandbox, endpoint, duration):
    """Advance the clock, and let the SDK read it from a response."""
    sandbox.clock.advance(duration)
    endpoint.refresh()


def get_counts(row):
    return (row.invocations, row.client_errors, row.server_errors, row.throttles)


def test_on_demand_endpoint_has_the_metrics_of_its_invocations(endpoint, requests):
    assert endpoint.metrics() == []
    invoke(endpoint, times=3)
    before = requests.sdk_counts["cloudwatch", "GetMetricData"]
    (row,) = endpoint.metrics()
    assert requests.sdk_counts["cloudwatch", "GetMetricData"] == before + 1
    assert get_counts(row) == (3, 0, 0, 0)
    assert row.period == timedelta(minutes=5)
    assert (row.start.tzinfo, row.start.minute % 5) == (UTC, 0)
    assert row.input_tokens == 3 * estimate_tokens("What is number 7?")
    assert row.output_tokens == 3 * estimate_tokens("It is 7.")
    assert (row.latency_ms, row.latency_p95_ms) == (1, 1)


def test_provisioned_endpoint_has_metrics_of_its_own(llama):
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint()
    endpoint = llama.endpoint()
    invoke(endpoint, times=2)
    (row,) = endpoint.metrics()
    assert get_counts(row) == (2, 0, 0, 0)
    assert row.input_tokens > 0
    llama.stop_endpoint()
    (row,) = endpoint.metrics()
    assert row.invocations == 2, "the metrics of a deleted endpoint remain"


def test_errors_and_throttles_are_counted(endpoint, inject_error):
    inject_error("Converse", "ThrottlingException", times=2)
    inject_error("Converse", "InternalServerException")
    invoke(endpoint)  # the SDK repeats the request
    inject_error("Converse", "ModelTimeoutException", times=5)
    with pytest.raises(BusyError):
        invoke(endpoint)
    (row,) = endpoint.metrics()
    attempts = row.client_errors
    assert attempts >= 1
    assert get_counts(row) == (2 + attempts, attempts, 1, 2)


def test_latency_is_averaged_over_the_period(endpoint, sandbox):
    invoke(endpoint, times=9)
    sandbox.faults.add("slow", operation="Converse", seconds=0.1, times=1)
    invoke(endpoint)
    (row,) = endpoint.metrics()
    assert row.latency_ms == pytest.approx(11)
    assert 1 < row.latency_p95_ms < 101


def test_period_and_start_can_be_specified(endpoint, sandbox):
    for _ in range(3):
        invoke(endpoint)
        advance(sandbox, endpoint, 10 * 60)
    start = endpoint.metrics()[0].start
    by_minute = endpoint.metrics(period=60)
    assert [row.start - start for row in by_minute] == [
        timedelta(),
        timedelta(minutes=10),
        timedelta(minutes=20),
    ]
    (hour,) = endpoint.metrics(period=timedelta(hours=1))
    assert (hour.start, hour.period, hour.invocations) == (start, timedelta(hours=1), 3)
    assert endpoint.metrics(timedelta(minutes=15), 60) == by_minute[2:]
    assert endpoint.metrics(start + 9 * MINUTES, 60) == by_minute[1:]


@pytest.mark.parametrize(
    ("since", "period"),
    [
        (timedelta(minutes=30), MINUTES),
        (timedelta(hours=3), 5 * MINUTES),
        (timedelta(days=1), timedelta(hours=1)),
        (timedelta(days=7), timedelta(hours=6)),
        (timedelta(days=300), timedelta(days=1)),
        (timedelta(days=400), timedelta(days=1)),
        (timedelta(days=455), timedelta(days=1)),
    ],
)
def test_default_period_gives_few_periods(endpoint, since, period):
    invoke(endpoint)
    (row,) = endpoint.metrics(since)
    assert row.period == period
    assert since / row.period <= 40 or row.period == timedelta(days=1)


def test_old_metrics_have_longer_periods(endpoint, sandbox):
    invoke(endpoint, times=2)
    advance(sandbox, endpoint, timedelta(days=20))
    (row,) = endpoint.metrics(timedelta(days=25), timedelta(minutes=5))
    assert row.invocations == 2
    with pytest.raises(ConfigError, match="more than 15 days ago for multiples of 5 minutes only"):
        endpoint.metrics(timedelta(days=25), 60)
    advance(sandbox, endpoint, timedelta(days=80))
    (row,) = endpoint.metrics(timedelta(days=110))
    assert (row.invocations, row.period) == (2, timedelta(days=1))
    with pytest.raises(ConfigError, match="more than 63 days ago for multiples of 1 hour only"):
        endpoint.metrics(timedelta(days=110), timedelta(minutes=5))


@pytest.mark.parametrize(
    ("since", "period", "message"),
    [
        (3600, 90, "invalid period of 1 minute 30 seconds: use a multiple of 1 minute"),
        (3600, 0, "invalid period of 0 seconds"),
        (3600, 2 * 86_400, "up to 1 day"),
        (3600, "5m", "invalid period '5m': use seconds or a timedelta"),
        ("3h", None, "invalid since '3h'"),
        (timedelta(days=456), None, "invalid since 456 days: use a duration from 0 to 455 days"),
        (datetime.min.replace(tzinfo=EAST), None, "use a time in the years 1 to 9999"),
        (datetime(2026, 10, 1), None, "since has no time zone"),  # noqa: DTZ001
        (datetime(2020, 1, 1, tzinfo=UTC), None, "CloudWatch keeps metrics for 455 days"),
        (datetime(2099, 1, 1, tzinfo=UTC), None, "use a time before now"),
    ],
)
def test_invalid_period_or_start_is_refused(endpoint, since, period, message):
    with pytest.raises(ConfigError, match=message):
        endpoint.metrics(since, period)


def test_all_pages_are_read(endpoint, sandbox, poll, requests):
    for _ in range(4):
        invoke(endpoint)
        sandbox.clock.advance(300)
    session = boto3.Session()

    def limit(params, **_):
        params["MaxDatapoints"] = 3

    session.events.register("before-parameter-build.cloudwatch.GetMetricData", limit)
    before = requests.sdk_counts["cloudwatch", "GetMetricData"]
    rows = Tuner(session=session, poll=poll).endpoint(endpoint.id).metrics()
    endpoint.refresh()
    assert rows == endpoint.metrics()
    assert len(rows) == 4
    # 20 data points in pages of 3, and the one request of the other tuner.
    assert requests.sdk_counts["cloudwatch", "GetMetricData"] == before + 7 + 1


def test_metrics_with_the_id_instead_of_the_arn_are_read(endpoint, sandbox):
    model = {"Name": "ModelId", "Value": endpoint.id.rpartition("/")[2]}
    datum = {"MetricName": "Invocations", "Dimensions": [model], "Value": 4}
    boto3.client("cloudwatch").put_metric_data(
        Namespace="AWS/Bedrock", MetricData=[datum | {"Timestamp": sandbox.clock.now()}]
    )
    endpoint.refresh()
    (row,) = endpoint.metrics()
    assert (row.invocations, row.latency_ms) == (4, None)


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("InternalError", BusyError, "can't return Invocations now: try again later"),
        ("Forbidden", AccessError, "Invocations: allow cloudwatch:GetMetricData"),
    ],
)
def test_incomplete_answer_is_an_error(endpoint, poll, code, error, message):
    session = boto3.Session()

    def fail(parsed, **_):
        parsed["MetricDataResults"][0]["StatusCode"] = code

    session.events.register("after-call.cloudwatch.GetMetricData", fail)
    with pytest.raises(error, match=message):
        Tuner(session=session, poll=poll).endpoint(endpoint.id).metrics()


def test_openai_has_no_metrics(tuner, chat):
    job = tuner.submit("gpt-4.1-mini", chat).wait()
    with pytest.raises(ConfigError, match="no API for the metrics of a model: see the usage page"):
        job.endpoint().metrics()
    job.backend.delete_custom_model(job.model)
