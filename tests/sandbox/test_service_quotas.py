"""Bedrock's quotas in Service Quotas of the sandbox, called with boto3."""

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.users import User
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
        user = User(sandbox, "reader")
        reader = user.create_client("service-quotas", "AWS_ENDPOINT_URL_SERVICE_QUOTAS")
        with pytest.raises(ClientError) as caught:
            read(reader, "L-0406044C")
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        user.allow("servicequotas:GetServiceQuota")
        assert read(reader, "L-0406044C")["Value"] == 10.0
