"""What AWS billed, read from Cost Explorer of the sandbox."""

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone

import boto3
import pytest

from tests.conftest import root
from tests.day import AS_OF
from tunestack import Tuner, UsageKind
from tunestack.backends.bedrock.bills import find_kind
from tunestack.errors import (
    AccessError,
    ConfigError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
)
from tunestack_sandbox.messages import Response

# The tuner policy does not allow to read bills.
pytestmark = pytest.mark.as_root

TODAY = AS_OF.date()
WEST, EAST = timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))
CLAUDE = "Claude 3 Haiku (Amazon Bedrock Edition)"


@pytest.fixture
def answer(intercept):
    """Return a function that replaces the responses of an operation of Cost Explorer, and a list of its requests."""

    def replace(operation, body, *, status=200):
        sent = []

        def handle(request):
            headers = {name.lower(): value for name, value in request.headers.items()}
            if not headers.get("x-amz-target", "").endswith(f".{operation}"):
                return None
            sent.append(json.loads(request.body))
            return Response(status=status, body=json.dumps(body).encode())

        intercept(handle)
        return sent

    return replace


def build_group(service, usage_type, usd, quantity, unit="N/A", currency="USD"):
    return {
        "Keys": [service, usage_type],
        "Metrics": {
            "UnblendedCost": {"Amount": str(usd), "Unit": currency},
            "UsageQuantity": {"Amount": str(quantity), "Unit": unit},
        },
    }


def build_page(*groups):
    return {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": "2026-10-01", "End": "2026-10-02"},
                "Total": {},
                "Groups": groups,
                "Estimated": False,
            }
        ]
    }


def test_training_and_storage_are_on_the_bill(tuner, job):
    costs = tuner.billed_costs()
    assert costs.requests == 2
    by_kind = {cost.kind: cost for cost in costs}
    assert by_kind.keys() == {UsageKind.TRAINING, UsageKind.MODEL_STORAGE}
    training = by_kind[UsageKind.TRAINING]
    assert (training.start, training.end) == (TODAY, TODAY + timedelta(days=1))
    assert training.service == "Amazon Bedrock"
    assert training.usage_type == "USE1-NovaMicro-Customization-Training"
    assert training.model == "nova-micro"
    assert training.unit == "1K tokens"
    assert training.usd == pytest.approx(training.quantity * 0.00105)
    assert training.is_estimated
    assert costs.usd == pytest.approx(sum(cost.usd for cost in costs))
    assert [cost.usd for cost in costs] == sorted((cost.usd for cost in costs), reverse=True)
    assert "<b>Billed costs, in total $0.00</b>" in costs._repr_html_()


def test_bill_equals_the_estimate(tuner, chat):
    arguments = {"hyperparameters": {"epochCount": 4}}
    tuner.submit("nova-micro", chat, **arguments).wait()
    low, high = tuner.cost("nova-micro", chat, **arguments).training_usd_range
    (billed,) = [row.usd for row in tuner.billed_costs() if row.kind == UsageKind.TRAINING]
    assert low <= billed <= high


def test_empty_bill_needs_one_request(tuner):
    costs = tuner.billed_costs()
    assert (list(costs), costs.requests, costs.usd) == ([], 1, 0)


def test_no_region_and_no_deployment_are_needed(tuner, job, monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "TUNESTACK_DEPLOYMENT"):
        monkeypatch.delenv(name, raising=False)
    assert len(Tuner(stage="none").billed_costs()) == 2


def test_long_bills_have_months_and_several_pages(tuner, job, sandbox):
    sandbox.clock.advance(timedelta(days=140))
    until = TODAY + timedelta(days=130)
    months = tuner.billed_costs(since=TODAY, until=until)
    assert {cost.start.day for cost in months} == {1}
    assert months[-1].end == until
    assert months.requests == 2
    assert [cost.start for cost in months if cost.is_estimated] == [date(2027, 3, 1)]
    days = tuner.billed_costs(since=TODAY, until=until, granularity="day")
    assert days.requests == 3
    assert len(days) == 131
    assert days.usd == pytest.approx(months.usd)
    assert [cost.start for cost in days] == sorted(cost.start for cost in days)


