"""What can be known before money is spent: each check passes, fails with what to do, or says why it is not known."""

import json
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest

from tunestack import Tuner
from tunestack.backends.base import Verdict
from tunestack.errors import ModelError


def by_name(found):
    return {check.name.split(" tunestack")[0].split(" Tunestack")[0]: check for check in found}


@pytest.mark.usefixtures("today")
def test_all_is_well_with_what_was_deployed(tuner, request):
    found = tuner.preflight("nova-micro")
    # The tuner policy reads no roles and no quotas.
    unread = {"job role", "quota of jobs"} if request.config.option.as_tuner else set()
    assert {Verdict.PASS, Verdict.UNKNOWN} >= {check.verdict for check in found}
    unknown = [each for each in found if each.verdict is Verdict.UNKNOWN]
    assert unread == set(by_name(unknown))
    assert {
        "credentials",
        "clock",
        "deployment",
        "bucket",
        "job role",
        "endpoint guard",
        "quota of jobs",
        "quota of deployments",
        "model nova-micro",
    } == set(by_name(found))


@pytest.mark.as_root
def test_nobody_is_there(sandbox, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    (check,) = Tuner().preflight()
    assert (check.name, check.verdict) == ("credentials", Verdict.FAIL)
    assert check.fix is not None
    assert "aws sts get-caller-identity" in check.fix


def test_nothing_is_deployed(sandbox, poll):
    found = by_name(Tuner("prod", poll=poll).preflight())
    assert Verdict.FAIL is found["deployment"].verdict
    assert "cdk deploy" in found["deployment"].fix


@pytest.fixture
def deployed(sandbox):
    """Check with a deployment that differs."""

    def make(**changes):
        return by_name(Tuner(deployment=replace(sandbox.deployment(), **changes)).preflight())

    return make


def test_another_account(deployed):
    found = deployed(account="999999999999")
    assert Verdict.FAIL is found["deployment"].verdict
    assert "belongs to account 999999999999" in found["deployment"].detail


@pytest.mark.as_root
def test_a_bucket_that_is_gone(deployed):
    check = deployed(data_bucket="gone-bucket")["bucket gone-bucket"]
    assert (check.verdict, "deleted" in check.fix) == (Verdict.FAIL, True)


@pytest.mark.as_root
def test_a_role_that_is_gone_and_one_that_bedrock_may_not_take_on(deployed, sandbox):
    role = "arn:aws:iam::123456789012:role/gone"
    assert Verdict.FAIL is deployed(job_role_arn=role)["job role gone"].verdict
    document: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    boto3.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps(document))
    check = deployed(job_role_arn="arn:aws:iam::123456789012:role/other")["job role other"]
    assert Verdict.FAIL is check.verdict
    assert "may not assume it" in check.detail
    (statement,) = document["Statement"]
    document["Statement"] = statement | {"Principal": {"Service": "bedrock.amazonaws.com"}}
    boto3.client("iam").create_role(RoleName="plain", AssumeRolePolicyDocument=json.dumps(document))
    plain = deployed(job_role_arn="arn:aws:iam::123456789012:role/plain")["job role plain"]
    assert Verdict.PASS is plain.verdict, "one statement may stand without a list"


def test_no_guard(deployed):
    found = deployed(guard_arn=None, schedule_group=None)
    assert Verdict.FAIL is found["endpoint guard"].verdict


@pytest.mark.usefixtures("today")
def test_clocks_that_differ(sandbox, poll):
    sandbox.clock.advance(1000)
    check = by_name(Tuner(poll=poll).preflight())["clock"]
    assert Verdict.FAIL is check.verdict
    assert "behind AWS's" in check.detail
    assert "set-ntp" in check.fix


def test_a_bedrock_that_does_not_answer_leaves_things_unknown(tuner, broken):
    broken("List*", "InternalServerException", times=1000)
    found = by_name(tuner.preflight("nova-micro"))
    for name in ("clock", "quota of jobs", "quota of deployments", "model nova-micro"):
        assert Verdict.UNKNOWN is found[name].verdict


def test_as_many_deployments_as_there_may_be(sandbox, tuner, job):
    client = boto3.client("bedrock")
    for number in range(10):
        client.create_custom_model_deployment(modelDeploymentName=f"d{number}", modelArn=job.model)
        sandbox.clock.advance(1000)
    check = by_name(tuner.preflight("nova-micro"))["quota of deployments"]
    # An account may have asked for more, which no quota tells.
    assert Verdict.UNKNOWN is check.verdict
    assert (
        "10 of 10 by quota 'Total custom model deployments', the documented default" in check.detail
    )


def test_a_model_that_is_elsewhere_or_retired(tuner):
    elsewhere = by_name(tuner.preflight("llama-3-1-8b"))["model llama-3-1-8b"]
    assert Verdict.FAIL is elsewhere.verdict
    assert "us-west-2" in elsewhere.detail
    retired = by_name(tuner.preflight("claude-3-haiku"))["model claude-3-haiku"]
    assert Verdict.FAIL is retired.verdict
    with pytest.raises(ModelError, match="unknown model 'gpt-9'"):
        tuner.preflight("gpt-9")


@pytest.fixture
def quotas(monkeypatch):
    """Service Quotas, as far as it is asked: the emulator has none."""

    values: dict[str, float] = {}

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["ServiceCode"] == "bedrock"
            body = json.dumps({"Quota": {"Value": values[asked["QuotaCode"]]}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", f"http://127.0.0.1:{server.server_port}")
    yield values
    server.shutdown()
    thread.join()
    server.server_close()


def test_quotas_that_can_be_read(sandbox, quotas, west, tuner, chat):
    quotas |= {"L-0406044C": 1.0, "L-BE77399C": 0.0}
    found = by_name(west.preflight("llama-3-1-8b"))
    assert Verdict.PASS is found["quota of jobs"].verdict
    units = found["quota of model units"]
    assert Verdict.FAIL is units.verdict
    assert "L-BE77399C in Service Quotas before you train" in units.fix
    quotas["L-BE77399C"] = 2.0
    assert Verdict.PASS is by_name(west.preflight("llama-3-1-8b"))["quota of model units"].verdict
    tuner.submit("nova-micro", chat)
    running = by_name(tuner.preflight("nova-micro"))["quota of jobs"]
    assert Verdict.FAIL is running.verdict
    assert "1 running, at most 1 by quota" in running.detail
