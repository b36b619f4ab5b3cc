"""Fixtures for the tests of the sandbox: boto3 clients and a minimal job."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_JOB, NOVA, converse_row
from tunestack_sandbox import Sandbox


@pytest.fixture(scope="module")
def strict(count_traffic):
    """Run a sandbox that enforces IAM."""
    with Sandbox(speed=1, enforce_iam=True) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.violations + sandbox.traffic.refused == []


@pytest.fixture
def enforced(strict, monkeypatch):
    """Return the sandbox that enforces IAM, empty and with its environment variables set."""
    strict.reset()
    for name, value in strict.variables().items():
        monkeypatch.setenv(name, value)
    return strict


@pytest.fixture
def bedrock(sandbox):
    """Return a Bedrock client of the root user in us-east-1."""
    return boto3.client("bedrock")


@pytest.fixture
def upload(sandbox):
    """Return a function that uploads rows or bytes to a prefix that the job's role can read."""

    def put(rows, key="rows.jsonl", region="us-east-1"):
        deployment = sandbox.deployment(region)
        body = (
            rows
            if isinstance(rows, bytes)
            else "".join(json.dumps(row) + "\n" for row in rows).encode()
        )
        path = f"{deployment.datasets_prefix}{key}"
        boto3.client("s3", region).put_object(Bucket=deployment.data_bucket, Key=path, Body=body)
        return f"s3://{deployment.data_bucket}/{path}"

    return put


@pytest.fixture
def job_request(sandbox, upload):
    """Return a function that builds the parameters of a valid job."""

    def make(name="job", *, region="us-east-1", base=NOVA, rows=None, **changes):
        deployment = sandbox.deployment(region)
        rows = [converse_row(number) for number in range(8)] if rows is None else rows
        return {
            "jobName": name,
            "customModelName": name,
            "roleArn": deployment.job_role_arn,
            "baseModelIdentifier": base,
            "trainingDataConfig": {"s3Uri": upload(rows, region=region)},
            "outputDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
            "hyperParameters": {"epochCount": "2"},
        } | changes

    return make


@pytest.fixture
def create(bedrock, job_request):
    """Return a function that creates a job in us-east-1 and returns its ARN."""
    return lambda name="job", **changes: bedrock.create_model_customization_job(
        **job_request(name, **changes)
    )["jobArn"]


@pytest.fixture
def model(sandbox, bedrock, create):
    """Create a custom model and return its ARN."""
    arn = create()
    sandbox.clock.advance(A_JOB)
    return bedrock.get_model_customization_job(jobIdentifier=arn)["outputModelArn"]


@pytest.fixture
def refused():
    """Return a function that makes a call that must fail and returns the error code and status."""

    def code(call, *arguments, **parameters):
        with pytest.raises(ClientError) as error:
            call(*arguments, **parameters)
        answer = error.value.response
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]

    return code


@pytest.fixture(scope="module")
def empty_sandbox(count_traffic):
    """Run a sandbox of an account without stages."""
    with Sandbox(empty=True, speed=1) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)


@pytest.fixture
def session(empty_sandbox, monkeypatch):
    """Return a session in the sandbox without stages, which is reset afterwards."""
    for name, value in empty_sandbox.variables().items():
        monkeypatch.setenv(name, value)
    yield boto3.Session()
    empty_sandbox.reset(everything=True)
