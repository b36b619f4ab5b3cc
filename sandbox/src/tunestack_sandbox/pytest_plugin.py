"""The pytest plug-in: the fixture `tunestack_sandbox`, and the isolation of the tests that use it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tunestack_sandbox import Sandbox
    from tunestack_sandbox.isolation import Isolation

SPEED = 10_000.0
"""The speed of the sandbox, at which a job of two hours takes less than a second."""

_FIXTURE = "tunestack_sandbox"
_ISOLATION = pytest.StashKey["Isolation"]()
_BACKGROUND_TIMEOUT = 10.0
"""Seconds that the teardown waits for background work of a test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    parser.addini(
        "tunestack_allowed_hosts",
        "Hosts to which connections are allowed while the sandbox is active.",
        type="linelist",
        default=[],
    )
    parser.addini(
        "tunestack_isolation",
        "When connections to other machines are refused: in each `test` that uses the sandbox, or in the whole `session`.",
        default="test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to refuse connections, if the whole session is isolated."""
    scope = config.getini("tunestack_isolation")
    if scope not in ("test", "session"):
        raise pytest.UsageError(f"invalid tunestack_isolation = {scope!r}: use test or session")
    if scope == "session":
        _get_isolation(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Allow connections again: the process may continue after pytest."""
    if _ISOLATION in config.stash:
        config.stash[_ISOLATION].always = False


def _get_isolation(config: pytest.Config) -> Isolation:
    # Every pytest run in the environment imports this module, and most do not need the sandbox.
    from tunestack_sandbox.isolation import Isolation  # noqa: PLC0415

    if _ISOLATION not in config.stash:
        config.stash[_ISOLATION] = Isolation(
            config.getini("tunestack_allowed_hosts"),
            always=config.getini("tunestack_isolation") == "session",
        )
    return config.stash[_ISOLATION]


def _uses_sandbox(item: pytest.Item) -> bool:
    return _FIXTURE in getattr(item, "fixturenames", ())


def pytest_itemcollected(item: pytest.Item) -> None:
    """Set up the sandbox first: `setUpClass` and other fixtures of the test may create clients."""
    if _uses_sandbox(item):
        names: list[str] = item.fixturenames  # type: ignore[attr-defined]
        names.sort(key=lambda name: name != _FIXTURE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Isolate the process until a test is torn down, together with the fixtures of its class and module."""
    if not _uses_sandbox(item):
        return (yield)
    isolation = _get_isolation(item.config)
    isolation.refused.clear()
    isolation.start()
    try:
        return (yield)
    finally:
        isolation.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add the refused connections to the report of a failed test."""
    report = yield
    if _ISOLATION in item.config.stash and item.config.stash[_ISOLATION].refused and report.failed:
        hosts = sorted(set(item.config.stash[_ISOLATION].refused))
        report.sections.append(("Connections refused by the Tunestack sandbox", "\n".join(hosts)))
    return report


@pytest.fixture(scope="session")
def tunestack_sandbox_process() -> Iterator[Sandbox]:
    """The sandbox of the whole run. Override this fixture to change its arguments."""
    from tunestack_sandbox import Sandbox  # noqa: PLC0415 - as above

    with Sandbox(speed=SPEED) as sandbox:
        yield sandbox


@pytest.fixture
def tunestack_sandbox(
    tunestack_sandbox_process: Sandbox, request: pytest.FixtureRequest
) -> Iterator[Sandbox]:
    """A sandbox without jobs and endpoints, and an environment in which AWS and OpenAI clients use it."""
    sandbox, isolation = tunestack_sandbox_process, _get_isolation(request.config)
    isolation.start()
    try:
        sandbox.reset()
        isolation.enter(sandbox.variables(internet=False), pytest.MonkeyPatch())
        yield sandbox
        _finish_background_work()
    finally:
        isolation.stop()


def _finish_background_work() -> None:
    """Wait for background work that a test did not wait for, and stop it after a timeout."""
    background: Any = sys.modules.get("tunestack._utils.background")
    if background is None or background.join(_BACKGROUND_TIMEOUT):
        return
    background.end()
    background.join(_BACKGROUND_TIMEOUT)
