"""Regression tests: inputs that made the sandbox crash, or that it accepted although AWS rejects them."""

import http.client
import json
import os
import signal
import socket
import time
from datetime import timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_DEPLOYMENT, A_JOB, NOVA
from tunestack.errors import ConfigError
from tunestack_sandbox import Sandbox

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def user(sandbox):
    """Return a function that creates a user with policy statements and returns its Bedrock clients."""
    iam = boto3.client("iam")
    made: list[str] = []

    def make(*statements, attached=None):
        name = f"user-{len(made)}-{os.urandom(3).hex()}"
        iam.create_user(UserName=name)
        made.append(name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        if attached:
            iam.attach_user_policy(UserName=name, PolicyArn=attached)
        keys = iam.create_access_key(UserName=name)["AccessKey"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"])
        once = Config(retries={"total_max_attempts": 1})
        return [session.client(service, config=once) for service in ("bedrock", "bedrock-runtime")]

    return make


def raw(sandbox, method, path, body=None, **headers):
    """Send a raw request, which AWS clients do not send; return the status and the response."""
    url = sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"].removeprefix("http://")
    connection = http.client.HTTPConnection(url)
    connection.request(method, path, body, {"Authorization": AUTHORIZATION, **headers})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)


def message_of(call, *arguments, **parameters):
    with pytest.raises(ClientError) as error:
        call(*arguments, **parameters)
    return error.value.response["Error"]["Message"]


def test_a_protected_tag_is_not_removed(user, create):
    arn = create(jobTags=[{"key": "tunestack:expires-at", "value": "x"}])
    lease = {"ForAnyValue:StringLike": {"aws:TagKeys": "tunestack:*"}}
    bedrock, _ = user(ALL, {**ALL, "Effect": "Deny", "Condition": lease})
    text = message_of(bedrock.untag_resource, resourceARN=arn, tagKeys=["tunestack:expires-at"])
    assert "explicit deny" in text
    bedrock.untag_resource(resourceARN=arn, tagKeys=["other"])


def test_tags_of_endpoints_and_models_are_evaluated(sandbox, user, model, job_request):
    bedrock = boto3.client("bedrock")
    bedrock.tag_resource(resourceARN=model, tags=[{"key": "team", "value": "search"}])
    arn = bedrock.create_custom_model_deployment(
        modelDeploymentName="d", modelArn=model, tags=[{"key": "team", "value": "search"}]
    )["customModelDeploymentArn"]
    sandbox.clock.advance(A_DEPLOYMENT)
    tagged = {"StringEquals": {"aws:ResourceTag/team": "search"}}
    messages = [{"role": "user", "content": [{"text": "number 3?"}]}]
    _, runtime = user({**ALL, "Condition": tagged})
    assert runtime.converse(modelId=arn, messages=messages)["output"]
    denied, runtime = user(ALL, {**ALL, "Effect": "Deny", "Condition": tagged})
    assert "explicit deny" in message_of(runtime.converse, modelId=arn, messages=messages)
    further = job_request("further", baseModelIdentifier=model)
    assert "explicit deny" in message_of(denied.create_model_customization_job, **further)


def test_an_inference_profile_requires_permission_for_its_model(user):
    messages = [{"role": "user", "content": [{"text": "hello"}]}]
    params = {"modelId": "us.amazon.nova-micro-v1:0", "messages": messages}
    profile = {**ALL, "Resource": "arn:aws:bedrock:*:*:inference-profile/*"}
    foundation = {**ALL, "Resource": "arn:aws:bedrock:*::foundation-model/amazon.nova-micro-v1:0"}
    _, runtime = user(profile)
    text = message_of(runtime.converse, **params)
    assert "foundation-model/amazon.nova-micro-v1:0 because" in text
    _, runtime = user(profile, foundation)
    assert runtime.converse(**params)["output"]


@pytest.mark.parametrize("condition", [{"stringlike": {"aws:username": "user-*"}}, {}])
def test_condition_operators_ignore_case(user, condition):
    bedrock, _ = user({**ALL, "Condition": condition})
    assert bedrock.list_custom_models()["modelSummaries"] == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({**ALL, "Condition": {"StringsEqual": {"a": "b"}}}, "unknown condition operator"),
        ({**ALL, "Action": 5}, "malformed policy"),
    ],
)
def test_a_policy_that_aws_would_not_have_stored_is_named(user, statement, words):
    bedrock, _ = user(statement)
    assert words in message_of(bedrock.list_custom_models)


