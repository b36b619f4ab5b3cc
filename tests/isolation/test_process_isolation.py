"""While the fixture is active, this process makes no connection to other machines."""

import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import unittest
from typing import Any
from unittest.mock import patch

import boto3
import botocore.exceptions
import openai
import pytest

from tunestack import Tuner
from tunestack.errors import IsolationError

AWS = "bedrock.us-east-1.amazonaws.com"
ASK = "import json, os; print(json.dumps(dict(os.environ)))"
MODULE_CLIENT = boto3.client(
    "bedrock",
    "us-east-1",
    endpoint_url=f"https://{AWS}",
    aws_access_key_id="AKIAREAL",
    aws_secret_access_key="real",
    verify=False,
)
"""Client that is created before all fixtures, as modules of applications do."""
MODULE_OPENAI = openai.OpenAI(
    api_key="sk-real", base_url="https://api.openai.com/v1", max_retries=0
)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """Disable the pauses between botocore's retries, which use the real clock."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


def find_isolation_error(error):
    """Return the IsolationError that caused an error of a client."""
    while error is not None and not isinstance(error, IsolationError):
        error = error.__cause__ or error.__context__
    return error


def test_a_client_created_before_the_sandbox_is_refused(sandbox):
    with pytest.raises(botocore.exceptions.EndpointConnectionError) as raised:
        MODULE_CLIENT.list_custom_models()
    assert f"connection to {AWS!r} refused" in str(find_isolation_error(raised.value))
    assert "tunestack_allowed_hosts" in str(find_isolation_error(raised.value))


def test_an_openai_client_created_before_the_sandbox_is_refused(sandbox):
    with pytest.raises(openai.APIConnectionError) as raised:
        MODULE_OPENAI.models.list()
    assert find_isolation_error(raised.value) is not None


def test_a_cleared_environment_leads_to_no_real_account(sandbox):
    with patch.dict(os.environ, {}, clear=True):
        client = boto3.client(
            "bedrock",
            "us-east-1",
            aws_access_key_id="AKIAREAL",
            aws_secret_access_key="real",
        )
        with pytest.raises(botocore.exceptions.EndpointConnectionError) as raised:
            client.list_custom_models()
    assert find_isolation_error(raised.value) is not None


def test_undoing_the_tests_own_patches_undoes_none_of_the_sandbox(sandbox, monkeypatch):
    monkeypatch.setenv("MINE", "1")
    monkeypatch.undo()
    assert os.environ["AWS_ENDPOINT_URL"] == sandbox.variables()["AWS_ENDPOINT_URL"]


@pytest.mark.parametrize(
    "connect",
    [
        lambda tcp, _: tcp.connect(("192.0.2.1", 443)),
        lambda tcp, _: tcp.connect_ex(("192.0.2.1", 443)),
        lambda _, udp: udp.connect(("192.0.2.1", 53)),
        lambda _, udp: udp.sendto(b"x", ("192.0.2.1", 53)),
        lambda _, udp: udp.sendmsg([b"x"], [], 0, ("192.0.2.1", 53)),
        lambda *_: socket.create_connection(("192.0.2.1", 443), timeout=1),
        lambda *_: socket.getaddrinfo("example.com", 80),
        lambda *_: http.client.HTTPConnection("169.254.169.254", timeout=1).request("GET", "/"),
    ],
)
def test_every_way_to_connect_is_refused(sandbox, connect):
    with (
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        pytest.raises(IsolationError, match="refused: the Tunestack sandbox is active"),
    ):
        connect(tcp, udp)


def test_loopback_is_not_refused(sandbox):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    hosts: list[Any] = ["127.0.0.1", "localhost", b"localhost"]
    for host in hosts:
        socket.create_connection((host, port), timeout=1).close()
    listener.close()


@pytest.mark.parametrize(
    "variables", [{}, {"AWS_PROFILE": "real", "AWS_ACCESS_KEY_ID": "AKIAREAL"}]
)
def test_a_process_with_its_own_environment_gets_the_variables_of_the_sandbox(sandbox, variables):
    given = {"PATH": os.environ["PATH"], "HOME": "/home/real", **variables}
    done = subprocess.run([sys.executable, "-c", ASK], env=given, capture_output=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["AWS_ENDPOINT_URL"] == sandbox.variables()["AWS_ENDPOINT_URL"]
    assert seen["AWS_ACCESS_KEY_ID"] == "123456789012"
    assert "AWS_PROFILE" not in seen
    assert seen["HOME"] == "/home/real"


def test_a_process_may_have_other_credentials_in_the_sandbox(sandbox):
    given = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIAOTHER"}
    done = subprocess.run([sys.executable, "-c", ASK], env=given, capture_output=True, check=True)
    assert json.loads(done.stdout)["AWS_ACCESS_KEY_ID"] == "AKIAOTHER"


def test_a_process_through_the_proxy_reaches_nothing_outside(sandbox):
    code = (
        "import urllib.request, sys\n"
        "for url in ('https://www.python.org', 'http://example.com', 'http://169.254.169.254'):\n"
        "    try: urllib.request.urlopen(url, timeout=5)\n"
        "    except OSError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("403") == 3, done.stdout


def _environment(_):
    return dict(os.environ)


def test_processes_of_an_earlier_fork_server_use_the_sandbox(sandbox):
    context = multiprocessing.get_context("forkserver")
    with context.Pool(1) as pool:
        (seen,) = pool.map(_environment, [0])
    assert seen["AWS_ENDPOINT_URL"] == sandbox.variables()["AWS_ENDPOINT_URL"]


def test_an_earlier_default_session_is_not_used(sandbox):
    assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert boto3.DEFAULT_SESSION is not None
    credentials = boto3.DEFAULT_SESSION.get_credentials()
    assert credentials is not None
    assert credentials.access_key == "123456789012"


class TestOfUnittest(unittest.TestCase):
    """`setUpClass` runs before the fixtures of the first test, and `tearDownClass` after those of the last test."""

    endpoint: str | None

    @classmethod
    def setUpClass(cls):
        cls.endpoint = os.environ.get("AWS_ENDPOINT_URL")

    @classmethod
    def tearDownClass(cls):
        assert os.environ.get("AWS_ENDPOINT_URL") == cls.endpoint

    @pytest.fixture(autouse=True)
    def _sandbox(self, tunestack_sandbox):
        self.sandbox = tunestack_sandbox

    def test_the_class_is_set_up_in_the_sandbox(self):
        assert self.endpoint == self.sandbox.variables()["AWS_ENDPOINT_URL"]

    def test_the_environment_is_the_same_in_the_next_test(self):
        assert self.endpoint == os.environ["AWS_ENDPOINT_URL"]


def test_an_earlier_tuner_works_in_the_sandbox(sandbox, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", f"https://{AWS}")
    tuner = Tuner()
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"])
    assert list(tuner.jobs()) == []
    assert list(tuner.endpoints()) == []


def test_a_job_creates_no_client_for_a_changed_environment(sandbox, tuner, chat, monkeypatch):
    job = tuner.submit("nova-micro", chat).wait()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.us-east-1.amazonaws.com")
    job.refresh()  # with the client that was created in the sandbox
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.us-east-1.amazonaws.com")
    with pytest.raises(Exception, match=r"the environment has changed .*AWS_ENDPOINT_URL"):
        job.backend._clients.get("sts", "us-east-1")


def test_a_bound_tuner_stays_in_its_environment(sandbox, tuner, chat, monkeypatch):
    bound = tuner.bind("nova-micro")
    for name in sandbox.variables():
        if name.startswith(("AWS_", "DSPY_", "TUNESTACK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{AWS}")
    job = bound.submit("nova-micro", chat).wait()
    assert job.metrics()
    monkeypatch.undo()
    assert [one.id for one in tuner.jobs()] == [job.id]
