"""AWS Cost Explorer of the sandbox, called with boto3: the bill of what the sandbox did, and the rules of its requests."""

import re
from datetime import date, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.day import AS_OF
from tests.sandbox.users import User
from tunestack_sandbox import Sandbox

TODAY = AS_OF.date()
TOMORROW = TODAY + timedelta(days=1)
BY_TYPE = [{"Type": "DIMENSION", "Key": "USAGE_TYPE"}]
METRICS = ["UnblendedCost", "UsageQuantity"]


def period(start, end):
    return {"Start": str(start), "End": str(end)}


@pytest.fixture
def client(sandbox):
    return boto3.client("ce", "us-east-1")


@pytest.fixture
def read(client):
    """Return a function that reads costs, by default of today and by usage type."""

    def call(start=TODAY, end=TOMORROW, granularity="DAILY", **arguments):
        arguments = {"Metrics": METRICS, "GroupBy": BY_TYPE} | arguments
        return client.get_cost_and_usage(
            TimePeriod=period(start, end), Granularity=granularity, **arguments
        )

    return call


def amounts(answer):
    """Return cost and quantity by period and group."""
    return {
        (result["TimePeriod"]["Start"], *group["Keys"]): tuple(
            float(group["Metrics"][name]["Amount"]) for name in METRICS
        )
        for result in answer["ResultsByTime"]
        for group in result["Groups"]
    }


@pytest.fixture
def code_of(client):
    """Return a function that returns the code and the message of the error of a request."""

    def call(operation="get_cost_and_usage", **arguments):
        arguments = {"TimePeriod": period(TODAY, TOMORROW)} | arguments
        if operation == "get_cost_and_usage":
            arguments = {"Granularity": "DAILY", "Metrics": METRICS} | arguments
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(**arguments)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return call


