"""The guard's own code, against the sandbox's Bedrock: what is over ends, whatever stands beside it; the rest stays."""

import itertools
import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack_cdk.constructs import endpoint_guard_handler as handler
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS, Guard, Settings, deadline
from tunestack_sandbox import Quotas, Sandbox

SETTINGS = Settings(
    stage="dev",
    stage_tag=STAGE_TAG,
    expiry_tag=EXPIRES_AT_TAG,
    default=timedelta(hours=4),
    longest=timedelta(hours=24),
)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = 60
CREATING = timedelta(minutes=30)
BOUND = timedelta(minutes=5 + 1)
"""How much later than its deadline an endpoint is gone at the latest, once it has been created."""


@pytest.mark.parametrize(
    ("kind", "tag", "hours"),
    [
        ("provisioned", "2026-11-22T14:00:00Z", 2),
        ("provisioned", "2026-11-22T14:00:00", 2),
        ("provisioned", "2026-11-22T15:00:00+01:00", 2),
        ("provisioned", None, 4),
        ("provisioned", "soon", 4),
        ("provisioned", "", 4),
        ("provisioned", "9999-12-31T23:59:59Z", 24),
        ("provisioned", "0001-01-01T00:00:00+23:59", None),
        ("on-demand", "2026-11-22T14:00:00Z", 2),
        ("on-demand", None, None),
        ("on-demand", "soon", None),
    ],
)
def test_when_an_endpoint_ends(kind, tag, hours):
    tags = {} if tag is None else {EXPIRES_AT_TAG: tag}
    end = deadline(KINDS[kind], tags, NOW, SETTINGS)
    if hours is None:
        assert end is None or end < NOW
    else:
        assert end == NOW + timedelta(hours=hours)


@pytest.fixture(scope="module")
def place(count_traffic):
    """An account with room for a thousand endpoints, and a tuned model."""
    quotas = Quotas(model_units=10_000, deployments=10_000, deployments_in_progress=10_000)
    with Sandbox(region="us-west-2", speed=1, quotas=quotas) as sandbox:
        environment = sandbox.variables()
        session = boto3.Session("123456789012", "x", region_name="us-west-2")
        # An error that is tried again pauses on the wall's clock.
        once = Config(retries={"total_max_attempts": 1})
        bedrock = session.client(
            "bedrock", endpoint_url=environment["AWS_ENDPOINT_URL_BEDROCK"], config=once
        )
        # Whatever the stack has, is off: here, the code runs in the test.
        events = session.client("events", endpoint_url=environment["AWS_ENDPOINT_URL"])
        for rule in events.list_rules()["Rules"]:
            if "ScheduleExpression" in rule:
                events.disable_rule(Name=rule["Name"])
        # Nothing there needs the time, and to tell it takes as long as all else.
        sandbox.clock._followers.clear()
        yield Place(sandbox, bedrock)
    count_traffic(sandbox.traffic)


class Place:
    """A sandbox with clients, and a model that can be served."""

    def __init__(self, sandbox, bedrock):
        self.sandbox, self.bedrock = sandbox, bedrock
        self.guard = Guard(bedrock, SETTINGS)
        self.numbers = itertools.count()
        self.model = self._tuned()

    def _tuned(self):
        deployment = self.sandbox.deployment("us-west-2")
        session = boto3.Session("123456789012", "x", region_name="us-west-2")
        s3 = session.client("s3", endpoint_url=self.sandbox.variables()["AWS_ENDPOINT_URL"])
        lines = "".join(
            json.dumps({"prompt": f"a{number}", "completion": "b"}) + "\n" for number in range(100)
        )
        key = f"{deployment.datasets_prefix}guard.jsonl"
        s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=lines.encode())
        arn = self.bedrock.create_model_customization_job(
            jobName="guard",
            customModelName="guard",
            roleArn=deployment.job_role_arn,
            baseModelIdentifier="meta.llama3-1-8b-instruct-v1:0:128k",
            trainingDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
            outputDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
            hyperParameters={},
        )["jobArn"]
        self.sandbox.clock.advance(timedelta(days=1))
        job = self.bedrock.get_model_customization_job(jobIdentifier=arn)
        return job["outputModelArn"]

    def now(self):
        return self.sandbox.clock.now()

    def provisioned(self, tags, **more):
        name = f"endpoint-{next(self.numbers)}"
        self.bedrock.create_provisioned_model_throughput(
            provisionedModelName=name,
            modelId=self.model,
            modelUnits=1,
            tags=[{"key": key, "value": value} for key, value in tags.items()],
            **more,
        )
        return name

    def names(self):
        pages = self.bedrock.get_paginator("list_provisioned_model_throughputs").paginate()
        return {
            row["provisionedModelName"]
            for page in pages
            for row in page["provisionedModelSummaries"]
        }

    def sweep(self):
        return self.guard.sweep(lambda: 10**6)

    def empty(self):
        for name in self.names():
            with suppress(ClientError):
                self.bedrock.delete_provisioned_model_throughput(provisionedModelId=name)


