"""Settings of the pytest plugin, each tested in a separate project."""

import os
import subprocess
import sys

import pytest

from tunestack_sandbox.isolation import Isolation

TESTS = """
import os, socket
import pytest
from tunestack.errors import IsolationError


def refused():
    try:
        socket.getaddrinfo("192.0.2.1", 443)  # an IP address: no DNS query
    except IsolationError:
        return True
    return False


def test_without_the_sandbox():
    assert refused() is {session}
    assert os.environ["AWS_PROFILE"] == "real"


def test_in_the_sandbox(tunestack_sandbox):
    assert refused()
    assert "AWS_PROFILE" not in os.environ


def test_by_name(request):
    request.getfixturevalue("tunestack_sandbox")
    assert refused()
    assert "AWS_PROFILE" not in os.environ


def test_after_it():
    assert refused() is {session}
    assert os.environ["AWS_PROFILE"] == "real"
"""


def run(folder, settings, text="def test_it(): pass\n"):
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    (folder / "test_it.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "AWS_PROFILE": "real", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("isolation", ["test", "session"])
def test_connections_are_refused_when_the_setting_says(tmp_path, isolation):
    text = TESTS.format(session=isolation == "session")
    done = run(tmp_path, f"tunestack_isolation = {isolation}", text)
    assert "4 passed" in done.stdout, done.stdout


def test_an_unknown_setting_is_refused(tmp_path):
    done = run(tmp_path, "tunestack_isolation = module")
    assert done.returncode == 4
    assert "tunestack_isolation = 'module': use test or session" in done.stderr


def test_the_report_of_a_failed_test_lists_the_hosts_that_are_not_allowed(tmp_path):
    text = (
        "import socket\n"
        "def test_refused(): socket.getaddrinfo('192.0.2.7', 80)\n"
        "def test_allowed(): socket.getaddrinfo('192.0.2.8', 80)\n"
    )
    settings = "tunestack_isolation = session\ntunestack_allowed_hosts =\n  192.0.2.8"
    done = run(tmp_path, settings, text)
    assert "1 failed, 1 passed" in done.stdout
    assert "192.0.2.7" in done.stdout.partition("Connections refused by the Tunestack sandbox")[2]


def test_the_addresses_of_an_allowed_name_are_allowed():
    isolation = Isolation(["Localhost"])
    isolation._record_addresses(lambda *_: [(0, 0, 0, "", ("192.0.2.8", 80))])("localhost", 80)
    assert isolation._is_allowed("192.0.2.8")
    assert not isolation._is_allowed("192.0.2.9")
