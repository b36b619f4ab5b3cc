"""What the tests of the sandbox share: raw boto3, and the smallest job that runs."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_JOB, NOVA, converse_row


@pytest.fixture
def bedrock(sandbox):
    """Bedrock in us-east-1, as the account's root."""
    return boto3.client("bedrock")


@pytest.fixture
def upload(sandbox):
    """Upload rows, or bytes, to where the job role may read."""

    def put(rows, key="rows.jsonl", region="us-east-1"):
        deployment = sandbox.deployment(region)
        body = (
            rows
            if isinstance(rows, bytes)
            else "".join(json.dumps(row) + "\n" for row in rows).encode()
        )
        place = f"{deployment.datasets_prefix}{key}"
        boto3.client("s3", region).put_object(Bucket=deployment.data_bucket, Key=place, Body=body)
        return f"s3://{deployment.data_bucket}/{place}"

    return put


@pytest.fixture
def asked(sandbox, upload):
    """The parameters of a job that runs."""

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
def create(bedrock, asked):
    """Create a job in us-east-1; returns its ARN."""
    return lambda name="job", **changes: bedrock.create_model_customization_job(
        **asked(name, **changes)
    )["jobArn"]


@pytest.fixture
def model(sandbox, bedrock, create):
    """The ARN of a custom model."""
    arn = create()
    sandbox.clock.advance(A_JOB)
    return bedrock.get_model_customization_job(jobIdentifier=arn)["outputModelArn"]


@pytest.fixture
def refused():
    """Call what must be refused; returns code and status."""

    def code(call, *arguments, **parameters):
        with pytest.raises(ClientError) as error:
            call(*arguments, **parameters)
        answer = error.value.response
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]

    return code
