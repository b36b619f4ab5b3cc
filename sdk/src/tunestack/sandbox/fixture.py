"""The pytest fixture: `def test_mine(tunestack_sandbox): ...`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tunestack.sandbox.environment import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def tunestack_sandbox_process() -> Iterator[Sandbox]:
    """One sandbox for the whole run."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def tunestack_sandbox(
    tunestack_sandbox_process: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """A sandbox with no jobs and no endpoints, and an environment in which every AWS client finds it."""
    sandbox = tunestack_sandbox_process
    sandbox.reset()
    environment = sandbox.environment()
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return iter((sandbox,))
