"""The pytest fixture: `def test_mine(tunestack_sandbox): ...`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.sandbox import Sandbox

SPEED = 10_000.0
"""A job of two hours takes less than a second."""


@pytest.fixture(scope="session")
def tunestack_sandbox_process() -> Iterator[Sandbox]:
    """One sandbox for the whole run; override it to start it otherwise."""
    # Every pytest run in the environment loads this file: most do not need the sandbox.
    from tunestack.sandbox import Sandbox  # noqa: PLC0415

    with Sandbox(speed=SPEED) as sandbox:
        yield sandbox


@pytest.fixture
def tunestack_sandbox(
    tunestack_sandbox_process: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    """A sandbox with no jobs and no endpoints, and an environment in which every AWS client finds it."""
    sandbox = tunestack_sandbox_process
    sandbox.reset()
    environment = sandbox.environment()
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return sandbox