def test_the_error_for_a_missing_managed_policy_contains_its_name(user):
    bedrock, _ = user(attached="arn:aws:iam::aws:policy/AmazonBedrockFullAccess")
    assert "policy/AmazonBedrockFullAccess" in message_of(bedrock.list_custom_models)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainingDataConfig": {}}, "The provided S3 URI is invalid"),
        ({"baseModelIdentifier": "amazon.titan-embed-image-v1:0"}, "language models only"),
        (
            {"baseModelIdentifier": f"arn:aws:bedrock:us-west-2::foundation-model/{NOVA}"},
            "invalid for the service region",
        ),
        ({"hyperParameters": {"epochCount": " 2 "}}, "epochCount"),
        ({"hyperParameters": {"epochCount": "\u0662"}}, "epochCount"),
        ({"jobTags": [{"key": "aws:x", "value": "y"}]}, "aws: prefixed"),
        ({"jobTags": [{"key": "a", "value": "y"}] * 2}, "Duplicate tag keys"),
    ],
)
@pytest.mark.breaks_the_model
def test_what_no_job_can_do_is_refused_at_once(create, changes, words):
    assert words in message_of(create, **changes)


@pytest.mark.parametrize("uri", ["s3://{bucket}", "s3://{bucket}/tunestack/datasets/"])
def test_a_job_ends_whatever_it_runs_into(sandbox, bedrock, create, uri):
    bucket = sandbox.deployment().data_bucket
    arn = create(trainingDataConfig={"s3Uri": uri.format(bucket=bucket)})
    sandbox.clock.advance(A_JOB)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert job["status"] == "Failed"


def test_a_broken_bucket_policy_fails_the_job_and_nobody_else(sandbox, bedrock, create):
    s3, bucket = boto3.client("s3"), sandbox.deployment().data_bucket
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    row = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    s3.put_bucket_policy(
        Bucket=bucket, Policy=document({**row, "Condition": {"Booll": {"a": "b"}}})
    )
    try:
        arn = create()
        sandbox.clock.advance(A_JOB)
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=before)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert job["status"] == "Failed"
    assert "Booll" in job["ResponseMetadata"]["HTTPHeaders"]["x-tunestack-sandbox"]


def test_the_job_has_the_default_hyperparameters(bedrock, create):
    job = bedrock.get_model_customization_job(jobIdentifier=create(hyperParameters={}))
    assert job["hyperParameters"]["epochCount"] == "2"
    assert {"epochCount", "learningRate", "batchSize"} <= job["hyperParameters"].keys()


def test_a_key_is_named_in_any_way_and_shown_by_its_arn(sandbox, bedrock, create):
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]
    alias = f"alias/a{os.urandom(3).hex()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    for number, name in enumerate((key["KeyId"], alias)):
        arn = create(f"job-{number}", customModelKmsKeyId=name)
        job = bedrock.get_model_customization_job(jobIdentifier=arn)
        assert key["Arn"] == job["outputModelKmsKeyArn"]


@pytest.mark.breaks_the_model
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/model-customization-jobs?creationTimeAfter=0001-01-01T00:00:00%2B14:00", None),
        ("GET", "/model-customization-jobs?maxResults=1_0", None),
        ("GET", "/model-customization-jobs?nextToken=" + "W1tb" * 500, None),
        ("POST", "/model-customization-jobs", b"[]"),
        ("POST", "/model-customization-jobs", b'{"jobName": "\\ud800"}'),
        ("POST", "/model-customization-jobs", b"[" * 100_000),
        ("POST", "/use-case-for-model-access", b'{"formData": "no base64!"}'),
    ],
)
def test_malformed_requests_are_rejected_without_an_internal_error(sandbox, method, path, body):
    status, answer = raw(sandbox, method, path, body)
    assert (status, "message" in answer) == (400, True)


@pytest.mark.parametrize("when", ["2026-01-01", "2026-01-01T00:00:00"])
def test_a_time_without_a_zone_is_utc(sandbox, when):
    assert raw(sandbox, "GET", f"/model-customization-jobs?creationTimeAfter={when}")[0] == 200


@pytest.mark.breaks_the_model
def test_an_invalid_name_of_many_hyphens_is_rejected_quickly(sandbox):
    before = time.perf_counter()
    status, _ = raw(
        sandbox, "POST", "/model-customization-jobs", json.dumps({"jobName": f"a{'-' * 60}_"})
    )
    assert status == 400
    assert time.perf_counter() - before < 5


