"""The validation against botocore's service model detects violations."""

import botocore.session
import pytest

from tunestack_sandbox.shapes import violations

MODEL = botocore.session.get_session().get_service_model("bedrock")
CREATE = MODEL.operation_model("CreateModelCustomizationJob").input_shape
GOOD = {
    "jobName": "job-1",
    "customModelName": "model-1",
    "roleArn": "arn:aws:iam::123456789012:role/r",
    "baseModelIdentifier": "amazon.nova-micro-v1:0:128k",
    "trainingDataConfig": {"s3Uri": "s3://bucket/key.jsonl"},
    "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
    "hyperParameters": {"epochCount": "2"},
}


def test_a_valid_request_has_no_violations():
    assert violations(GOOD, CREATE) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jobName": "with_underscore"}, "regular expression pattern"),
        ({"jobName": "x" * 64}, "less than or equal to 63"),
        ({"jobName": ""}, "valid min length: 1"),
        ({"customModelName": "with.dot"}, "regular expression pattern"),
        ({"customizationType": "MAGIC"}, "enum value set"),
        ({"trainingDataConfig": {"s3Uri": "s3://bucket/dt=1/x"}}, "s3Uri"),
        ({"hyperParameters": {"epochCount": 2}}, "Invalid type"),
        ({"jobTags": [{"key": "a", "value": "b#"}]}, r"jobTags\.1\.member\.value"),
        ({"jobTags": [{"key": "a", "value": "b"}] * 201}, "less than or equal to 200"),
        ({"vpcConfig": {"subnetIds": [], "securityGroupIds": ["s"]}}, "valid min length: 1"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_each_kind_of_violation_is_detected(changes, words):
    import re

    problems = violations(GOOD | changes, CREATE)
    assert re.search(words, "; ".join(problems))


def test_a_missing_member_is_detected():
    assert "roleArn" in str(violations({k: v for k, v in GOOD.items() if k != "roleArn"}, CREATE))