def test_days_are_in_utc(tuner, job, sandbox):
    sandbox.clock.advance(timedelta(days=3))
    night = datetime.fromisoformat("2026-11-01T23:30:00-05:00")
    costs = tuner.billed_costs(since=night, until=date(2026, 11, 3))
    assert {cost.start for cost in costs} == {date(2026, 11, 2)}


@pytest.mark.parametrize(
    ("until", "last"),
    [
        (date(2026, 11, 3), 2),
        (datetime(2026, 11, 3, tzinfo=UTC), 2),
        (datetime(2026, 11, 3, 0, 0, 1, tzinfo=UTC), 3),
        (datetime(2026, 11, 3, 18, tzinfo=UTC), 3),
        (datetime.fromisoformat("2026-11-02T19:00:00-05:00"), 2),
        (datetime.fromisoformat("2026-11-02T23:30:00-05:00"), 3),
    ],
    ids=str,
)
def test_day_of_a_time_is_included(tuner, job, sandbox, until, last):
    sandbox.clock.advance(timedelta(days=3))
    costs = tuner.billed_costs(since=TODAY, until=until)
    assert max(cost.start for cost in costs) == date(2026, 11, last)


def test_region_and_tags_filter_the_bill(tuner, west, job, completions):
    west.submit("llama-3-1-8b", completions, tags={"team": "search"}).wait()
    assert {cost.model for cost in tuner.billed_costs()} == {"nova-micro", "llama-3-1-8b"}
    (east,) = {cost.model for cost in tuner.billed_costs(region="us-east-1")}
    assert east == "nova-micro"
    both = {"team": "search", "tunestack:stage": "dev"}
    assert {cost.model for cost in tuner.billed_costs(tags=both)} == {"llama-3-1-8b"}
    assert list(tuner.billed_costs(tags=both, region="us-east-1")) == []


def test_models_of_other_publishers_have_their_own_services(tuner, cli, answer):
    services = [{"Value": name, "Attributes": {}} for name in ("Amazon Bedrock", CLAUDE)]
    found = {"DimensionValues": services, "ReturnSize": 2, "TotalSize": 2}
    searches = answer("GetDimensionValues", found)
    page = build_page(
        build_group(CLAUDE, "USW2-MP:USW2_InputTokenCount-Units", 1.5, 6),
        build_group("Amazon Bedrock", "USE1-Guardrail-TextUnits", -0.25, 3, "Units"),
    )
    requests = answer("GetCostAndUsage", page)
    claude, guardrail = tuner.billed_costs()
    assert searches[0]["SearchString"] == "Bedrock"
    assert requests[0]["Filter"]["Dimensions"]["Values"] == ["Amazon Bedrock", CLAUDE]
    assert (claude.service, claude.kind, claude.model) == (CLAUDE, UsageKind.INPUT, None)
    assert (guardrail.kind, guardrail.usd, guardrail.unit) == (None, -0.25, "Units")
    assert not claude.is_estimated
    _, out, err = cli("cost", "--billed")
    assert out.splitlines()[1].split("\t")[1:5] == [
        "-$0.25",
        "USE1-Guardrail-TextUnits",
        "-",
        "3 Units",
    ]
    assert "in total $1.25 from 2026-10-01 to 2026-10-01 (UTC)\n" in err


def test_another_currency_is_an_error(tuner, job, answer):
    answer("GetCostAndUsage", build_page(build_group("Amazon Bedrock", "x", 1, 1, currency="CNY")))
    with pytest.raises(ProviderError, match="the bill is in CNY: only US dollars are supported"):
        tuner.billed_costs()


