"""A bucket in another region than the job, which Bedrock can't read."""

from typing import Any

import boto3
import pytest

from tunestack import Tuner
from tunestack.backends.base import Verdict
from tunestack.errors import ConfigError

# The tuner policy does not allow other buckets.
pytestmark = pytest.mark.as_root


@pytest.fixture
def use_bucket(sandbox, monkeypatch):
    """Return a function that creates a bucket, and sets the environment variables of a deployment with it."""

    def use(name, region):
        location: Any = (
            {}
            if region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        boto3.client("s3", region).create_bucket(Bucket=name, **location)
        monkeypatch.delenv("TUNESTACK_DEPLOYMENT", raising=False)
        monkeypatch.setenv("DSPY_BEDROCK_S3_BUCKET", name)
        monkeypatch.setenv("DSPY_BEDROCK_ROLE_ARN", sandbox.deployment().job_role_arn)
        monkeypatch.setenv("AWS_REGION", "us-east-1")

    return use


def list_keys(bucket):
    return boto3.client("s3", "us-west-2").list_objects_v2(Bucket=bucket).get("Contents", [])


def get_bucket_check(tuner):
    (check,) = [row for row in tuner.preflight("nova-micro") if row.name.startswith("bucket ")]
    return check


def test_bucket_in_another_region_is_refused_before_the_upload(use_bucket, poll, chat):
    use_bucket("bucket-in-the-west", "us-west-2")
    tuner = Tuner(poll=poll)
    with pytest.raises(ConfigError) as raised:
        tuner.submit("nova-micro", chat)
    assert "'bucket-in-the-west' is in us-west-2, and the job in us-east-1" in str(raised.value)
    assert "use a bucket in us-east-1" in str(raised.value)
    assert list_keys("bucket-in-the-west") == []
    assert list(tuner.jobs()) == []
    check = get_bucket_check(tuner)
    assert check.verdict is Verdict.FAIL
    assert "it is in us-west-2" in check.detail


def test_bucket_in_the_region_is_used(use_bucket, poll, chat):
    use_bucket("bucket-in-the-east", "us-east-1")
    tuner = Tuner(poll=poll)
    assert get_bucket_check(tuner).verdict is Verdict.PASS
    assert tuner.submit("nova-micro", chat)
    assert len(list_keys("bucket-in-the-east")) == 1


def test_bucket_of_the_stage_needs_no_request_for_its_region(tuner, chat, requests):
    before = requests.sdk_counts["s3", "HeadBucket"]
    tuner.submit("nova-micro", chat)
    assert requests.sdk_counts["s3", "HeadBucket"] == before
