"""The processes of the sandbox end with it, and it does not connect to a real account."""

import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from tests.parameters import every
from tests.waiting import wait_until
from tunestack.errors import ConfigError, TunestackError
from tunestack_sandbox import Sandbox
from tunestack_sandbox.cleanup_process import PREFIX
from tunestack_sandbox.emulator import Emulator

PROGRAM = Path(sys.executable).with_name("tunestack")


def processes_with(text):
    """Return the IDs of processes whose environment or command line contains a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            content = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in content and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a temporary folder that only this test uses, so that remaining files belong to it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def left_of(place):
    """Return the remaining files and processes of sandboxes that used a temporary folder."""
    return [path.name for path in place.glob(f"{PREFIX}*")], processes_with(f"{place}")


def listens(url):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def test_a_stopped_sandbox_leaves_nothing_behind(place):
    with Sandbox(empty=True) as sandbox:
        variables = sandbox.variables()
        urls = {
            value
            for name, value in variables.items()
            if name.startswith("AWS_ENDPOINT_URL") or name == "HTTPS_PROXY"
        }
        assert len(urls) == 3
        assert all(map(listens, urls))
        folders, processes = left_of(place)
        assert (len(folders), len(processes) >= 2) == (1, True)
    assert left_of(place) == ([], [])
    assert not any(map(listens, urls))


def killed(place, seconds, *options):
    """Start a sandbox with a command, kill it after a delay, and return the remaining files and processes."""
    parent = subprocess.Popen(
        [PROGRAM, "sandbox", *options, "--", "sleep", "300"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(place)},
    )
    try:
        parent.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        parent.send_signal(signal.SIGKILL)
    assert parent.wait() == -signal.SIGKILL
    wait_until(lambda: left_of(place) == ([], []))
    return left_of(place)


def test_nothing_is_left_behind_after_the_parent_is_killed(place):
    """Kill before the start, during the start, and while the command runs."""
    for seconds in (0.1, 0.6, 2.0):
        assert killed(place, seconds, "--empty") == ([], []), seconds


@pytest.mark.campaign
def test_nothing_is_left_behind_after_fifty_killed_parents(place):
    dice = random.Random(50)
    found = [killed(place, dice.uniform(0.02, 4)) for _ in range(50)]
    assert found == [([], [])] * 50


def test_a_command_ends_with_a_sandbox_that_is_killed(place):
    mark = "import time; time.sleep(1); print('runs', flush=True); time.sleep(300)"
    parent = subprocess.Popen(
        [PROGRAM, "sandbox", "--empty", "--", sys.executable, "-c", mark],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "runs\n"
    assert processes_with("time.sleep(300)")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not processes_with("time.sleep(300)"))
    assert wait_until(lambda: left_of(place) == ([], []))


def signaled_at_the_start_of_the_command(place, number):
    """Run a sandbox that gets a signal when its command has just started, and return its exit code."""
    code = f"""
import os, subprocess, sys

class Interrupted(subprocess.Popen):
    def __init__(self, arguments, **options):
        super().__init__(arguments, **options)
        if arguments == ("sleep", "300"):
            os.kill(os.getpid(), {number:d})

subprocess.Popen = Interrupted
sys.argv[1:] = ["sandbox", "--empty", "--", "sleep", "300"]
from tunestack.cli import main; main()
"""
    environment = {**os.environ, "TMPDIR": str(place)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, timeout=120, check=False).returncode


def test_a_signal_while_the_command_starts_is_passed_to_it(place):
    code = signaled_at_the_start_of_the_command(place, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert left_of(place) == ([], [])


def test_a_command_ends_with_a_sandbox_that_is_killed_while_it_starts(place):
    assert signaled_at_the_start_of_the_command(place, signal.SIGKILL) == -signal.SIGKILL
    assert wait_until(lambda: left_of(place) == ([], []))


@contextmanager
def starting(place, before=""):
    """Start `tunestack sandbox` after some Python code, and stop it at the end of the test."""
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{before}\nfrom tunestack.cli import main; main()", "sandbox"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    with parent:
        try:
            yield parent
        finally:
            parent.kill()


@pytest.mark.parametrize("number", every(3, [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]))
def test_nothing_is_left_behind_after_an_interrupted_start(place, number):
    with starting(place) as parent:
        assert wait_until(lambda: left_of(place)[0])
        parent.send_signal(number)
        _, words = parent.communicate(timeout=30)
    assert ("interrupted; the sandbox was stopped" in words) == (number == signal.SIGINT)
    # Python itself reports an interrupt during a callback.
    assert words.count("Traceback") == words.count("Exception ignored in")
    assert wait_until(lambda: left_of(place) == ([], []))


def test_an_interrupt_that_python_loses_stops_the_sandbox(place):
    """Interrupt in a finalizer, after the first process has started."""
    before = """
import signal, sys

class Ends:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

