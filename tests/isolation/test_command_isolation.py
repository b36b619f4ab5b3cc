"""The environment of `tunestack sandbox` leads to no real account, whatever variables the shell has."""

import http.server
import io
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
import zipfile
from pathlib import Path

import boto3
import pytest

from tests.conftest import root
from tunestack_sandbox.environment_variables import REMOVED_VARIABLES
from tunestack_sandbox.proxy import Proxy, list_environment_proxies, list_refused_domains

PROGRAM = Path(sys.executable).with_name("tunestack")
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


def evaluate_in_shell(lines, before):
    """Evaluate lines in a shell with other variables; return the resulting variables."""
    done = subprocess.run(
        ["sh", "-c", f'{lines}\nexec "$0" -c "$1"', sys.executable, SHOW],
        env={"PATH": os.environ["PATH"], **before, "AWS_ENDPOINT_URL_X": "http://127.0.0.1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lines():
    """Return the output of `tunestack sandbox`, started without variables of AWS."""
    with subprocess.Popen(
        [PROGRAM, "sandbox", "--empty"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "is running" in line:
                break
        running.terminate()
        text, _ = running.communicate()
    return text


def test_the_output_unsets_variables_of_another_shell(lines):
    before = {
        **dict.fromkeys(REMOVED_VARIABLES, "real"),
        "AWS_ENDPOINT_URL_BEDROCK_AGENT": "https://bedrock-agent.us-east-1.amazonaws.com",
        "AWS_ENDPOINT_URL_SSM": "https://ssm.us-east-1.amazonaws.com",
        "ALL_PROXY": "http://proxy.example.com",
        "HTTPS_PROXY": "http://proxy.example.com",
        "NO_PROXY": "amazonaws.com",
        "OPENAI_ORGANIZATION": "real",
        "DSPY_BEDROCK_ROLE_ARN": "arn:aws:iam::999999999999:role/real",
        "MINE": "kept",
    }
    after = evaluate_in_shell(lines, before)
    assert [
        name for name, value in after.items() if "real" in value or "example.com" in value
    ] == []
    assert [name for name, value in after.items() if "amazonaws.com" in value] == []
    assert after["MINE"] == "kept"
    assert after["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_the_output_unsets_all_variables_of_the_fixed_list(lines):
    for name in REMOVED_VARIABLES:
        assert f"unset {name}\n" in lines


class OriginServer(http.server.ThreadingHTTPServer):
    """Server with a name that records CONNECT requests."""

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), OriginHandler)
        self.name = name
        self.connected: list[tuple[str, str | None]] = []


class OriginHandler(http.server.BaseHTTPRequestHandler):
    """Return the request in the response; handles requests to an origin server and to a proxy."""

    server: OriginServer

    def do_GET(self):
        body = f"{self.server.name} {self.path} {self.headers.get('Proxy-Authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        self.server.connected.append((self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"through")

    def log_message(self, *_):
        pass


@pytest.fixture
def origin():
    """Return a function that starts a server on loopback."""
    started = []

    def start(name):
        server = OriginServer(name)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def proxy():
    """Return a function that starts a proxy."""
    started = []

    def start(*, internet=True, allowed=(), upstream=None):
        found = Proxy(internet=internet, allowed=allowed, upstream=upstream or {})
        found.start()
        started.append(found)
        return found

    yield start
    for found in started:
        found.stop()


def sent(proxy, text):
    """Send a request to a proxy and return the whole response."""
    with socket.create_connection(("127.0.0.1", int(proxy.url.rsplit(":", 1)[1])), 5) as client:
        client.sendall(text.encode())
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


REFUSED = [
    "bedrock.us-east-1.amazonaws.com",
    "s3.amazonaws.com.",
    "BEDROCK-RUNTIME.us-east-1.amazonaws.com",
    "bedrock-mantle.us-east-1.api.aws",
    "bedrock.cn-north-1.amazonaws.com.cn",
    "bedrock.eusc-de-east-1.amazonaws.eu",
    "api.openai.com",
    "mine.openai.azure.com",
    "mine.services.ai.azure.com",
    "d-1234567890.awsapps.com",
    "us-east-1.signin.aws.amazon.com",
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
]
PASSED = [
    "www.python.org",
    "example.org",
    "notamazonaws.com",
    "openai.com.example.org",
    "10.0.0.1",
]


def test_the_proxy_refuses_only_hosts_of_aws_openai_and_azure(proxy):
    started = proxy()
    assert [host for host in REFUSED if not started.refuses(host)] == []
    assert [host for host in PASSED if started.refuses(host)] == []
    assert not started.refuses("127.0.0.1")
    assert {"amazonaws.com", "api.aws", "openai.com"} <= list_refused_domains()


def test_without_internet_the_proxy_refuses_all_hosts_except_loopback(proxy):
    started = proxy(internet=False, allowed=["models.example.com"])
    assert [host for host in (*REFUSED, *PASSED) if not started.refuses(host)] == []
    assert not started.refuses("localhost")
    assert not started.refuses("Models.example.com")


@pytest.mark.parametrize("host", REFUSED[:1] + REFUSED[-5:-3])
def test_the_error_for_a_refused_host_contains_the_host(proxy, host):
    for request in (
        f"CONNECT {host}:443 HTTP/1.1\r\n\r\n",
        f"GET http://{host}/x HTTP/1.1\r\n\r\n",
    ):
        answer = sent(proxy(), request)
        assert answer.startswith("HTTP/1.1 403 ")
        assert f"the Tunestack sandbox refuses connections to {host}" in answer


def test_a_second_request_on_a_connection_does_not_reach_another_host(proxy, origin):
    server = origin("first")
    here = f"http://127.0.0.1:{server.server_port}"
    there = "GET http://s3.amazonaws.com/ HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n"
    answer = sent(proxy(), f"GET {here}/a HTTP/1.1\r\nHost: x\r\n\r\n{there}")
    assert answer.startswith("HTTP/1.")
    assert "first /a None" in answer
    # The request reached the first host or none, but not the second.
    assert answer.count("HTTP/1.") == 1 or "first" in answer.partition("first")[2]


def test_a_tunnel_forwards_bytes_in_both_directions(proxy, origin):
    port = origin("inside").server_port
    request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nGET /b HTTP/1.0\r\n\r\n"
    answer = sent(proxy(), request)
    assert "200 Connection established" in answer
    assert "inside /b None" in answer


def test_other_hosts_are_reached_through_the_proxy_of_the_environment(proxy, origin):
    before = origin("before")
    url = f"http://user:p%40ss@127.0.0.1:{before.server_port}"
    started = proxy(upstream={"http": url, "https": url, "no": "invalid"})
    login = "Basic dXNlcjpwQHNz"
    answer = sent(started, "GET http://example.org/c?d HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert f"before http://example.org/c?d {login}" in answer
    assert "through" in sent(started, "CONNECT example.org:443 HTTP/1.1\r\n\r\n")
    assert before.connected == [("example.org:443", login)]
    assert "403" in sent(started, "CONNECT s3.amazonaws.com:443 HTTP/1.1\r\n\r\n")
    assert "502" in sent(started, "GET http://nothing.invalid/ HTTP/1.1\r\n\r\n")


def test_the_upstream_proxies_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    assert list_environment_proxies()["https"] == "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    "garbage", ["\r\n\r\n", "GET\r\n\r\n", "x" * 70000, "GET http://[ HTTP/1.1\r\n\r\n"]
)
def test_a_malformed_request_gets_status_400_or_closes_the_connection(proxy, garbage):
    assert sent(proxy(), garbage).partition(" ")[2][:3] in ("", "400")


def test_a_lambda_function_has_no_access_to_the_users_environment(sandbox, monkeypatch, tmp_path):
    """A Lambda function runs on the user's machine, without the home folder and the variables of the user."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "import os\ndef h(event, context): return dict(os.environ)\n")
    iam, functions = root(sandbox, "iam"), root(sandbox, "lambda")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName="sees",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    functions.create_function(
        FunctionName="sees",
        Runtime="python3.13",
        Handler="f.h",
        Role=role,
        Code={"ZipFile": code.getvalue()},
    )
    answer = functions.invoke(FunctionName="sees")
    functions.delete_function(FunctionName="sees")
    iam.delete_role(RoleName="sees")
    seen = json.loads(answer["Payload"].read())
    assert seen["AWS_ENDPOINT_URL_BEDROCK"] == sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"]
    assert seen["HOME"] != os.environ["HOME"]
    assert "tunestack-sandbox-" in seen["HOME"]
    assert "tunestack-sandbox-" in seen["AWS_CONFIG_FILE"]
    own = {"USER", "PYTEST_CURRENT_TEST", "PWD", "SHLVL", "UV_CACHE_DIR", "OLDPWD", "VIRTUAL_ENV"}
    assert own & seen.keys() == set()


def test_a_client_with_only_the_configuration_files_uses_the_sandbox(sandbox):
    names = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    code = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], "
        "boto3.client('bedrock').meta.endpoint_url)"
    )
    environment = {name: sandbox.variables()[name] for name in names}
    done = subprocess.run(
        [
            "env",
            "-i",
            *(f"{name}={value}" for name, value in environment.items()),
            sys.executable,
            "-c",
            code,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["123456789012", sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"]]


def test_the_metadata_service_returns_no_credentials(sandbox):
    fetcher = boto3.session.Session()._session.get_component("credential_provider")
    (metadata,) = [one for one in fetcher.providers if one.METHOD == "iam-role"]
    assert metadata.load() is None
    url = sandbox.variables()["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}latest/meta-data/iam/security-credentials/")
