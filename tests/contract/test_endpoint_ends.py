"""The end that the SDK shows is the one that the guard goes by, for every tag, kind and stage."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunestack import Deployment, EndpointInfo, EndpointState, Expiry
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack.formatting import duration_text, utc_text
from tunestack.providers.guard import with_expiry
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS, Settings, compute_expiry

CREATED = datetime(2026, 11, 1, 12, 0, 0, 123_000, tzinfo=UTC)
DEPLOYED = Deployment(
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


def endpoint(serving):
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


@given(tag=TAGS, serving=st.sampled_from([Serving.ON_DEMAND, Serving.PROVISIONED]))
def test_the_sdk_shows_what_the_guard_does(tag, serving):
    tags = {STAGE_TAG: "dev"} | ({} if tag is None else {EXPIRES_AT_TAG: tag})
    end = compute_expiry(KINDS[serving.value], tags, CREATED, SETTINGS)
    shown = with_expiry(endpoint(serving), tags, DEPLOYED)
    assert end == shown.expires_at
    assert (Expiry.NEVER if end is None else Expiry.SCHEDULED) is shown.expiry


UNGUARDED = replace(DEPLOYED, guard_arn=None)
END = {EXPIRES_AT_TAG: "2026-11-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("stage", "tags", "deployment", "serving", "expected"),
    [
        (None, END, DEPLOYED, Serving.PROVISIONED, Expiry.NEVER),
        ("dev", END, UNGUARDED, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("dev", END, None, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("dev", {}, UNGUARDED, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("dev", {}, None, Serving.ON_DEMAND, Expiry.NEVER),
        ("prod", END, DEPLOYED, Serving.PROVISIONED, Expiry.SCHEDULED),
        ("prod", {}, DEPLOYED, Serving.PROVISIONED, Expiry.UNKNOWN),
        ("prod", END, replace(UNGUARDED, stage=None), Serving.ON_DEMAND, Expiry.UNKNOWN),
    ],
)
def test_an_end_is_shown_only_where_a_guard_goes_by_it(stage, tags, deployment, serving, expected):
    tags = tags if stage is None else {**tags, STAGE_TAG: stage}
    shown = with_expiry(endpoint(serving), tags, deployment)
    assert expected is shown.expiry
    assert (expected is Expiry.SCHEDULED) == (shown.expires_at is not None)


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
def test_a_duration_is_text(duration, text):
    assert text == duration_text(duration)


def test_a_time_is_in_utc_and_says_so():
    time = datetime.fromisoformat("2026-11-28T23:25:59+01:00")
    assert "2026-11-28 22:25 UTC" == utc_text(time)
