"""With `--enforce-iam`, every service evaluates policies and checks signatures, over TLS."""

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tunestack import AccessError, Poll, Tuner
from tunestack_sandbox import Sandbox

ROOT = Path(__file__).parents[2]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture
def assume_role(enforced):
    """Return a function that creates a role with a managed policy, assumes it, and returns a session."""

    def create_session(policy=None):
        iam = boto3.Session().client("iam")
        name = f"role-{os.urandom(4).hex()}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        if policy:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        sts = boto3.Session().client("sts")
        keys = sts.assume_role(RoleArn=arn["Arn"], RoleSessionName="ann")["Credentials"]
        return boto3.Session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name="us-east-1",
        )

    return create_session


@pytest.fixture
def outputs(enforced):
    cloudformation = boto3.Session().client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName="Tunestack-dev-us-east-1")["Stacks"]
    return {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}


@pytest.fixture
def tuner_policy(outputs):
    return outputs["TunerPolicyArn"]


def test_every_endpoint_is_https_and_trusted_by_the_certificate(enforced):
    variables = enforced.variables()
    assert all(
        value.startswith("https://127.0.0.1:")
        for name, value in variables.items()
        if "ENDPOINT" in name
    )
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        assert Path(variables[name]).exists()
    assert boto3.Session().client("bedrock").list_custom_models()["modelSummaries"] == []


def test_the_whole_of_the_sdk_runs_with_the_stacks_policy_alone(
    enforced, assume_role, tuner_policy, chat
):
    """Test S3, SSM and Bedrock with the job's role of the stack."""
    poll = Poll(sleep=enforced.clock.advance, clock=enforced.clock.monotonic)
    job = Tuner(session=assume_role(tuner_policy), poll=poll).submit("nova-micro", chat)
    enforced.clock.advance(6000)
    job = Tuner(session=assume_role(tuner_policy), poll=poll).job(job.id)
    assert job.wait().model
    assert job.metrics()
    job.start_endpoint()
    assert job.endpoint().invoke("What is number 7?") == "It is 7."
    job.stop_endpoint()


def test_a_role_without_the_policy_is_denied(enforced, assume_role, chat):
    with pytest.raises(Exception, match="not authorized to perform: bedrock:List"):
        Tuner(session=assume_role()).submit("nova-micro", chat)


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [
        ("123456789012", "wrong", "InvalidSignatureException"),
        ("AKIAIOSFODNN7EXAMPLE", "sandbox", "UnrecognizedClientException"),
    ],
)
def test_invalid_credentials_are_rejected(enforced, key, secret, code):
    client = boto3.Session(key, secret).client("bedrock")
    with pytest.raises(ClientError, match=code):
        client.list_custom_models()


def test_other_services_deny_actions_outside_the_policy(enforced, assume_role, tuner_policy):
    with pytest.raises(ClientError, match="AccessDenied"):
        assume_role(tuner_policy).client("s3").list_buckets()
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        boto3.Session("AKIAIOSFODNN7EXAMPLE", "sandbox").client("s3").list_buckets()


def test_signatures_of_all_argument_kinds_are_valid(enforced):
    """The signature covers the path, the query and the body as they were sent."""
    client = boto3.Session().client("bedrock")
    client.list_model_customization_jobs(
        nameContains="a+b.c", creationTimeAfter="2026-01-01T00:00:00Z", maxResults=7
    )
    nobody = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/0123456789ab"
    for call in (
        lambda: client.get_custom_model(modelIdentifier=nobody),
        lambda: client.list_tags_for_resource(resourceARN=nobody),
    ):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call()


@pytest.mark.campaign
def test_the_cdk_deploys_over_tls_with_enforcement(tmp_path):
    """Bootstrap, deploy and destroy with the roles of the CDK CLI."""
    with Sandbox(empty=True, enforce_iam=True) as sandbox:
        environment = {**sandbox.environment(), "CDK_HOME": str(tmp_path)}
        common = ["--app", "cdk.out", "--no-notices"]
        for command in (
            ["cdk", "synth", "--quiet", "--no-notices"],
            ["cdk", "bootstrap", *common],
            ["cdk", "deploy", "--all", "--require-approval", "never", *common],
            ["tunestack", "env", "--json"],
        ):
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr[-2000:]
    assert "DSPY_BEDROCK_ROLE_ARN" in json.loads(done.stdout)


def test_litellm_and_pythons_http_clients_trust_it(enforced):
    code = "import urllib.request, os; print(urllib.request.urlopen(os.environ['URL']).status)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**enforced.environment(), "URL": f"{enforced.admin_url}/clock"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "200\n"


class SignAuthority(SigV4Auth):
    """Signer that signs `:authority` instead of `host`, like the AWS SDK for JavaScript v3 over HTTP/2."""

    def headers_to_sign(self, request):
        headers = super().headers_to_sign(request)
        headers[":authority"] = headers["host"]
        del headers["host"]
        return headers


@pytest.mark.parametrize("signer", [SigV4Auth, SignAuthority])
@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
def test_http2_is_negotiated_and_signatures_are_checked_as_over_http1(enforced, signer, version):
    if (signer, version) == (SignAuthority, "HTTP/1.1"):
        pytest.skip("HTTP/1.1 has no :authority")
    url = f"{enforced.variables()['AWS_ENDPOINT_URL_BEDROCK']}/custom-models"
    trust = ssl.create_default_context(cafile=enforced.variables()["AWS_CA_BUNDLE"])
    codes = []
    for secret in ("sandbox", "wrong"):
        signed = AWSRequest("GET", url)
        signer(Credentials("123456789012", secret), "bedrock", "us-east-1").add_auth(signed)
        with httpx.Client(http2=version == "HTTP/2", verify=trust, trust_env=False) as client:
            answer = client.get(url, headers=dict(signed.headers))
        assert version == answer.http_version
        codes.append(answer.headers.get("x-amzn-errortype"))
    assert codes == [None, "InvalidSignatureException"]


def test_tuners_and_viewers_may_read_the_metrics_of_endpoints(enforced, assume_role, outputs, chat):
    poll = Poll(sleep=enforced.clock.advance, clock=enforced.clock.monotonic)
    endpoint = Tuner(poll=poll).submit("nova-micro", chat).wait().start_endpoint()
    endpoint.invoke("What is number 7?")

    def read(policy):
        return (
            Tuner(session=assume_role(outputs[policy]), poll=poll).endpoint(endpoint.id).metrics()
        )

    assert [row.invocations for row in read("TunerPolicyArn")] == [1]
    assert read("ViewerPolicyArn") == read("TunerPolicyArn")
    # As in a stage that an earlier version deployed.
    with pytest.raises(
        AccessError, match="no permission for cloudwatch:GetMetricData.*run `cdk deploy` again"
    ) as raised:
        read("InvokerPolicyArn")
    assert raised.value.code in {"AccessDenied", "AccessDeniedException"}
    assert isinstance(raised.value.__cause__, ClientError)
    endpoint.stop()
