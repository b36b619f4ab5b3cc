"""Bedrock API keys (`AWS_BEARER_TOKEN_BEDROCK`) instead of signatures."""

import base64
import json
import os
from datetime import timedelta

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.api_keys import short_term
from tests.sandbox.samples import A_JOB

MICRO = "us.amazon.nova-micro-v1:0"
QUESTION = [{"role": "user", "content": [{"text": "hello"}]}]
INVALID = "Authentication failed: Please make sure your API Key is valid."
EXPIRED = "Bearer Token has expired"
ALL = {"Effect": "Allow", "Action": "bedrock:*", "Resource": "*"}

pytestmark = pytest.mark.as_root


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def calls(sandbox, monkeypatch):
    """Return a function that calls Bedrock with an API key and no other credentials, and returns the response text."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    def call(key, service="bedrock-runtime", region="us-east-1"):
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
        client = boto3.Session(region_name=region).client(
            service, config=Config(retries={"total_max_attempts": 1})
        )
        if service == "bedrock":
            return client.list_custom_models()["modelSummaries"]
        answer = client.converse(modelId=MICRO, messages=QUESTION)
        return answer["output"]["message"]["content"][0]["text"]

    return call


@pytest.fixture
def iam(sandbox):
    return boto3.client("iam")


@pytest.fixture
def user(iam):
    """Create a user with a policy and return its name."""
    name = f"user-{os.urandom(4).hex()}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(ALL))
    return name


def create(iam, user, **changes):
    params = {"UserName": user, "ServiceName": "bedrock.amazonaws.com"} | changes
    return iam.create_service_specific_credential(**params)["ServiceSpecificCredential"]


def refusal(call, *arguments):
    with pytest.raises(ClientError) as error:
        call(*arguments)
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "AccessDeniedException"
    return answer["Error"]["Message"]


def test_a_long_term_key_of_a_user_calls_both_endpoints(iam, user, calls):
    key = create(iam, user)["ServiceCredentialSecret"]
    assert key.startswith("ABSK")
    assert "untrained Nova Micro" in calls(key)
    assert calls(key, "bedrock") == []


def test_a_long_term_key_expires_and_is_disabled_reset_and_deleted(sandbox, iam, user, calls):
    made = create(iam, user, CredentialAgeDays=30)
    key = made["ServiceCredentialSecret"]
    calls(key)
    named = {"UserName": user, "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    (row,) = iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
    assert timedelta(days=30) == row["ExpirationDate"] - row["CreateDate"]
    assert "ServiceCredentialSecret" not in row
    iam.update_service_specific_credential(**named, Status="Inactive")
    assert refusal(calls, key) == INVALID
    iam.update_service_specific_credential(**named, Status="Active")
    calls(key)
    sandbox.clock.advance(timedelta(days=30))
    assert refusal(calls, key) == EXPIRED
    second = create(iam, user)
    named["ServiceSpecificCredentialId"] = second["ServiceSpecificCredentialId"]
    fresh = iam.reset_service_specific_credential(**named)["ServiceSpecificCredential"]
    assert refusal(calls, second["ServiceCredentialSecret"]) == INVALID
    calls(fresh["ServiceCredentialSecret"])
    iam.delete_service_specific_credential(**named)
    assert refusal(calls, fresh["ServiceCredentialSecret"]) == INVALID


def test_a_user_has_two_keys_and_keys_for_bedrock_only(iam, user):
    create(iam, user)
    create(iam, user)
    with pytest.raises(iam.exceptions.LimitExceededException):
        create(iam, user)
    with pytest.raises(iam.exceptions.ServiceNotSupportedException):
        create(iam, user, ServiceName="codecommit.amazonaws.com")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        create(iam, "nobody")


def test_a_short_term_key_stands_for_the_credentials_that_signed_it(iam, user, calls):
    assert "untrained Nova Micro" in calls(short_term("123456789012", "sandbox"))
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    assert "untrained" in calls(short_term(keys["AccessKeyId"], keys["SecretAccessKey"]))
    iam.delete_user_policy(UserName=user, PolicyName="p")
    denied = refusal(calls, short_term(keys["AccessKeyId"], keys["SecretAccessKey"]))
    assert f"user/{user} is not authorized to perform: bedrock:CallWithBearerToken" in denied


def test_a_short_term_key_of_a_role_carries_its_session_token(iam, sandbox, calls):
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    name = f"role-{os.urandom(4).hex()}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(ALL))
    root = boto3.client("sts", aws_access_key_id="123456789012", aws_secret_access_key="sandbox")
    session = root.assume_role(RoleArn=role["Arn"], RoleSessionName="ann")["Credentials"]
    keys = session["AccessKeyId"], session["SecretAccessKey"]
    assert "untrained" in calls(short_term(*keys, session["SessionToken"]))
    assert refusal(calls, short_term(*keys, "another")) == INVALID
    sandbox.clock.advance(timedelta(hours=2))
    assert refusal(calls, short_term(*keys, session["SessionToken"])) == EXPIRED


def test_a_short_term_key_expires_after_twelve_hours_at_most(sandbox, calls):
    hour = short_term("123456789012", "sandbox", hours=1)
    days = short_term("123456789012", "sandbox", hours=72)
    sandbox.clock.advance(timedelta(hours=2))
    assert refusal(calls, hour) == EXPIRED
    calls(days)
    sandbox.clock.advance(timedelta(hours=10))
    assert refusal(calls, days) == EXPIRED


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("sk-something", "Invalid API Key format: Must start with pre-defined prefix"),
        ("ABSK" + base64.b64encode(b"BedrockAPIKey-ab1c-at-210987654321:secret").decode(), INVALID),
        ("bedrock-api-key-nonsense", INVALID),
        (short_term("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"), INVALID),
        (short_term("123456789012", "wrong"), INVALID),
    ],
)
def test_an_unknown_key_is_refused_as_it_may_be_a_real_one(calls, key, text):
    assert text == refusal(calls, key)
    assert text == refusal(calls, key, "bedrock")


def test_a_policy_can_forbid_long_term_keys_only(iam, user, calls):
    condition = {"StringEquals": {"bedrock:bearerTokenType": "LONG_TERM"}}
    deny = {"Effect": "Deny", "Action": "bedrock:CallWithBearerToken", "Resource": "*"}
    policy = document(ALL, {**deny, "Condition": condition})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy)
    assert "explicit deny" in refusal(calls, create(iam, user)["ServiceCredentialSecret"])
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    calls(short_term(keys["AccessKeyId"], keys["SecretAccessKey"]))


def test_a_key_calls_an_endpoint_in_the_region_of_its_arn(sandbox, model, bedrock, iam, user):
    made = bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=model)
    sandbox.clock.advance(A_JOB)
    url = sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"]
    key = create(iam, user)["ServiceCredentialSecret"]
    answer = httpx.post(
        f"{url}/model/{made['customModelDeploymentArn'].replace('/', '%2F')}/converse",
        headers={"Authorization": f"Bearer {key}"},
        content=json.dumps({"messages": QUESTION}),
        trust_env=False,
    )
    assert answer.status_code == 200


def test_the_callers_own_key_is_not_passed_on(sandbox, monkeypatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKreal")
    assert "AWS_BEARER_TOKEN_BEDROCK" not in sandbox.environment()
    assert "AWS_BEARER_TOKEN_BEDROCK" in sandbox.cleared()
