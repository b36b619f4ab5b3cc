"""The CloudWatch metrics of invocations in the sandbox, read with boto3."""

import json
from collections import defaultdict
from datetime import datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

MODEL = "amazon.nova-micro-v1:0"
ASK = {"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]}
BODY = json.dumps(ASK)
NAMES = (
    "Invocations",
    "InvocationLatency",
    "InvocationClientErrors",
    "InvocationServerErrors",
    "InvocationThrottles",
    "InputTokenCount",
    "OutputTokenCount",
)


@pytest.fixture
def cloudwatch(sandbox):
    return boto3.client("cloudwatch")


@pytest.fixture
def runtime(sandbox, retry_at_once):
    return boto3.client("bedrock-runtime")


def query(name, *, statistic="Sum", model=MODEL, period=60):
    """Return a query of one metric."""
    metric = {
        "Namespace": "AWS/Bedrock",
        "MetricName": name,
        "Dimensions": [{"Name": "ModelId", "Value": model}],
    }
    return {
        "Id": name[0].lower() + name[1:],
        "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic},
    }


@pytest.fixture
def read(cloudwatch, sandbox):
    """Return a function that reads the sums of all metrics that have data."""

    def sums(model=MODEL, client=cloudwatch):
        now = sandbox.clock.now()
        answer = client.get_metric_data(
            MetricDataQueries=[query(name, model=model) for name in NAMES],
            StartTime=now - timedelta(hours=3),
            EndTime=now + timedelta(minutes=1),
        )
        rows = zip(NAMES, answer["MetricDataResults"], strict=True)
        return {name: sum(row["Values"]) for name, row in rows if row["Values"]}

    return sums


def converse(runtime, model=MODEL):
    return runtime.converse(modelId=model, **ASK)


def consume(stream):
    return list(stream)


INVOKE = {
    "Converse": converse,
    "ConverseStream": lambda runtime: consume(
        runtime.converse_stream(modelId=MODEL, **ASK)["stream"]
    ),
    "InvokeModel": lambda runtime: runtime.invoke_model(modelId=MODEL, body=BODY),
    "InvokeModelWithResponseStream": lambda runtime: consume(
        runtime.invoke_model_with_response_stream(modelId=MODEL, body=BODY)["body"]
    ),
}


@pytest.mark.parametrize("operation", INVOKE)
def test_every_invocation_is_recorded(operation, runtime, read):
    usage = converse(runtime)["usage"]
    before = read()
    assert before == {
        "Invocations": 1,
        "InvocationLatency": 1,
        "InputTokenCount": usage["inputTokens"],
        "OutputTokenCount": usage["outputTokens"],
    }
    INVOKE[operation](runtime)
    assert read() == {name: 2 * value for name, value in before.items()}


def test_other_operations_have_no_metrics(runtime, cloudwatch):
    runtime.count_tokens(modelId=MODEL, input={"converse": ASK})
    assert cloudwatch.list_metrics(Namespace="AWS/Bedrock")["Metrics"] == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ThrottlingException", {"InvocationThrottles": 1}),
        ("InternalServerException", {"Invocations": 1, "InvocationServerErrors": 1}),
        ("ServiceUnavailableException", {"Invocations": 1, "InvocationServerErrors": 1}),
        ("ModelErrorException", {"Invocations": 1, "InvocationClientErrors": 1}),
        ("ModelTimeoutException", {"Invocations": 1, "InvocationClientErrors": 1}),
        ("ModelNotReadyException", {"InvocationClientErrors": 1}),
    ],
)
def test_failed_invocation_is_recorded(code, expected, inject_error, runtime, read):
    inject_error("Converse", code, times=5)
    with pytest.raises(ClientError):
        converse(runtime)
    (attempts,) = {value for name, value in read().items()}
    assert read() == {name: value * attempts for name, value in expected.items()}


def test_invalid_input_is_a_client_error_only(runtime, read):
    with pytest.raises(ClientError, match="ValidationException"):
        runtime.converse(
            modelId=MODEL, messages=[{"role": "assistant", "content": [{"text": "Hello"}]}]
        )
    assert read() == {"InvocationClientErrors": 1}


def test_unknown_models_and_callers_without_permission_have_no_metrics(
    sandbox, runtime, cloudwatch
):
    with pytest.raises(ClientError, match="model identifier is invalid"):
        converse(runtime, "amazon.unknown-v1:0")
    sandbox.faults.add("expired-credentials", operation="Converse", times=1)
    with pytest.raises(ClientError, match="ExpiredToken"):
        converse(runtime)
    sandbox.faults.add("no-model-access", operation="Converse", times=1)
    with pytest.raises(ClientError, match="AccessDenied"):
        converse(runtime)
    assert cloudwatch.list_metrics(Namespace="AWS/Bedrock")["Metrics"] == []


def test_lost_reply_is_recorded(sandbox, runtime, read):
    sandbox.faults.add("lost-reply", operation="Converse", times=1)
    converse(runtime)  # boto3 repeats the request
    assert read()["Invocations"] == 2


def test_latency_includes_an_injected_delay(sandbox, runtime, cloudwatch):
    sandbox.faults.add("slow", operation="Converse", seconds=0.2, times=1)
    converse(runtime)
    converse(runtime)
    now = sandbox.clock.now()
    for statistic, expected in (("Average", 101), ("Maximum", 201), ("p50", 101)):
        (row,) = cloudwatch.get_metric_data(
            MetricDataQueries=[query("InvocationLatency", statistic=statistic, period=86_400)],
            StartTime=now - timedelta(hours=3),
            EndTime=now + timedelta(minutes=1),
        )["MetricDataResults"]
        assert sum(row["Values"]) == pytest.approx(expected)