def test_training_is_billed_by_tokens_and_epochs_when_the_job_ends(read, tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 3})
    assert amounts(read()) == {}
    job.wait()
    cost, quantity = amounts(read())[str(TODAY), "USE1-NovaMicro-Customization-Training"]
    # Questions have 4 or 5 tokens of 4 bytes, and answers 3.
    tokens = sum(len(message["content"]) // 4 + 1 for row in chat for message in row["messages"])
    assert quantity == pytest.approx(tokens * 3 / 1000)
    assert cost == pytest.approx(quantity * 0.00105)


def test_stopped_job_is_billed_for_the_part_that_was_trained(read, tuner, chat, sandbox):
    early = tuner.submit("nova-micro", chat[:10])
    early.cancel()
    sandbox.clock.advance(60)
    usage_type = str(TODAY), "USE1-NovaMicro-Customization-Training"
    assert amounts(read())[usage_type] == (0, 0)
    late = tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 2})
    sandbox.clock.advance(420 + 2700 - 60)  # validation and processing, and half of the training
    late.cancel()
    sandbox.clock.advance(60)
    full = sum(len(message["content"]) // 4 + 1 for row in chat for message in row["messages"])
    _, quantity = amounts(read())[usage_type]
    assert quantity == pytest.approx(full / 1000, rel=0.02)


def test_failed_job_is_not_billed(read, tuner, chat, sandbox):
    sandbox.faults.add("internal-failure")
    tuner.submit("nova-micro", chat)
    sandbox.clock.advance(20_000)
    assert amounts(read()) == {}


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
def test_throughput_and_storage_are_billed_by_time_until_they_are_deleted(
    read, west, completions, sandbox
):
    job = west.submit("llama-3-1-8b", completions).wait()
    endpoint = job.start_endpoint(model_units=2, ttl=timedelta(hours=20))
    created = endpoint.info.created
    sandbox.clock.advance(timedelta(hours=14))
    endpoint.stop()
    deleted = sandbox.clock.now()
    assert deleted.date() > created.date()
    by_day = amounts(read(end=TODAY + timedelta(days=3)))
    usage_type = "USW2-Llama3-1-8B-ProvisionedThroughput-NoCommit-ModelUnits"
    rows = {key[0]: row for key, row in by_day.items() if key[1] == usage_type}
    assert len(rows) == 2
    hours = (deleted - created).total_seconds() / 3600
    assert sum(quantity for _, quantity in rows.values()) == pytest.approx(2 * hours, abs=0.1)
    assert sum(cost for cost, _ in rows.values()) == pytest.approx(2 * hours * 21.3, rel=0.01)
    # The model is still stored: 10 days are a third of November's price.
    sandbox.clock.advance(timedelta(days=10))
    west.custom_model(job.model).delete()
    sandbox.clock.advance(timedelta(days=5))
    month = amounts(read(TODAY, date(2026, 12, 1), "MONTHLY"))
    cost, quantity = month[str(TODAY), "USW2-Llama3-1-8B-Customization-Storage"]
    stored = (timedelta(days=10) + (deleted - job.refresh().ended)) / timedelta(days=30)
    assert quantity == pytest.approx(stored, rel=0.01)
    assert cost == pytest.approx(1.96 * quantity)


def test_tokens_of_custom_models_on_demand_are_billed_by_tag(read, job):
    endpoint = job.start_endpoint()
    for _ in range(3):
        endpoint.invoke("What is number 7?")
    day = str(TODAY)
    bill = amounts(read(Filter={"Tags": {"Key": "tunestack:stage", "Values": ["dev"]}}))
    # 17 bytes are 5 tokens.
    assert bill[day, "USE1-NovaMicro-input-tokens-custom-model"] == pytest.approx(
        (0.015 * 0.000036, 0.015)
    )
    assert (day, "USE1-NovaMicro-output-tokens-custom-model") in bill
    other = read(Filter={"Tags": {"Key": "tunestack:stage", "Values": ["prod"]}})
    assert amounts(other) == {}
    by_stage = read(GroupBy=[{"Type": "TAG", "Key": "tunestack:stage"}])
    assert amounts(by_stage).keys() == {(day, "tunestack:stage$dev")}


def test_base_models_have_no_price(read, sandbox):
    boto3.client("bedrock-runtime", "us-east-1").converse(
        modelId="amazon.nova-micro-v1:0", messages=[{"role": "user", "content": [{"text": "Hi"}]}]
    )
    assert amounts(read()) == {}


def test_periods_totals_and_estimates(read, job, sandbox):
    sandbox.clock.advance(timedelta(days=32))
    answer = read(date(2026, 10, 30), date(2026, 12, 4), "MONTHLY")
    spans = [tuple(row["TimePeriod"].values()) for row in answer["ResultsByTime"]]
    assert spans == [
        ("2026-10-30", "2026-11-01"),
        ("2026-11-01", "2026-12-01"),
        ("2026-12-01", "2026-12-04"),
    ]
    # The bill of a month that has ended is final.
    assert [row["Estimated"] for row in answer["ResultsByTime"]] == [False, False, True]
    assert answer["ResultsByTime"][0]["Groups"] == []
    total = read(date(2026, 11, 1), date(2026, 12, 1), "MONTHLY", GroupBy=[])
    (month,) = total["ResultsByTime"]
    assert month["Groups"] == []
    groups = [row for key, row in amounts(answer).items() if key[0] == "2026-11-01"]
    assert float(month["Total"]["UnblendedCost"]["Amount"]) == pytest.approx(
        sum(cost for cost, _ in groups)
    )
    # Thousands of tokens and models are not added up to a unit.
    assert month["Total"]["UsageQuantity"]["Unit"] == "N/A"


def test_filters_are_combined(read, job, west, completions):
    west.submit("llama-3-1-8b", completions).wait()

    def types(expression):
        return {key[1] for key in amounts(read(Filter=expression))}

    east = {"Dimensions": {"Key": "REGION", "Values": ["us-east-1"]}}
    training = {
        "Dimensions": {
            "Key": "USAGE_TYPE",
            "Values": [
                f"{name}-Customization-Training" for name in ("USE1-NovaMicro", "USW2-Llama3-1-8B")
            ],
        }
    }
    assert types({"And": [east, training]}) == {"USE1-NovaMicro-Customization-Training"}
    assert types({"And": [{"Not": east}, training]}) == {"USW2-Llama3-1-8B-Customization-Training"}
    assert len(types({"Or": [east, training]})) == 3
    assert types({"Dimensions": {"Key": "SERVICE", "Values": ["Amazon EC2"]}}) == set()


def test_services_are_searched(client, job):
    def search(text):
        answer = client.get_dimension_values(
            TimePeriod=period(TODAY, TOMORROW), Dimension="SERVICE", SearchString=text
        )
        assert answer["ReturnSize"] == answer["TotalSize"] == len(answer["DimensionValues"])
        return [row["Value"] for row in answer["DimensionValues"]]

    assert search("Bedrock") == ["Amazon Bedrock"]
    assert search("EC2") == []


def test_results_are_returned_in_pages(read, job, sandbox, code_of):
    sandbox.clock.advance(timedelta(days=150))
    end = TODAY + timedelta(days=150)
    pages, token = [read(end=end)], None
    while token := pages[-1].get("NextPageToken"):
        pages.append(read(end=end, NextPageToken=token))
    assert [sum(len(row["Groups"]) for row in page["ResultsByTime"]) for page in pages] == [100, 51]
    rows = [key for page in pages for key in amounts(page)]
    assert len(set(rows)) == len(rows) == 151
    first = pages[0]["NextPageToken"]
    assert code_of(NextPageToken=first)[0] == "RequestChangedException"
    assert code_of(NextPageToken="x")[0] == "InvalidNextTokenException"


LONG_AGO = date(2025, 9, 30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"TimePeriod": period(TODAY, TODAY)},
            r"Start date \(and hour\) should be before end date",
        ),
        ({"TimePeriod": period(TODAY, "2026-12-02")}, "end date past the beginning of next month"),
        ({"TimePeriod": period(TOMORROW, "2026-12-01")}, "not be after the current date"),
        (
            {"TimePeriod": period(LONG_AGO, TODAY)},
            "haven't enabled historical data beyond 14 months",
        ),
        ({"TimePeriod": period("2026-02-30", TODAY)}, "YYYY-MM-DD"),
        ({"Metrics": []}, "metrics"),
        ({"Metrics": ["Costs"]}, r"\['Costs'\] are invalid"),
        ({"GroupBy": BY_TYPE * 3}, "At most 2 groups"),
        ({"GroupBy": [{"Type": "DIMENSION", "Key": "AZ"}]}, "the dimension AZ"),
        ({"GroupBy": [{"Type": "COST_CATEGORY", "Key": "x"}]}, "groups of type COST_CATEGORY"),
        ({"Granularity": "HOURLY"}, "HOURLY"),
        (
            {
                "Filter": {
                    "Tags": {"Key": "a", "Values": ["b"]},
                    "Dimensions": {"Key": "REGION", "Values": ["us-east-1"]},
                }
            },
            "Only one root operator is allowed for each expression",
        ),
        ({"Filter": {"Tags": {"Key": "a", "MatchOptions": ["ABSENT"]}}}, "match options"),
        ({"Filter": {"CostCategories": {"Key": "a", "Values": ["b"]}}}, "CostCategories"),
    ],
)
def test_invalid_requests_are_refused(code_of, arguments, message):
    code, text = code_of(**arguments)
    assert code == "ValidationException"
    assert re.search(message, text)


