"""What the sandbox starts ends with it, and it leads to no real account."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tunestack.errors import TunestackError
from tunestack.sandbox import Sandbox
from tunestack.sandbox.emulator import Emulator


def processes_with(text):
    """Tell the ids of the processes whose environment or command line has a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            content = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in content and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def test_nothing_is_left_when_it_ends():
    before = set(Path(tempfile.gettempdir()).iterdir())
    with Sandbox(empty=True) as sandbox:
        folder = sandbox.variables()["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]
        assert processes_with(f"GATEWAY_PORT={folder}")
    assert [] == processes_with(f"GATEWAY_PORT={folder}")
    left = set(Path(tempfile.gettempdir()).iterdir()) - before
    assert [] == [path for path in left if path.name.startswith("tunestack-sandbox-")]


def test_nothing_runs_on_when_the_parent_is_killed():
    code = (
        "from tunestack.sandbox import Sandbox\n"
        "sandbox = Sandbox(empty=True).start()\n"
        "print(sandbox.variables()['AWS_ENDPOINT_URL'], flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    port = parent.stdout.readline().strip().rsplit(":", 1)[1]
    assert len(processes_with(f"GATEWAY_PORT={port}")) >= 1
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 10
    while processes_with(f"GATEWAY_PORT={port}") and time.monotonic() < deadline:
        pass
    assert [] == processes_with(f"GATEWAY_PORT={port}")


def test_the_environment_leads_to_no_real_account(sandbox, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.com")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    environment = sandbox.environment()
    assert environment.keys().isdisjoint(
        {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "HTTPS_PROXY"}
    )
    assert os.devnull == environment["AWS_CONFIG_FILE"]
    assert all(
        value.startswith("http://127.0.0.1:")
        for name, value in environment.items()
        if "ENDPOINT" in name
    )


def test_an_emulator_that_does_not_start_says_why(tmp_path):
    emulator = Emulator(account="123456789012", tls=False)
    emulator.start(tmp_path, {"PYTHONHOME": "/nowhere"})
    with pytest.raises(TunestackError, match="did not start"):
        emulator.wait()


def test_a_sandbox_that_was_never_started_can_be_stopped():
    Sandbox(empty=True).stop()


def test_pytest_runs_where_the_sandbox_is_not_installed(tmp_path):
    """The plugin is loaded in every run of an environment that has the package."""
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
    assert 0 == done.returncode, done.stdout
    assert "1 passed" in done.stdout
