"""Cassettes contain nothing that identifies an account, and no content."""

import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.live.cleanup import Cleanup
from tests.live.live_run import Budget, LiveError
from tests.live.recorder import Recorder, Redactor, list_keys

JOB = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.nova-micro-v1:0:128k/abcdef123456"


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ("User: arn:aws:sts::123456789012:assumed-role/Admin/jane is not", "User: <principal> is not"),
        ("User: arn:aws:iam::123456789012:user/jane is not", "User: <principal> is not"),
        ("arn:aws:sqs:us-east-1:123456789012:a", "arn:aws:sqs:us-east-1:<account>:a"),
        ("RequestID: 1e1b1814-801c-475c-aa81-cd0e64857184", "RequestID: <uuid>"),
        ("jane@example.com AKIAIOSFODNN7EXAMPLE", "<email> <access-key>"),
        ("s3://secret-bucket/a", "s3://<bucket>/a"),
        (JOB, JOB.replace("123456789012", "<account>").replace("abcdef123456", "<other>")),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, {"messages": [{"role": "user", "content": "<content>"}]}),
        ({"body": b"a", "at": datetime(2026, 1, 1, tzinfo=UTC)}, {"body": "<content>", "at": "<time>"}),
        ({"a": 1, "ResponseMetadata": {"RequestId": "a"}}, {"a": 1}),
    ],
)  # fmt: skip
def test_values_are_redacted(value, redacted):
    assert Redactor({"secret-bucket": "<bucket>"}).redact(value) == redacted


def test_resources_get_numbers_in_the_order_in_which_they_appear_and_can_be_restored():
    redactor = Redactor()
    other = JOB.replace("abcdef123456", "000000abcdef")
    redacted = redactor.redact({"a": [JOB, other], "b": JOB}, learn=True)
    assert [arn.rpartition("/")[2] for arn in redacted["a"]] == ["<id-1>", "<id-2>"]
    assert redactor.restore(redacted["b"]) == JOB.replace("123456789012", "<account>")


def test_keys_of_nested_responses_and_lists_are_paths():
    keys = list_keys({"a": {"b": 1}, "rows": [{"c": 1}, {"d": [{"e": 1}]}]})
    assert keys == {"a", "a.b", "rows", "rows[].c", "rows[].d", "rows[].d[].e"}


def test_requests_responses_and_errors_are_recorded_without_rows_of_others(sandbox, tmp_path, job):
    names = {"123456789012": "<account>", "live-abcdef": "<stage>"}
    redactor = Redactor(names)
    recorder = Recorder(tmp_path / "a.jsonl", redactor, {"region": "us-east-1"})
    session = boto3.Session()
    recorder.watch(session, "admin")
    bedrock = session.client("bedrock")
    bedrock.list_model_customization_jobs()
    bedrock.list_tags_for_resource(resourceARN=job.id)
    bedrock.get_model_customization_job(jobIdentifier=job.id)
    with pytest.raises(ClientError):
        bedrock.get_model_customization_job(jobIdentifier="live-abcdef-a")
    session.client("sts").get_caller_identity()
    header, listed, refused, identity = map(
        json.loads, (tmp_path / "a.jsonl").read_text().splitlines()
    )
    assert header["region"] == "us-east-1"
    assert listed["answer"] == {"modelCustomizationJobSummaries": []}
    assert refused["status"] == 404
    assert refused["code"] == "ResourceNotFoundException"
    assert refused["params"] == {"jobIdentifier": "<stage>-a"}
    assert identity["answer"] == ["Account", "Arn", "UserId"]
    assert redactor.ids == {}


def test_clean_up_finds_nothing_of_other_stages(sandbox, job):
    job.start_endpoint()
    assert list(Cleanup(boto3.Session(), "us-east-1").find()) == []


def test_budget_refuses_what_is_above_the_limit():
    budget = Budget(1.0)
    budget.reserve("step a", 0.6)
    budget.reserve("step a", 0.6)
    with pytest.raises(LiveError, match=r"step b costs up to \$0.50, and \$0.40 of --budget 1 is"):
        budget.reserve("step b", 0.5)
    assert budget.spent == 0.6
