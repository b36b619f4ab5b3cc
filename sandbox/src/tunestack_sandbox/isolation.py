"""Keeps one process in the sandbox: its environment, its connections, and the processes that it starts.

Layers, each for what the ones before it do not cover:

1. The environment: clients that are created meanwhile find the sandbox and no credentials of a real account.
2. What was made before and is shared: boto3's default session, DSPy's cache, the server that multiprocessing forks from.
3. An explicit `env=` of `subprocess`: an environment without endpoints on loopback gets those of the sandbox.
4. Connections: those that would leave this machine are refused, whoever makes them.
"""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunestack.errors import IsolationError
from tunestack_sandbox.loopback import is_loopback
from tunestack_sandbox.variables import without_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pytest

_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_CACHE = "cache"


class Isolation:
    """Keeps the process in a sandbox between `start` and `stop`, which nest; `enter` makes the sandbox known."""

    def __init__(self, allowed: Collection[str], *, always: bool = False) -> None:
        """Keep the settings; connections are refused from now on if they always are.

        Args:
            allowed: hosts, as names or addresses, that connections are not refused to.
            always: refuse connections before `start` and after `stop`, too.
        """
        self.refused: list[str] = []
        """The hosts that connections were refused to."""
        self._allowed = frozenset(name.lower() for name in allowed)
        self._resolved: set[str] = set()
        self._depth = 0
        self.always = always
        self._hooked = False
        self._undo: pytest.MonkeyPatch | None = None
        self._cache: object = None
        if always:
            self._hook()

    def start(self) -> None:
        """Refuse connections that would leave this machine, from now on."""
        self._depth += 1
        self._hook()

    def enter(self, variables: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
        """Replace the environment, and what was made from the one before.

        Args:
            variables: those that have to be set for clients to find the sandbox.
            patch: an object of its own: a test that undoes the changes of its `monkeypatch` undoes none of these.
        """
        self._leave()
        self._undo = patch
        for name in os.environ.keys() - without_accounts(os.environ).keys():
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        if "boto3" in sys.modules:
            patch.setattr("boto3.DEFAULT_SESSION", None)
        popen = subprocess.Popen.__init__
        patch.setattr("subprocess.Popen.__init__", _isolated(popen, variables))
        patch.setattr("socket.getaddrinfo", self._recorded(socket.getaddrinfo))
        _stop_fork_server()
        self._cache = _replace_dspy_cache()

    def stop(self) -> None:
        """Give back the environment, and refuse no more connections, at the outermost of several."""
        self._depth -= 1
        if not self._depth:
            self._leave()

    def _leave(self) -> None:
        patch, self._undo = self._undo, None
        if patch is not None:
            patch.undo()
            _stop_fork_server()
            _restore_dspy_cache(self._cache)

    def _hook(self) -> None:
        if not self._hooked:  # Python has no way to remove one
            sys.addaudithook(self._check)
            self._hooked = True

    def _check(self, event: str, args: tuple[Any, ...]) -> None:
        """Take part in what Python does: called for every event of the process, so the first lines are the quick ones."""
        if not (self._depth or self.always):
            return
        if event in _CONNECTS:
            address = args[1]
            host = address[0] if isinstance(address, tuple) and address else None
        elif event == "socket.getaddrinfo":
            host = args[0]
        else:
            return
        if isinstance(host, bytes | bytearray):
            host = host.decode("latin-1")
        if isinstance(host, str) and not self._is_allowed(host):
            self.refused.append(host)
            raise IsolationError(
                f"connection to {host!r} refused: the Tunestack sandbox is active, and this would leave the machine. "
                "Create the client while the sandbox is active, or add the host to the pytest option tunestack_allowed_hosts"
            )

    def _is_allowed(self, host: str) -> bool:
        return (
            not host
            or is_loopback(host)
            or host.lower() in self._allowed
            or host in self._resolved
            or host == socket.gethostname()
        )

    def _recorded(self, resolve: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `socket.getaddrinfo`: the addresses of an allowed name are allowed, too."""

        @wraps(resolve)
        def recorded(host: Any, *args: Any, **kwargs: Any) -> Any:
            rows = resolve(host, *args, **kwargs)
            name = host.decode("latin-1") if isinstance(host, bytes | bytearray) else host
            if isinstance(name, str) and name.lower() in self._allowed:
                self._resolved.update(row[4][0] for row in rows)
            return rows

        return recorded


def _isolated(init: Callable[..., None], variables: Mapping[str, str]) -> Callable[..., None]:
    """Wrap `subprocess.Popen.__init__`: an explicit environment that leads elsewhere is replaced by the sandbox's."""
    signature = inspect.signature(init)

    @wraps(init)
    def isolated(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments.get("env")
        if given is not None:
            bound.arguments["env"] = _with_sandbox(given, variables)
        init(*bound.args, **bound.kwargs)

    return isolated


def _with_sandbox(given: Mapping[Any, Any], variables: Mapping[str, str]) -> dict[str, str]:
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()}
    endpoints = [
        value for name, value in environment.items() if name.startswith("AWS_ENDPOINT_URL")
    ]
    if endpoints and all("//127.0.0.1" in value for value in endpoints):
        return environment  # of this sandbox or of another one; its credentials may be a test's own
    return {**without_accounts(environment), **variables}


def _stop_fork_server() -> None:
    """Let multiprocessing start another server to fork from: a running one keeps the environment that it was started in."""
    module = sys.modules.get("multiprocessing.forkserver")
    if module is not None:
        module._forkserver._stop()  # noqa: SLF001 - there is no public way


def _replace_dspy_cache() -> object:
    """Give DSPy an empty cache in memory: answers of the sandbox and of real models must not be mistaken for each other.

    Returns:
        The cache that it had; `None` if it had none yet.
    """
    dspy: Any = sys.modules.get("dspy")
    if dspy is None:
        return None
    before = vars(dspy).get(_CACHE)
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    return before


def _restore_dspy_cache(before: object) -> None:
    """Undo `_replace_dspy_cache`, also where DSPy was imported since."""
    dspy: Any = sys.modules.get("dspy")
    if dspy is None:
        return
    if before is not None:
        dspy.cache = before
    elif hasattr(dspy, "__getattr__"):  # from dspy 3.4 on it is created when it is first used
        vars(dspy).pop(_CACHE, None)
    else:
        folder = os.environ.get("DSPY_CACHEDIR") or Path.home() / ".dspy_cache"
        dspy.configure_cache(disk_cache_dir=str(folder))