# Usage types of AWS's price list and of bills in public repositories (read 2026-11-29).
@pytest.mark.parametrize(
    ("usage_type", "kind"),
    [
        ("USW2-Llama3-3-70B-Customization-Training", UsageKind.TRAINING),
        ("USE1-Nova2.0Lite-RFT-Training-Hours", UsageKind.TRAINING),
        ("USE1-NovaPro-Customization-Storage", UsageKind.MODEL_STORAGE),
        ("USE1-Nova2.0Lite-ProvisionedThroughput-1month-ModelUnits", UsageKind.PROVISIONED),
        (
            "USE1-TitanText-Premier-ProvisionedThroughput-Custom-NoCommit-ModelUnits",
            UsageKind.PROVISIONED,
        ),
        ("USE1-Nova2.0Lite-input-tokens-custom-model", UsageKind.CUSTOM_INPUT),
        ("USE1-Nova2.0Lite-output-tokens-custom-model", UsageKind.CUSTOM_OUTPUT),
        ("USE1-Nova2.0Lite-input-tokens-batch", UsageKind.INPUT),
        ("USW2-MP:USW2_output_tokens_standard-Units", UsageKind.OUTPUT),
        ("USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units", UsageKind.CACHE_WRITE),
        ("USE1-NovaLite-cache-read-input-token-count", UsageKind.CACHE_READ),
        ("USE1-MP:USE1_CacheReadInputTokenCount-Units", UsageKind.CACHE_READ),
        ("USE1-Guardrail-ContentPolicyImageUnitsConsumed", None),
        ("USE1-OSS-CustomModelImport-Inference-v1:0", None),
    ],
)
def test_kind_of_a_usage_type(usage_type, kind):
    assert find_kind(usage_type) is kind


def test_no_policy_of_the_stage_allows_to_read_bills(sandbox, poll, cli):
    iam = root(sandbox, "iam")
    iam.create_user(UserName="member")
    stack = "Tunestack-dev-us-east-1"
    (found,) = root(sandbox, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
    policies = [
        row["OutputValue"] for row in found["Outputs"] if row["OutputKey"].endswith("PolicyArn")
    ]
    assert len(policies) == 4
    for policy in policies:
        iam.attach_user_policy(UserName="member", PolicyArn=policy)
    key = iam.create_access_key(UserName="member")["AccessKey"]
    member = Tuner(session=boto3.Session(key["AccessKeyId"], key["SecretAccessKey"]), poll=poll)
    with pytest.raises(AccessError) as caught:
        member.billed_costs()
    message = str(caught.value)
    assert (
        "grant ce:GetDimensionValues and ce:GetCostAndUsage (resource *) to the caller" in message
    )
    assert "no policy of the stage grants them" in message
    statement = {
        "Effect": "Allow",
        "Resource": "*",
        "Action": ["ce:GetDimensionValues", "ce:GetCostAndUsage"],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="member", PolicyName="bills", PolicyDocument=document)
    assert list(member.billed_costs()) == []


@pytest.mark.parametrize(
    ("code", "text", "kind", "remedy"),
    [
        (
            "AccessDeniedException",
            "User not enabled for cost explorer access",
            AccessError,
            "open Cost Explorer once in the Billing and Cost Management console of the management account",
        ),
        (
            "DataUnavailableException",
            "Data is not available. Please try to adjust the time period.",
            NotFoundError,
            "enabled less than 24 hours ago, try again later",
        ),
    ],
)
def test_cost_explorer_that_is_not_enabled(tuner, answer, code, text, kind, remedy):
    answer("GetDimensionValues", {"__type": code, "Message": text}, status=400)
    with pytest.raises(kind, match=re.escape(text)) as caught:
        tuner.billed_costs()
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"since": date(2025, 1, 1)}, "14 months, and up to 38 by month"),
        ({"until": date(1, 1, 5)}, "14 months, and up to 38 by month"),
        ({"until": datetime.max.replace(tzinfo=UTC)}, "end date past the beginning of next month"),
    ],
    ids=str,
)
def test_aws_limits_the_period(tuner, arguments, message):
    with pytest.raises(InvalidRequestError, match=message):
        tuner.billed_costs(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"since": TODAY, "until": TODAY},
            r"since \(2026-11-01\) must be before until \(2026-11-01\)",
        ),
        ({"granularity": "week"}, "unknown granularity 'week': use one of day, month"),
        ({"since": datetime(2026, 11, 1)}, "since has no time zone"),  # noqa: DTZ001
        ({"until": "2026-11-01"}, "invalid until '2026-11-01'"),
        (
            {"since": datetime.max.replace(tzinfo=WEST)},
            "invalid since 9999-12-31T23:59:59.999999-12:00: use a time in the years 1 to 9999",
        ),
        ({"until": datetime.min.replace(tzinfo=EAST)}, "invalid until 0001-01-01T00:00:00"),
        ({"until": date.min}, "must be before until"),
        ({"region": "Oregon"}, "invalid region 'Oregon'"),
        ({"tags": ["team"]}, "invalid tags"),
        pytest.param(
            {"tags": {"team": 5}},
            "Invalid type for parameter",
            marks=pytest.mark.breaks_the_model,
        ),
        ({"provider": "azure"}, "unknown provider 'azure'"),
        (
            {"provider": "openai"},
            "OpenAI's costs API needs an admin key.*https://platform.openai.com/usage",
        ),
    ],
)
def test_invalid_arguments_are_refused(tuner, job, arguments, message):
    with pytest.raises(ConfigError, match=message):
        tuner.billed_costs(**arguments)


