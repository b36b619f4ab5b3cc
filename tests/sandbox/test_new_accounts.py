"""Faults that simulate a new account: a role that can't be assumed yet, an account or a model without access."""

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_JOB
from tunestack.errors import ConfigError


def read_error(call, *arguments, **parameters):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


NOT_ASSUMED = ("ValidationException", "Could not assume provided IAM role.")


def test_role_of_a_job_can_be_assumed_after_some_minutes(sandbox, bedrock, create, job_request):
    fault = sandbox.faults.add("role-not-ready", seconds=180)
    request = job_request()
    assert read_error(bedrock.create_model_customization_job, **request) == NOT_ASSUMED
    sandbox.clock.advance(170)
    assert read_error(bedrock.create_model_customization_job, **request) == NOT_ASSUMED
    assert bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []
    sandbox.clock.advance(20)
    arn = bedrock.create_model_customization_job(**request)["jobArn"]
    assert fault.injected_count == 2
    assert sandbox.faults.listed() == []
    sandbox.clock.advance(A_JOB)
    assert bedrock.get_model_customization_job(jobIdentifier=arn)["status"] == "Completed"


def test_role_is_refused_the_requested_number_of_times(sandbox, create):
    sandbox.faults.add("role-not-ready", seconds=180, times=1)
    assert read_error(create) == NOT_ASSUMED
    assert create()


def test_account_without_authorization_is_refused_with_the_message_of_aws(sandbox, bedrock, create):
    sandbox.faults.add("account-not-authorized", operation="Create*")
    expected = (
        "AccessDeniedException",
        "Your account is not authorized to invoke this API operation.",
    )
    assert read_error(create) == expected
    assert bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []


def test_account_without_model_access_is_refused_jobs_and_invocations(sandbox, bedrock, create):
    sandbox.faults.add("no-model-access")
    expected = (
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    )
    assert read_error(create) == expected
    message = {"role": "user", "content": [{"text": "hello"}]}
    runtime = boto3.client("bedrock-runtime")
    model = "us.amazon.nova-micro-v1:0"
    assert read_error(runtime.converse, modelId=model, messages=[message]) == expected
    assert bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("role-not-ready", {}, "use a number above 0"),
        ("role-not-ready", {"seconds": 9, "operation": "Create*"}, "use seconds, times, rate"),
        ("no-model-access", {"operation": "List*"}, "never occurs in it"),
        ("account-not-authorized", {"operation": "createFile"}, "never occurs in it"),
        ("clock-skew", {"operation": "createFile"}, "never occurs in it"),
    ],
)
def test_fault_of_a_new_account_that_can_not_occur_is_rejected(sandbox, kind, how, words):
    with pytest.raises(ConfigError, match=words):
        sandbox.faults.add(kind, **how)