def test_regions_and_accounts_have_their_own_metrics(sandbox, runtime, read):
    converse(runtime)
    assert read()["Invocations"] == 1
    assert read(client=boto3.client("cloudwatch", "us-west-2")) == {}
    other = boto3.client(
        "cloudwatch", aws_access_key_id="210987654321", aws_secret_access_key="sandbox"
    )
    assert read(client=other) == {}


def test_reset_deletes_the_metrics(sandbox, runtime, read, cloudwatch):
    converse(runtime)
    cloudwatch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "Other", "Value": 1}])
    sandbox.reset()
    assert read() == {}
    namespaces = {row["Namespace"] for row in cloudwatch.list_metrics()["Metrics"]}
    assert "Own" in namespaces
    assert "AWS/Bedrock" not in namespaces
    converse(runtime)
    assert read()["Invocations"] == 1


def test_metrics_are_listed_by_dimension_for_two_weeks(sandbox, runtime, cloudwatch):
    converse(runtime)

    def names(**filters):
        rows = cloudwatch.list_metrics(Namespace="AWS/Bedrock", **filters)["Metrics"]
        return {row["MetricName"] for row in rows}

    recorded = {"Invocations", "InvocationLatency", "InputTokenCount", "OutputTokenCount"}
    assert names(Dimensions=[{"Name": "ModelId", "Value": MODEL}]) == recorded
    assert names(Dimensions=[{"Name": "ModelId"}], MetricName="Invocations") == {"Invocations"}
    assert names(Dimensions=[{"Name": "ModelId", "Value": "other"}]) == set()
    assert names(RecentlyActive="PT3H") == recorded
    sandbox.clock.advance(timedelta(hours=4))
    assert names(RecentlyActive="PT3H") == set()
    assert names() == recorded
    sandbox.clock.advance(timedelta(days=14))
    assert names() == set()


def test_statistics_of_one_metric(sandbox, runtime, cloudwatch):
    converse(runtime)
    now = sandbox.clock.now()
    answer = cloudwatch.get_metric_statistics(
        **query("Invocations")["MetricStat"]["Metric"],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in answer["Datapoints"]) == 1
    assert {point["Unit"] for point in answer["Datapoints"]} == {"Count"}


@pytest.fixture
def series(sandbox, runtime, cloudwatch):
    """Return a function that reads five data points of each of two metrics."""
    for _ in range(5):
        converse(runtime)
        sandbox.clock.advance(60)
    now = sandbox.clock.now()
    queries = [query("Invocations"), query("OutputTokenCount")]

    def get(**params):
        return cloudwatch.get_metric_data(
            **{"MetricDataQueries": queries, "StartTime": now - timedelta(hours=1), "EndTime": now}
            | params
        )

    return get


def test_data_points_are_in_order_and_in_pages(series):
    for order, is_ascending in ((None, False), ("TimestampAscending", True)):
        params = {"ScanBy": order} if order else {}
        whole = series(**params)
        assert {row["StatusCode"] for row in whole["MetricDataResults"]} == {"Complete"}
        times = whole["MetricDataResults"][0]["Timestamps"]
        assert times == sorted(times, reverse=not is_ascending)
        assert len(times) == 5
        found: defaultdict[str, list[datetime]] = defaultdict(list)
        statuses, token = [], dict[str, str]()
        while True:
            page = series(MaxDatapoints=4, **params, **token)
            for row in page["MetricDataResults"]:
                found[row["Id"]] += row["Timestamps"]
            statuses.append([row["StatusCode"] for row in page["MetricDataResults"]])
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert dict(found) == {"invocations": times, "outputTokenCount": times}
        assert statuses == [["PartialData"] * 2, ["PartialData"] * 2, ["Complete"] * 2]


def test_start_is_rounded_down_and_the_end_is_exclusive(series):
    times = sorted(series()["MetricDataResults"][0]["Timestamps"])
    rows = series(
        StartTime=times[1] + timedelta(seconds=59), EndTime=times[3], ScanBy="TimestampAscending"
    )
    assert rows["MetricDataResults"][0]["Timestamps"] == times[1:3]


def test_invalid_requests_are_refused(series):
    now = series()["MetricDataResults"][0]["Timestamps"][0]
    for params, message in (
        ({"NextToken": "x"}, "InvalidNextToken"),
        ({"StartTime": now, "EndTime": now}, "must be less than"),
        ({"MetricDataQueries": [query("Invocations", period=90)]}, "not a multiple of 60"),
        ({"MetricDataQueries": [query("Invocations")] * 501}, "At most 500"),
    ):
        with pytest.raises(ClientError, match=message):
            series(**params)


def test_old_data_points_are_returned_for_longer_periods_only(sandbox, series, cloudwatch):
    now = sandbox.clock.now()

    def count(period):
        (row,) = cloudwatch.get_metric_data(
            MetricDataQueries=[query("Invocations", period=period)],
            StartTime=now - timedelta(hours=1),
            EndTime=now,
        )["MetricDataResults"]
        return sum(row["Values"])

    for days, expected in ((0, [5, 5, 5]), (16, [0, 5, 5]), (48, [0, 0, 5]), (400, [0, 0, 0])):
        sandbox.clock.advance(timedelta(days=days))
        assert [count(period) for period in (60, 300, 3600)] == expected