class TestCommand:
    def test_table_has_the_kinds_and_a_total(self, cli, job):
        code, out, err = cli("cost", "--billed", "--since", "2026-10-20", "--until", "2026-11-02")
        assert code == 0
        rows = {cells[2]: cells for cells in (line.split("\t") for line in out.splitlines())}
        assert rows.keys() == {"training", "model storage"}
        day, cost, _, model, quantity, usage_type, service = rows["training"]
        assert (day, model, service) == ("2026-11-01", "nova-micro", "Amazon Bedrock")
        assert re.fullmatch(r"\$0\.\d+", cost)
        assert re.fullmatch(r"[\d.]+ 1K tokens", quantity)
        assert usage_type == "USE1-NovaMicro-Customization-Training"
        assert re.search(r"in total \$0\.\d+ from 2026-11-01 to 2026-11-01 \(UTC\), estimated", err)
        assert "AWS bills $0.02 for 2 requests to Cost Explorer" in err

    def test_day_of_a_time_in_until_is_included(self, cli, job):
        period = ("cost", "--billed", "--since", "2026-10-20", "--until")
        assert cli(*period, "2026-11-01")[1] == ""
        assert "training" in cli(*period, "2026-11-01T06:00")[1]

    def test_filters(self, cli, job):
        period = ("cost", "--billed", "--since", "2026-10-20")
        code, out, err = cli(*period, "--region", "us-west-2", "--granularity", "month")
        assert (code, out) == (0, "")
        assert "no billed costs of Amazon Bedrock in us-west-2" in err
        assert "training" in cli(*period, "--tag", "tunestack:stage=dev")[1]
        code, out, err = cli(*period, "--tag", "tunestack:stage=prod")
        assert (code, out) == (0, "")
        assert "activated as cost allocation tags" in err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--billed", "--running"), "use either --running or --billed"),
            (("--since", "7d"), "--since needs --billed"),
            (("--running", "--granularity", "month"), "--granularity needs --billed"),
            (("--billed", "--stage", "prod"), "use --tag tunestack:stage=prod"),
            (("--billed", "--id-only"), "costs have no ids"),
            (("--billed", "--model", "nova-micro"), "--model has no effect with --billed"),
            (("--running", "--tag", "team=a"), "--tag has no effect with --running"),
            (("--running", __file__), "FILE has no effect with --running"),
            ((), "or --billed, for past bills"),
            (
                ("--billed", "--since", "0001-01-01T00:00+14:00"),
                "'0001-01-01T00:00+14:00' is not a time",
            ),
            (
                ("--billed", "--until", "9999-12-31T23:00-12:00"),
                "'9999-12-31T23:00-12:00' is not a time",
            ),
        ],
    )
    def test_invalid_combinations(self, cli, sandbox, arguments, message):
        code, _, err = cli("cost", *arguments)
        assert (code, message in err) == (2, True)
