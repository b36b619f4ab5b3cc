"""The pytest fixture: `def test_mine(tunestack_sandbox): ...`, and what keeps such a test in the sandbox."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tunestack_sandbox import Sandbox
    from tunestack_sandbox.isolation import Isolation

SPEED = 10_000.0
"""A job of two hours takes less than a second."""

_NAME = "tunestack_sandbox"
_ISOLATION = pytest.StashKey["Isolation"]()
_REST = 10.0
"""Seconds that a test's teardown waits for work that the test left behind."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings of a project."""
    parser.addini(
        "tunestack_allowed_hosts",
        "Hosts that connections are not refused to while the sandbox is active.",
        type="linelist",
        default=[],
    )
    parser.addini(
        "tunestack_isolation",
        "When connections that leave the machine are refused: in each `test` that uses the sandbox, or in the whole `session`.",
        default="test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to refuse connections, if they are to be refused in the whole session."""
    when = config.getini("tunestack_isolation")
    if when not in ("test", "session"):
        raise pytest.UsageError(f"tunestack_isolation = {when!r}: use test or session")
    if when == "session":
        _isolation(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Refuse nothing any more: the process may go on after pytest."""
    if _ISOLATION in config.stash:
        config.stash[_ISOLATION].always = False


def _isolation(config: pytest.Config) -> Isolation:
    # Every pytest run in the environment loads this file: most do not need it.
    from tunestack_sandbox.isolation import Isolation  # noqa: PLC0415

    if _ISOLATION not in config.stash:
        config.stash[_ISOLATION] = Isolation(
            config.getini("tunestack_allowed_hosts"),
            always=config.getini("tunestack_isolation") == "session",
        )
    return config.stash[_ISOLATION]


def _uses_sandbox(item: pytest.Item) -> bool:
    return _NAME in getattr(item, "fixturenames", ())


def pytest_itemcollected(item: pytest.Item) -> None:
    """Set up the sandbox before all else: `setUpClass` and other fixtures of the test may create clients."""
    if _uses_sandbox(item):
        names: list[str] = item.fixturenames  # type: ignore[attr-defined]
        names.sort(key=lambda name: name != _NAME)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep the process in the sandbox until all of a test is torn down, the fixtures of its class and module too."""
    if not _uses_sandbox(item):
        return (yield)
    isolation = _isolation(item.config)
    isolation.refused.clear()
    isolation.start()
    try:
        return (yield)
    finally:
        isolation.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Say in the report of a test that failed which connections were refused."""
    report = yield
    if _ISOLATION in item.config.stash and item.config.stash[_ISOLATION].refused and report.failed:
        hosts = sorted(set(item.config.stash[_ISOLATION].refused))
        report.sections.append(("Connections refused by the Tunestack sandbox", "\n".join(hosts)))
    return report


@pytest.fixture(scope="session")
def tunestack_sandbox_process() -> Iterator[Sandbox]:
    """One sandbox for the whole run; override it to start it otherwise."""
    from tunestack_sandbox import Sandbox  # noqa: PLC0415 - as above

    with Sandbox(speed=SPEED) as sandbox:
        yield sandbox


@pytest.fixture
def tunestack_sandbox(
    tunestack_sandbox_process: Sandbox, request: pytest.FixtureRequest
) -> Iterator[Sandbox]:
    """A sandbox with no jobs and no endpoints, and an environment in which every AWS client finds it."""
    sandbox, isolation = tunestack_sandbox_process, _isolation(request.config)
    isolation.start()
    try:
        sandbox.reset()
        isolation.enter(sandbox.variables(internet=False), pytest.MonkeyPatch())
        yield sandbox
        _finish_work()
    finally:
        isolation.stop()


def _finish_work() -> None:
    """Wait for what a test has started in the background and not waited for, and end what takes longer."""
    background: Any = sys.modules.get("tunestack._utils.background")
    if background is None or background.join(_REST):  # the SDK is not in use, or nothing is left
        return
    background.end()
    background.join(_REST)