def tagged(place, hours=None, *, stage="dev", text=None):
    tags = {} if stage is None else {STAGE_TAG: stage}
    if hours is not None:
        end = place.now() + timedelta(hours=hours)
        tags[EXPIRES_AT_TAG] = f"{end:%Y-%m-%dT%H:%M:%SZ}"
    if text is not None:
        tags[EXPIRES_AT_TAG] = text
    return tags


def test_what_is_over_ends_and_poison_stops_nothing(place):
    over = [place.provisioned(tagged(place, 1)) for _ in range(3)]
    bad = place.provisioned(tagged(place, text="not a time"))
    untagged_end = place.provisioned(tagged(place))
    for_ever = place.provisioned(tagged(place, text="9999-12-31T00:00:00Z"))
    others = place.provisioned(tagged(place, 1, stage="prod"))
    nobodys = place.provisioned({})
    lives = place.provisioned(tagged(place, 20))
    place.sandbox.clock.advance(timedelta(hours=2))
    place.sandbox.faults.add("error", operation="ListTagsForResource", times=1)
    counts = place.sweep()
    assert {"ended": 2, "failed": 1, "foreign": 1} == {
        name: counts[name] for name in ("ended", "failed", "foreign")
    }
    # The one that could not be looked at comes next time.
    assert 1 == place.sweep()["ended"]
    assert place.names().isdisjoint(over)
    place.sandbox.clock.advance(timedelta(hours=3))
    assert 2 == place.sweep()["ended"]
    assert {for_ever, others, nobodys, lives} == place.names()
    assert {bad, untagged_end}.isdisjoint(place.names())
    place.sandbox.clock.advance(timedelta(hours=20))
    assert 2 == place.sweep()["ended"]
    assert {others, nobodys} == place.names()
    place.empty()


def test_three_hundred_are_read_and_the_one_that_is_over_ends(place):
    for _ in range(299):
        place.provisioned(tagged(place, 20))
    over = place.provisioned(tagged(place, 1))
    place.sandbox.clock.advance(timedelta(hours=2))
    counts = place.sweep()
    assert (1, 299, 0) == (counts["ended"], counts["kept"], counts["unseen"])
    assert over not in place.names()
    place.sandbox.clock.advance(timedelta(hours=20))
    assert 299 == place.sweep()["ended"]
    assert set() == place.names()


def test_the_oldest_come_first_where_time_is_short_and_the_rest_is_counted(place):
    first = place.provisioned(tagged(place, 1))
    place.sandbox.clock.advance(timedelta(minutes=5))
    second = place.provisioned(tagged(place, 1))
    place.sandbox.clock.advance(timedelta(hours=2))
    left = iter([10**6, 1000])
    counts = place.guard.sweep(lambda: next(left))
    assert (1, 1) == (counts["ended"], counts["unseen"])
    assert {second} == place.names()
    assert first not in place.names()
    place.sweep()


def test_what_was_bought_for_a_term_stays_until_the_term_is_over(place):
    name = place.provisioned(tagged(place, 1), commitmentDuration="OneMonth")
    place.sandbox.clock.advance(timedelta(days=20))
    assert 1 == place.sweep()["kept"]
    place.sandbox.clock.advance(timedelta(days=12))
    assert 1 == place.sweep()["ended"]
    assert name not in place.names()


def test_what_is_still_created_waits_and_ends_then(place):
    name = place.provisioned(tagged(place, 0))
    place.sandbox.clock.advance(timedelta(minutes=1))
    assert 1 == place.sweep()["waiting"]
    assert "waiting" == place.guard.wake(KINDS["provisioned"], name)
    place.sandbox.clock.advance(timedelta(hours=1))
    assert "ended" == place.guard.wake(KINDS["provisioned"], name)
    assert "gone" == place.guard.wake(KINDS["provisioned"], name)


def test_what_can_not_be_ended_for_long_is_told_of(place):
    """Bedrock says of a deployment that is still created that the request is not valid, and not that it conflicts."""
    name = place.provisioned(tagged(place, 1))
    place.sandbox.clock.advance(timedelta(hours=1, minutes=1))
    for code, minutes, outcome in (
        ("ConflictException", 0, "waiting"),
        ("ValidationException", 30, "waiting"),
        ("ConflictException", 40, "failed"),
    ):
        place.sandbox.clock.advance(timedelta(minutes=minutes))
        place.sandbox.faults.add(
            "error", operation="DeleteProvisionedModelThroughput", code=code, times=2
        )
        assert outcome == place.guard.wake(KINDS["provisioned"], name)
        assert 1 == place.sweep()[outcome]
    assert "ended" == place.guard.wake(KINDS["provisioned"], name)