held = [Ends()]
sys.addaudithook(lambda event, _: held.clear() if event == "subprocess.Popen" else None)
"""
    with starting(place, before) as parent:
        _, words = parent.communicate(timeout=60)
    assert "Exception ignored in: <function Ends.__del__" in words
    assert "interrupted; the sandbox was stopped" in words
    assert parent.returncode == 130
    assert wait_until(lambda: left_of(place) == ([], []))


def test_signals_ignored_by_nohup_are_ignored(place):
    parent = subprocess.Popen(
        ["nohup", PROGRAM, "sandbox", "--empty"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    with parent:
        assert parent.stderr is not None
        assert "is running" in parent.stderr.readline()
        status = Path(f"/proc/{parent.pid}/status").read_text()
        (ignored,) = (line.split()[1] for line in status.splitlines() if "SigIgn" in line)
        parent.send_signal(signal.SIGHUP)
        parent.send_signal(signal.SIGTERM)
    assert int(ignored, 16) >> (signal.SIGHUP - 1) & 1
    assert parent.returncode == 0
    assert wait_until(lambda: left_of(place) == ([], []))


def test_the_leftover_check_detects_leftovers(place):
    """A folder and a process that are not removed are detected."""
    (place / f"{PREFIX}left").mkdir()
    process = subprocess.Popen(["sleep", "300"], env={"TMPDIR": str(place)})
    try:
        assert ([f"{PREFIX}left"], [process.pid]) == left_of(place)
    finally:
        process.kill()
        process.wait()


def test_concurrent_sandboxes_are_independent(place):
    with Sandbox(empty=True) as one, Sandbox(empty=True) as other:
        for sandbox in (one, other):
            session = boto3.Session("123456789012", "sandbox", region_name="us-east-1")
            url = sandbox.variables()["AWS_ENDPOINT_URL"]
            sqs = session.client("sqs", endpoint_url=url)
            assert not sqs.list_queues().get("QueueUrls")
            sqs.create_queue(QueueName="mine")
    assert left_of(place) == ([], [])


def test_everything_listens_on_loopback_only(sandbox):
    """Check the kernel's list of listening sockets of the sandbox's processes."""
    ports = {
        int(value.rsplit(":", 1)[1])
        for name, value in sandbox.variables().items()
        if name.startswith("AWS_ENDPOINT_URL") or name == "HTTPS_PROXY"
    }
    found = set()
    for family in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            address, port = row.split()[1].split(":")
            if row.split()[3] == "0A" and int(port, 16) in ports:
                found.add((address, int(port, 16)))
    assert {("0100007F", port) for port in ports} == found


def test_the_environment_leads_to_no_real_account(sandbox, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.com")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example.com")
    environment = sandbox.environment()
    assert environment.keys().isdisjoint(
        {
            "ALL_PROXY",
            "AWS_ENDPOINT_URL_S3",
            "AWS_PROFILE",
            "AWS_SESSION_TOKEN",
            "AZURE_OPENAI_API_KEY",
        }
    )
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert "[default]" in Path(environment[name]).read_text()
    for name, value in environment.items():
        if "ENDPOINT" in name or name.endswith(("BASE_URL", "HTTPS_PROXY", "https_proxy")):
            assert value.startswith("http://127.0.0.1:"), name


def test_the_sandbox_is_reached_without_the_proxy_of_the_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Sandbox() as sandbox:
        assert sandbox.deployment().region == "us-east-1"


def test_the_error_of_a_failed_emulator_start_has_the_cause(tmp_path):
    emulator = Emulator(account="123456789012", speed=1, tls=False)
    emulator.start(tmp_path, {"PYTHONHOME": "/nowhere"})
    with pytest.raises(TunestackError, match="did not start"):
        emulator.wait()


def test_a_stopped_emulator_is_reported(place):
    with Sandbox(empty=True) as sandbox:
        urllib.request.urlopen(f"{sandbox.admin_url}/state").close()
        (folder,), _ = left_of(place)
        for pid in processes_with(f"TMPDIR={place / folder}"):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(TunestackError, match="has ended"):
            sandbox.clock.advance(1)


def test_open_connections_are_closed_on_stop():
    """A function may have started a request when the sandbox stops MiniStack."""
    credential = "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/bedrock/aws4_request"
    with Sandbox(empty=True) as sandbox:
        port = int(sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"].rsplit(":", 1)[1])
        asks = socket.create_connection(("127.0.0.1", port))
        asks.sendall(
            "GET /model-customization/custom-model-deployments HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {credential}\r\nContent-Length: 2\r\n\r\n{{".encode()
        )
        # A response on a later connection shows that the earlier one was accepted.
        urllib.request.urlopen(f"{sandbox.admin_url}/state").close()
    with asks:
        asks.sendall(b"}")
        assert asks.recv(1024) == b""
    assert (sandbox.traffic.requests, sandbox.traffic.violations) == (1, [])


def test_a_sandbox_that_was_never_started_can_be_stopped():
    Sandbox(empty=True).stop()


def test_a_region_without_a_stage_is_rejected():
    with pytest.raises(ConfigError, match="use us-east-1 or us-west-2"):
        Sandbox(region="eu-west-1")


def test_pytest_runs_where_the_sandbox_is_not_installed(tmp_path):
    """pytest loads the plugin in every environment that has the package."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_x.py").write_text("def test_x(): pass\n")
    code = (
        "import sys\n"
        "for name in ('werkzeug', 'ministack', 'boto3', 'botocore'): sys.modules[name] = None\n"
        "import pytest\n"
        "sys.exit(pytest.main(['-p', 'no:cacheprovider']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