def test_first_day_of_the_history_is_accepted(read):
    assert read(date(2025, 10, 1), TODAY, "MONTHLY")["ResultsByTime"][0]["Groups"] == []


@pytest.mark.breaks_the_model
def test_request_that_breaks_the_model_is_refused(client, code_of):
    code, text = code_of(Granularity="WEEKLY")
    assert (code, "enum value set" in text) == ("ValidationException", True)
    code, text = code_of("get_dimension_values", Dimension="SERVICE", MaxResults=5)
    assert (code, "MaxResults" in text) == ("ValidationException", True)


def test_a_caller_needs_the_permission():
    with Sandbox(empty=True, enforce_iam=True) as sandbox:
        accountant = User(sandbox, "accountant")
        client = accountant.create_client("ce", "AWS_ENDPOINT_URL_COST_EXPLORER")
        today = sandbox.clock.now().date()
        request = {
            "TimePeriod": period(today - timedelta(days=1), today),
            "Granularity": "DAILY",
            "Metrics": METRICS,
        }
        with pytest.raises(ClientError, match="not authorized to perform: ce:GetCostAndUsage"):
            client.get_cost_and_usage(**request)
        accountant.allow("ce:GetCostAndUsage")
        assert len(client.get_cost_and_usage(**request)["ResultsByTime"]) == 1