def test_a_list_that_cant_be_had_is_an_error_that_the_alarm_hears(place):
    place.sandbox.faults.add("error", operation="ListProvisionedModelThroughputs")
    with pytest.raises(ClientError):
        place.sweep()
    place.sandbox.faults.clear()


class History:
    """One endpoint, from its start to its end, with the guard's two ways to end it on or off."""

    def __init__(self, place, seed):
        self.place, self.chance = place, random.Random(seed)
        chance = self.chance
        self.hours = chance.choice([0.25, 1, 3, 7, 23.9, 30, 1000])
        self.text = chance.choice([None] * 8 + ["soon", "", "1e9", "2026-13-45T00:00:00Z"])
        self.layers = chance.choice([("sweep",), ("schedule",), ("sweep", "schedule")])
        self.extended = chance.choice([None, None, 2, 40])
        self.faulty = chance.random() < 0.3

    def run(self):
        place = self.place
        created = place.now()
        said = created + timedelta(hours=self.hours)
        name = place.provisioned(tagged(place, self.hours, text=self.text))
        cap = created + SETTINGS.longest
        end = min(cap, said if self.text is None else created + SETTINGS.default)
        armed = said
        if self.extended is not None:
            place.sandbox.clock.advance(timedelta(minutes=self.chance.uniform(0, 10)))
            armed = place.now() + timedelta(hours=self.extended)
            arn = place.bedrock.get_provisioned_model_throughput(provisionedModelId=name)[
                "provisionedModelArn"
            ]
            place.bedrock.tag_resource(
                resourceARN=arn,
                tags=[{"key": EXPIRES_AT_TAG, "value": f"{armed:%Y-%m-%dT%H:%M:%SZ}"}],
            )
            end = min(cap, armed)
        # The SDK arms no later than the stage allows, and as what it puts into the tag.
        armed = min(armed, cap + BOUND) if "schedule" in self.layers else None
        bound = max(end, created + CREATING) + BOUND
        if armed is not None and self.layers == ("schedule",):
            bound = max(bound, armed + BOUND)
        self._live(name, end, armed, bound)

    def _live(self, name, end, armed, bound):
        place = self.place
        # Long before, nothing happens.
        for moment in (end - timedelta(minutes=11),):
            if moment > place.now():
                place.sandbox.clock.advance(moment - place.now())
                self._tick(name, armed)
                assert name in place.names(), "it was ended before its time"
        if armed is not None and self.layers == ("schedule",):
            # Until its schedule comes, nothing else does.
            wait = armed - timedelta(minutes=4) - place.now()
            place.sandbox.clock.advance(max(wait, timedelta(0)))
        trouble = self.chance.randrange(3) if self.faulty else 0
        lost = 0
        while name in place.names():
            late = place.now() - bound - lost * timedelta(minutes=5)
            assert late <= timedelta(0), f"{name} lives {late} beyond its bound: {vars(self)}"
            place.sandbox.clock.advance(timedelta(minutes=5))
            if trouble:
                trouble, lost = trouble - 1, lost + 1
                kind = self.chance.choice(
                    ["DeleteProvisionedModelThroughput", "ListTagsForResource"]
                )
                place.sandbox.faults.add("error", operation=kind)
            self._tick(name, armed)
            place.sandbox.faults.clear()

    def _tick(self, name, armed):
        with suppress(ClientError):
            if "sweep" in self.layers:
                self.place.sweep()
        with suppress(ClientError):
            if armed is not None and self.place.now() >= armed:
                self.place.guard.wake(KINDS["provisioned"], name)


def histories(place, seeds):
    for seed in seeds:
        History(place, seed).run()


def test_no_endpoint_outlives_its_bound(place):
    histories(place, range(60))


@pytest.mark.campaign
def test_no_endpoint_outlives_its_bound_in_ten_thousand_histories(place):
    histories(place, range(1000, 11_000))


@pytest.mark.parametrize(
    "broken",
    [
        ("deadline", lambda *_: None),
        ("deadline", lambda _, __, created, ___: created + timedelta(hours=48)),
        ("_now", lambda _: datetime.now(UTC)),
    ],
    ids=["no deadline", "no cap", "its own clock"],
)
def test_a_guard_that_forgets_something_is_found(place, monkeypatch, broken):
    name, wrong = broken
    monkeypatch.setattr(handler, name, wrong)
    with pytest.raises(AssertionError, match="beyond its bound|before its time"):
        histories(place, range(60))
    monkeypatch.undo()
    place.empty()
