"""The SDK shows the same expiry as the guard applies, for every tag, kind of endpoint and stage."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunestack import Deployment, EndpointInfo, EndpointState, Expiry
from tunestack._utils.formatting import duration_text, utc_text
from tunestack.backends.bedrock.guard import with_expiry
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS, Settings, compute_expiry

CREATED = datetime(2026, 11, 1, 12, 0, 0, 123_000, tzinfo=UTC)
DEPLOYMENT = Deployment(
    region="us-east-1",
    account="111122223333",
    data_bucket="b",
    job_role_arn="arn:aws:iam::111122223333:role/r",
    stage="dev",
    guard_arn="arn:aws:lambda:us-east-1:111122223333:function:guard",
    default_endpoint_hours=3,
    max_endpoint_hours=20,
)
SETTINGS = Settings(
    stage="dev",
    stage_tag=STAGE_TAG,
    expires_at_tag=EXPIRES_AT_TAG,
    default_endpoint_hours=3,
    max_endpoint_hours=20,
)


def create_endpoint(serving):
    return EndpointInfo(
        id="e",
        name="e",
        serving=serving,
        state=EndpointState.READY,
        raw_state="Active",
        model="m",
        created=CREATED,
    )


TAGS = st.one_of(
    st.none(),
    st.sampled_from(["", "soon", "2026-11-01", "2026-11-01T14:00:00+02:00", "2026-11-01T14:00:00"]),
    st.integers(-100, 100).map(
        lambda hours: f"{CREATED + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    ),
)


@settings(derandomize=True, deadline=None)
@given(tag=TAGS, serving=st.sampled_from([Serving.ON_DEMAND, Serving.PROVISIONED]))
def test_sdk_shows_the_expiry_that_the_guard_applies(tag, serving):
    tags = {STAGE_TAG: "dev"} | ({} if tag is None else {EXPIRES_AT_TAG: tag})
    expires_at = compute_expiry(KINDS[serving.value], tags, CREATED, SETTINGS)
    shown = with_expiry(create_endpoint(serving), tags, DEPLOYMENT)
    assert shown.expires_at == expires_at
    assert shown.expiry is (Expiry.NEVER if expires_at is None else Expiry.SCHEDULED)


UNGUARDED = replace(DEPLOYMENT, guard_arn=None)
EXPIRY_TAG = {EXPIRES_AT_TAG: "2026-11-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("stage", "tags", "deployment", "serving", "expected"),
    [
        (None, EXPIRY_TAG, DEPLOYMENT, Serving.PROVISIONED, Expiry.NEVER),
        ("dev", EXPIRY_TAG, UNGUARDED, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("dev", EXPIRY_TAG, None, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("dev", {}, UNGUARDED, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("dev", {}, None, Serving.ON_DEMAND, Expiry.NEVER),
        ("prod", EXPIRY_TAG, DEPLOYMENT, Serving.PROVISIONED, Expiry.SCHEDULED),
        ("prod", {}, DEPLOYMENT, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("prod", EXPIRY_TAG, replace(UNGUARDED, stage=None), Serving.ON_DEMAND, Expiry.UNKNOWN),
    ],
)
def test_expiry_is_shown_only_if_a_guard_applies_it(stage, tags, deployment, serving, expected):
    tags = tags if stage is None else {**tags, STAGE_TAG: stage}
    shown = with_expiry(create_endpoint(serving), tags, deployment)
    assert shown.expiry is expected
    assert (shown.expires_at is not None) == (expected is Expiry.SCHEDULED)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=24), "1 day"),
        (timedelta(days=2, hours=3, minutes=4), "2 days 3 hours"),
        (timedelta(hours=19, minutes=58, seconds=59.9), "19 hours 58 minutes"),
        (timedelta(seconds=45), "45 seconds"),
        (timedelta(0), "0 seconds"),
        (timedelta(-1), "-1 day"),
    ],
)
def test_duration_as_text(duration, text):
    assert duration_text(duration) == text


def test_time_as_text_is_in_utc():
    time = datetime.fromisoformat("2026-11-28T23:25:59+01:00")
    assert utc_text(time) == "2026-11-28 22:25 UTC"
