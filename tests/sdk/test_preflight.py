"""Checks before a job: each one passes, fails with a remedy, or is unknown with a reason."""

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


def index_by_name(checks):
    return {check.name.split(" tunestack")[0].split(" Tunestack")[0]: check for check in checks}


@pytest.mark.usefixtures("real_date")
def test_deployed_stage_passes_all_checks(tuner, request):
    checks = tuner.preflight("nova-micro")
    # The tuner policy does not allow reading roles and quotas.
    unreadable = {"job role", "quota of jobs"} if request.config.option.as_tuner else set()
    assert {Verdict.PASS, Verdict.UNKNOWN} >= {check.verdict for check in checks}
    unknown = [check for check in checks if check.verdict is Verdict.UNKNOWN]
    assert unreadable == set(index_by_name(unknown))
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
    } == set(index_by_name(checks))


@pytest.mark.as_root
def test_missing_credentials_fail_the_check(sandbox, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    (check,) = Tuner().preflight()
    assert (check.name, check.verdict) == ("credentials", Verdict.FAIL)
    assert check.fix is not None
    assert "aws sts get-caller-identity" in check.fix


# The tuner policy does not allow reading the parameter of another stage.
@pytest.mark.as_root
def test_missing_deployment_fails_the_check(sandbox, poll):
    checks = index_by_name(Tuner("prod", poll=poll).preflight())
    assert Verdict.FAIL is checks["deployment"].verdict
    assert "cdk deploy" in checks["deployment"].fix


@pytest.fixture
def run_checks(sandbox):
    """Return a function that runs the checks with a changed deployment."""

    def run(**changes):
        return index_by_name(Tuner(deployment=replace(sandbox.deployment(), **changes)).preflight())

    return run


def test_deployment_of_another_account_fails_the_check(run_checks):
    checks = run_checks(account="999999999999")
    assert Verdict.FAIL is checks["deployment"].verdict
    assert "belongs to account 999999999999" in checks["deployment"].detail


@pytest.mark.as_root
def test_deleted_bucket_fails_the_check(run_checks):
    check = run_checks(data_bucket="deleted-bucket")["bucket deleted-bucket"]
    assert (check.verdict, "deleted" in check.fix) == (Verdict.FAIL, True)


@pytest.mark.as_root
def test_deleted_role_and_role_that_bedrock_can_not_assume_fail_the_check(run_checks, sandbox):
    role = "arn:aws:iam::123456789012:role/deleted"
    assert Verdict.FAIL is run_checks(job_role_arn=role)["job role deleted"].verdict
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
    check = run_checks(job_role_arn="arn:aws:iam::123456789012:role/other")["job role other"]
    assert Verdict.FAIL is check.verdict
    assert "may not assume it" in check.detail
    (statement,) = document["Statement"]
    document["Statement"] = statement | {"Principal": {"Service": "bedrock.amazonaws.com"}}
    boto3.client("iam").create_role(RoleName="plain", AssumeRolePolicyDocument=json.dumps(document))
    plain = run_checks(job_role_arn="arn:aws:iam::123456789012:role/plain")["job role plain"]
    assert Verdict.PASS is plain.verdict, "a statement does not have to be in a list"


def test_missing_endpoint_guard_fails_the_check(run_checks):
    checks = run_checks(guard_arn=None, schedule_group=None)
    assert Verdict.FAIL is checks["endpoint guard"].verdict


@pytest.mark.usefixtures("real_date")
def test_wrong_clock_fails_the_check(sandbox, poll):
    sandbox.clock.advance(1000)
    check = index_by_name(Tuner(poll=poll).preflight())["clock"]
    assert Verdict.FAIL is check.verdict
    assert "behind AWS's" in check.detail
    assert "set-ntp" in check.fix


def test_checks_are_unknown_if_bedrock_fails(tuner, inject_error):
    inject_error("List*", "InternalServerException", times=1000)
    checks = index_by_name(tuner.preflight("nova-micro"))
    for name in ("clock", "quota of jobs", "quota of deployments", "model nova-micro"):
        assert Verdict.UNKNOWN is checks[name].verdict


def test_quota_of_deployments_is_unknown_at_its_default(sandbox, tuner, job):
    client = boto3.client("bedrock")
    for number in range(10):
        client.create_custom_model_deployment(modelDeploymentName=f"d{number}", modelArn=job.model)
        sandbox.clock.advance(1000)
    check = index_by_name(tuner.preflight("nova-micro"))["quota of deployments"]
    # The quota of the account may have been raised, which can not be read.
    assert Verdict.UNKNOWN is check.verdict
    assert (
        "10 of 10 by quota 'Total custom model deployments', the documented default" in check.detail
    )


def test_model_in_another_region_and_retired_model_fail_the_check(tuner):
    other_region = index_by_name(tuner.preflight("llama-3-1-8b"))["model llama-3-1-8b"]
    assert Verdict.FAIL is other_region.verdict
    assert "us-west-2" in other_region.detail
    retired = index_by_name(tuner.preflight("claude-3-haiku"))["model claude-3-haiku"]
    assert Verdict.FAIL is retired.verdict
    with pytest.raises(ModelError, match="unknown model 'gpt-9'"):
        tuner.preflight("gpt-9")


@pytest.fixture
def quotas(monkeypatch):
    """Run a minimal Service Quotas server, because the emulator has none."""

    values: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert request["ServiceCode"] == "bedrock"
            body = json.dumps({"Quota": {"Value": values[request["QuotaCode"]]}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", f"http://127.0.0.1:{server.server_port}")
    yield values
    server.shutdown()
    thread.join()
    server.server_close()


def test_readable_quotas_are_compared_with_their_use(sandbox, quotas, west, tuner, chat):
    quotas |= {"L-0406044C": 1.0, "L-BE77399C": 0.0, "L-3632DE15": 0.0}
    checks = index_by_name(west.preflight("llama-3-1-8b"))
    assert Verdict.PASS is checks["quota of jobs"].verdict
    units = checks["quota of model units"]
    assert Verdict.FAIL is units.verdict
    assert "request an increase of L-BE77399C before you train: `aws service-quotas" in units.fix
    quotas["L-BE77399C"] = 2.0
    assert (
        Verdict.PASS
        is index_by_name(west.preflight("llama-3-1-8b"))["quota of model units"].verdict
    )
    tuner.submit("nova-micro", chat)
    running = index_by_name(tuner.preflight("nova-micro"))["quota of jobs"]
    assert Verdict.FAIL is running.verdict
    assert "1 running, at most 1 by quota" in running.detail