@pytest.mark.parametrize(
    "config",
    [{"maxTokens": "5"}, {"maxTokens": -5}, {"stopSequences": [1]}, {"stopSequences": "END"}],
)
def test_a_body_with_wrong_types_is_malformed(sandbox, config):
    runtime = boto3.client("bedrock-runtime")
    body = {
        "messages": [{"role": "user", "content": [{"text": "a"}]}],
        "inferenceConfig": config,
    }
    text = message_of(
        runtime.invoke_model, modelId="us.amazon.nova-micro-v1:0", body=json.dumps(body)
    )
    assert text.startswith("Malformed input request")


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"role": "user", "content": [{"text": " "}]}], "is blank. Add text"),
        ([{"role": "user", "content": []}], "is empty. Add a ContentBlock"),
    ],
)
def test_blank_messages_are_rejected(sandbox, messages, words):
    runtime = boto3.client("bedrock-runtime")
    params = {"modelId": "us.amazon.nova-micro-v1:0", "messages": messages}
    assert words in message_of(runtime.converse, **params)


def test_an_unsupported_operation_is_reported_once(sandbox):
    """Clients do not retry an unknown operation."""
    before = sandbox.traffic.errors
    bedrock = boto3.client("bedrock")
    text = message_of(bedrock.get_model_invocation_logging_configuration)
    assert "does not implement GetModelInvocationLoggingConfiguration" in text
    assert sandbox.traffic.errors - before == 1


def test_the_clock_is_turned_forward_within_reason_and_back_by_a_reset(sandbox):
    for wrong in (-1, float("nan"), 1e12, timedelta(days=-1), 80 * 366 * 86_400):
        with pytest.raises(ConfigError, match="can't be advanced"):
            sandbox.clock.advance(wrong)
    sandbox.reset()
    began = sandbox.clock.now()
    sandbox.clock.advance(timedelta(days=30))
    assert sandbox.clock.now() >= began + timedelta(days=30)
    sandbox.reset()
    assert began <= sandbox.clock.now() < began + timedelta(minutes=5)
    assert boto3.client("sts").get_caller_identity()["Account"]


def test_everything_can_be_forgotten(monkeypatch, count_traffic):
    with Sandbox(speed=1) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        session = boto3.Session()
        session.client("s3").create_bucket(Bucket="mine")
        session.client("iam").create_user(UserName="ann")
        sandbox.reset(everything=True)
        buckets = [row["Name"] for row in session.client("s3").list_buckets()["Buckets"]]
        assert "mine" not in buckets
        assert sandbox.deployment().data_bucket in buckets
        assert session.client("iam").list_users()["Users"] == []
    count_traffic(sandbox.traffic)


def test_a_sandbox_cannot_be_started_twice():
    with Sandbox(empty=True) as sandbox:
        with pytest.raises(ConfigError, match="can be started only once"):
            sandbox.start()
        assert raw(sandbox, "GET", "/custom-models")[0] == 200


@pytest.mark.parametrize(
    "arguments", [{"speed": -1}, {"speed": "x"}, {"as_of": "2026-03-01"}, {"quotas": {}}]
)
def test_invalid_sandbox_options_are_rejected(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Sandbox(**arguments)


def test_an_idle_connection_does_not_block_others(monkeypatch):
    """Send to a TLS port, which expects a handshake."""
    with Sandbox(empty=True, enforce_iam=True) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        port = int(sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)):
            bedrock = boto3.Session().client("bedrock", config=Config(read_timeout=5))
            assert bedrock.list_foundation_models()["modelSummaries"]


def test_a_trust_policy_that_is_none_is_named(job_request, bedrock):
    iam = boto3.client("iam")
    name = f"broken-{os.urandom(3).hex()}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument="[]")["Role"]["Arn"]
    text = message_of(bedrock.create_model_customization_job, **job_request(roleArn=arn))
    assert "malformed policy" in text


def test_a_child_has_no_sandbox_to_turn_or_to_reset(sandbox):
    child = os.fork()
    if child == 0:
        refused = 0
        for call in (sandbox.reset, sandbox.state, lambda: sandbox.clock.advance(1)):
            try:
                call()
            except ConfigError:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_a_child_that_lives_on_keeps_nothing_alive():
    sandbox = Sandbox(empty=True).start()
    port = int(sandbox.admin_url.split(":")[2].split("/")[0])
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        before = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - before < 10
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_request_that_is_cut_off_does_nothing(sandbox, bedrock):
    """Send like a client that is killed between the headers and the body."""
    host, port = sandbox.admin_url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /model-customization-jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
        )
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []
