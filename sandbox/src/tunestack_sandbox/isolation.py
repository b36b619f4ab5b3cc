"""Isolation of one process in the sandbox: its environment, its connections, and the processes that it starts.

Each layer covers cases that the layers before it miss:

1. The environment: new clients find the sandbox, and no credentials of a real account.
2. Shared objects from before: boto3's default session, DSPy's cache, multiprocessing's fork server.
3. An explicit `env=` of `subprocess`: an environment without endpoints on loopback gets those of the sandbox.
4. Connections: all connections to other machines are refused.
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
from tunestack_sandbox.addresses import is_loopback
from tunestack_sandbox.environment_variables import without_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pytest

_CONNECT_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_CACHE_ATTRIBUTE = "cache"


class Isolation:
    """Isolates the process between `start` and `stop`, which can be nested; `enter` sets the sandbox's environment."""

    def __init__(self, allowed: Collection[str], *, always: bool = False) -> None:
        """Initialize the isolation.

        Args:
            allowed: The names or addresses of hosts to which connections are allowed.
            always: Refuse connections before `start` and after `stop`, too.
        """
        self.refused: list[str] = []
        """The hosts to which connections were refused."""
        self._allowed = frozenset(name.lower() for name in allowed)
        self._resolved: set[str] = set()
        self._depth = 0
        self.always = always
        self._is_hooked = False
        self._undo: pytest.MonkeyPatch | None = None
        self._cache: object = None
        if always:
            self._add_audit_hook()

    def start(self) -> None:
        """Begin to refuse connections to other machines."""
        self._depth += 1
        self._add_audit_hook()

    def enter(self, variables: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
        """Set the sandbox's environment, and replace shared objects that were created in the environment before.

        Args:
            variables: The variables of the sandbox.
            patch: A separate object, so that a test that undoes its `monkeypatch` does not undo this.
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
        patch.setattr("subprocess.Popen.__init__", _isolate_popen(popen, variables))
        patch.setattr("socket.getaddrinfo", self._record_addresses(socket.getaddrinfo))
        _stop_fork_server()
        self._cache = _replace_dspy_cache()

    def stop(self) -> None:
        """Restore the environment and allow connections, unless calls are nested."""
        self._depth -= 1
        if not self._depth:
            self._leave()

    def _leave(self) -> None:
        patch, self._undo = self._undo, None
        if patch is not None:
            patch.undo()
            _stop_fork_server()
            _restore_dspy_cache(self._cache)

    def _add_audit_hook(self) -> None:
        if not self._is_hooked:  # Python can't remove audit hooks
            sys.addaudithook(self._audit)
            self._is_hooked = True

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Handle an audit event. Python calls this for every event of the process, so most calls must return early."""
        if not (self._depth or self.always):
            return
        if event in _CONNECT_EVENTS:
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
                f"connection to {host!r} refused: the Tunestack sandbox is active and allows connections to this "
                "machine only. Create the client while the sandbox is active, or add the host to the pytest option "
                "tunestack_allowed_hosts"
            )

    def _is_allowed(self, host: str) -> bool:
        return (
            not host
            or is_loopback(host)
            or host.lower() in self._allowed
            or host in self._resolved
            or host == socket.gethostname()
        )

    def _record_addresses(self, resolve: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `socket.getaddrinfo`, to allow the addresses of allowed names."""

        @wraps(resolve)
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            rows = resolve(host, *args, **kwargs)
            name = host.decode("latin-1") if isinstance(host, bytes | bytearray) else host
            if isinstance(name, str) and name.lower() in self._allowed:
                self._resolved.update(row[4][0] for row in rows)
            return rows

        return getaddrinfo


def _isolate_popen(init: Callable[..., None], variables: Mapping[str, str]) -> Callable[..., None]:
    """Wrap `subprocess.Popen.__init__`, to add the sandbox's variables to an explicit environment without them."""
    signature = inspect.signature(init)

    @wraps(init)
    def isolated_init(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        environment = bound.arguments.get("env")
        if environment is not None:
            bound.arguments["env"] = _add_variables(environment, variables)
        init(*bound.args, **bound.kwargs)

    return isolated_init


def _add_variables(original: Mapping[Any, Any], variables: Mapping[str, str]) -> dict[str, str]:
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in original.items()}
    endpoints = [
        value for name, value in environment.items() if name.startswith("AWS_ENDPOINT_URL")
    ]
    if endpoints and all("//127.0.0.1" in value for value in endpoints):
        return environment  # of this sandbox or another one; the test may have set the credentials
    return {**without_accounts(environment), **variables}


def _stop_fork_server() -> None:
    """Stop multiprocessing's fork server, which has the environment in which it was started. The next use starts another."""
    module = sys.modules.get("multiprocessing.forkserver")
    if module is not None:
        module._forkserver._stop()  # noqa: SLF001 - no public API


def _replace_dspy_cache() -> object:
    """Give DSPy an empty cache in memory, to keep the answers of the sandbox and of real models apart.

    Returns:
        The cache before, or `None` if there was none.
    """
    dspy: Any = sys.modules.get("dspy")
    if dspy is None:
        return None
    cache = vars(dspy).get(_CACHE_ATTRIBUTE)
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    return cache


def _restore_dspy_cache(cache: object) -> None:
    """Undo `_replace_dspy_cache`, even if DSPy was imported after it."""
    dspy: Any = sys.modules.get("dspy")
    if dspy is None:
        return
    if cache is not None:
        dspy.cache = cache
    elif hasattr(dspy, "__getattr__"):  # dspy 3.4 and later create it on first use
        vars(dspy).pop(_CACHE_ATTRIBUTE, None)
    else:
        folder = os.environ.get("DSPY_CACHEDIR") or Path.home() / ".dspy_cache"
        dspy.configure_cache(disk_cache_dir=str(folder))
