"""DSPy's cache separates responses of the sandbox from those of real models."""

import os
import subprocess
import sys

import dspy
import pytest

from tunestack_sandbox.isolation import Isolation

ASK = """
import dspy, sys
lm = dspy.LM("bedrock/us.amazon.nova-micro-v1:0")
print(lm("Where is my parcel?")[0])
print(bool(lm.history[-1]["response"].cache_hit) if hasattr(lm.history[-1]["response"], "cache_hit") else False)
"""


@pytest.mark.campaign
def test_a_command_does_not_use_the_cache_of_the_user(sandbox, tmp_path):
    """DSPy's cache outside the sandbox is neither read nor written."""
    outside = {**os.environ, "HOME": str(tmp_path), "DSPY_CACHEDIR": str(tmp_path / "given")}
    inside = {**outside, **sandbox.variables()}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=inside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture
def cached(tmp_path):
    """Configure DSPy with a cache on disk, like an application before its tests."""
    before = dspy.cache
    dspy.configure_cache(disk_cache_dir=str(tmp_path))
    yield dspy.cache
    dspy.cache = before


def test_the_fixture_replaces_and_restores_the_cache(cached):
    request = {"model": "bedrock/x", "messages": [{"role": "user", "content": "Hello"}]}
    cached.put(request, "real")
    assert dspy.cache.get(request) == "real"
    isolation = Isolation([])
    isolation.start()
    isolation.enter({}, pytest.MonkeyPatch())
    assert dspy.cache.get(request) is None
    dspy.cache.put(request, "of the sandbox")
    assert dspy.cache.get(request) == "of the sandbox"
    isolation.stop()
    assert dspy.cache is cached
    assert dspy.cache.get(request) == "real"


def test_dspy_imported_in_the_sandbox_gets_a_cache_of_its_own_afterwards():
    """Use a separate process, in which DSPy is imported between the setup and teardown of the fixture."""
    code = """
import os, sys, pytest
from tunestack_sandbox.isolation import Isolation
isolation = Isolation([])
isolation.start()
isolation.enter({"DSPY_CACHEDIR": os.environ["SANDBOX_CACHE"]}, pytest.MonkeyPatch())
import dspy
inside = dspy.cache
isolation.stop()
print(inside.disk_cache_dir, dspy.cache.disk_cache_dir)
"""
    environment = {**os.environ, "DSPY_CACHEDIR": "real-cache", "SANDBOX_CACHE": "sandbox-cache"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=os.environ.get("TMPDIR", "/tmp"),
    )
    assert done.stdout.split() == ["sandbox-cache", "real-cache"], done.stderr
