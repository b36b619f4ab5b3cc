"""Bedrock's quotas in Service Quotas of the sandbox, called with boto3."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tunestack_sandbox import Quotas, Sandbox


def read(client, code, service="bedrock"):
    return client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]


def test_get_service_quota_returns_the_quotas_of_bedrock(tunestack_sandbox):
    client = boto3.client("service-quotas")
    found = read(client, "L-0406044C")
    assert found["QuotaName"] == "(Model customization) Scheduled customization jobs"
    assert (found["Value"], found["Adjustable"]) == (10.0, True)
    assert found["QuotaArn"].startswith("arn:aws:servicequotas:us-east-1:123456789012:bedrock/")
    tunestack_sandbox.quotas = Quotas(jobs=2, jobs_adjustable=False, model_units=0)
    found = read(client, "L-0406044C")
    assert (found["Value"], found["Adjustable"]) == (2.0, False)
    assert read(client, "L-BE77399C")["Value"] == 0.0
    tunestack_sandbox.reset()
    assert read(client, "L-0406044C")["Value"] == 10.0


def test_defaults_are_those_of_a_new_account(tunestack_sandbox):
    client = boto3.client("service-quotas")
    tunestack_sandbox.quotas = Quotas(jobs=2, unapplied=frozenset({"L-BE77399C"}))
    default = client.get_aws_default_service_quota(ServiceCode="bedrock", QuotaCode="L-0406044C")
    assert default["Quota"]["Value"] == 10.0
    assert default["Quota"]["QuotaArn"] == "arn:aws:servicequotas:us-east-1::bedrock/L-0406044C"
    with pytest.raises(client.exceptions.NoSuchResourceException):
        read(client, "L-BE77399C")
    default = client.get_aws_default_service_quota(ServiceCode="bedrock", QuotaCode="L-BE77399C")
    assert default["Quota"]["Value"] == 0.0
    tunestack_sandbox.reset()


@pytest.mark.parametrize(("code", "service"), [("L-00000000", "bedrock"), ("L-0406044C", "ec2")])
def test_other_quotas_are_not_found(tunestack_sandbox, code, service):
    with pytest.raises(ClientError) as caught:
        read(boto3.client("service-quotas"), code, service)
    assert caught.value.response["Error"]["Code"] == "NoSuchResourceException"


def test_a_caller_needs_the_permission():
    with Sandbox(empty=True, enforce_iam=True) as sandbox:
        variables = sandbox.variables()
        root: dict[str, Any] = {
            "region_name": "us-east-1",
            "verify": variables["AWS_CA_BUNDLE"],
            "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
        }
        iam = boto3.client("iam", endpoint_url=variables["AWS_ENDPOINT_URL"], **root)
        iam.create_user(UserName="reader")
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        reader = boto3.client(
            "service-quotas",
            endpoint_url=variables["AWS_ENDPOINT_URL_SERVICE_QUOTAS"],
            **root
            | {
                "aws_access_key_id": key["AccessKeyId"],
                "aws_secret_access_key": key["SecretAccessKey"],
            },
        )
        with pytest.raises(ClientError) as caught:
            read(reader, "L-0406044C")
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "servicequotas:GetServiceQuota", "Resource": "*"}]}'
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
        assert read(reader, "L-0406044C")["Value"] == 10.0
