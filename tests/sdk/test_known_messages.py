"""Messages of Bedrock whose cause is not in their code: classes, remedies, and the errors of failed jobs."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.errors import AccessError, InvalidRequestError, JobFailedError

ACCOUNT = "Your account is not authorized to invoke this API operation."
SUPPORT = "Your account is not authorized to perform this action. Please create a support case"
MODEL = "You don't have access to the model with the specified model ID."
MARKETPLACE = (
    "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace "
    "actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model."
)
PAYMENT = "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided."
PROFILE = (
    "Invocation of model ID amazon.nova-2-lite-v1:0 with on-demand throughput isn't supported. Retry your request with "
    "the ID or ARN of an inference profile that contains this model."
)


@pytest.mark.parametrize(
    ("code", "text", "kind", "remedy"),
    [
        ("AccessDeniedException", ACCOUNT, AccessError, "create a support case"),
        ("ValidationException", ACCOUNT, AccessError, "create a support case"),
        ("ValidationException", SUPPORT, AccessError, "names the operation and the region"),
        ("AccessDeniedException", MODEL, AccessError, "request access to the model"),
        ("AccessDeniedException", MARKETPLACE, AccessError, "Marketplace terms: open the model"),
        ("AccessDeniedException", PAYMENT, AccessError, "check the payment method"),
        ("ValidationException", PROFILE, InvalidRequestError, "whose id has a geography"),
    ],
)
def test_refusal_has_the_remedy_of_its_message(code, text, kind, remedy):
    response: Any = {"Error": {"Code": code, "Message": text}}
    with pytest.raises(kind) as raised, translate_errors("doing it"):
        raise ClientError(response, "CreateModelCustomizationJob")
    assert type(raised.value) is kind
    message = str(raised.value)
    assert text in message
    assert remedy in message
    assert "tuner policy" not in message


def test_missing_permission_still_has_the_tuner_policy_as_its_remedy():
    text = "User: arn:aws:iam::123456789012:user/a is not authorized to perform: kms:Decrypt on resource: k"
    with pytest.raises(AccessError, match="tuner policy"), translate_errors("doing it"):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": text}}, "x")


@pytest.fixture
def remove_permission(sandbox):
    """Return a function that removes an action from the job role's policy, and restore it at the end."""
    iam = boto3.client("iam")
    name = sandbox.deployment().job_role_arn.rsplit("/", 1)[1]
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    arn = attached["PolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    def remove(action):
        document = json.loads(json.dumps(policy).replace(f'"{action}"', '"s3:GetBucketTagging"'))
        iam.put_role_policy(RoleName=name, PolicyName="Data", PolicyDocument=json.dumps(document))
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)

    yield remove
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_role_policy(RoleName=name, PolicyName="Data")


@pytest.mark.as_root
@pytest.mark.parametrize(
    "action",
    ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"],
)
def test_error_of_a_failed_job_names_the_permission_that_the_role_lacks(
    tuner, chat, remove_permission, action
):
    job = tuner.submit("nova-micro", chat)
    remove_permission(action)
    with pytest.raises(JobFailedError) as raised:
        job.wait()
    message = str(raised.value)
    assert action in message
    assert "cdk deploy" in message
    assert message.endswith("then submit again")
    assert "perm" in raised.value.reason
    assert action not in raised.value.reason
    assert job.info.remedy in message


def test_failure_of_unknown_cause_has_no_remedy(sandbox, tuner, chat):
    sandbox.faults.add("internal-failure", times=1)
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobFailedError, match="fix this and submit again"):
        job.wait()
    assert job.info.remedy is None


@pytest.mark.parametrize("model", ["amazon.nova-2-lite-v1:0", "meta.llama3-3-70b-instruct-v1:0"])
def test_model_id_that_needs_an_inference_profile_has_its_remedy(sandbox, model):
    """The sandbox has the apostrophe of AWS's message, which is not that of ASCII."""
    client = boto3.client("bedrock-runtime", "us-west-2")
    messages: Any = [{"role": "user", "content": [{"text": "hello"}]}]
    remedy = r"before the model id: `us\.`"
    with pytest.raises(InvalidRequestError, match=remedy), translate_errors("invoking"):
        client.converse(modelId=model, messages=messages)
