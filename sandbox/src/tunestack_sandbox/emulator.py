"""MiniStack, which is all of AWS but Bedrock: a process of its own, started, asked and ended from here."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.errors import TunestackError
from tunestack_sandbox import emulator_process
from tunestack_sandbox.loopback import LOOPBACK
from tunestack_sandbox.remains import close_in_children

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

START_TIMEOUT = 60.0
"""Seconds until MiniStack must answer; it takes one or two."""


class Emulator:
    """A running MiniStack."""

    def __init__(self, *, account: str, tls: bool) -> None:
        """Bind a free port; `start` begins to answer.

        Args:
            account: the account of access keys that name none.
            tls: serve HTTPS, and enforce IAM: buckets that refuse plain HTTP leave no other way.
        """
        self._account = account
        self._tls = tls
        self._socket = socket.create_server((LOOPBACK, 0))
        self._port: int = self._socket.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None
        self._log: Path
        self._line = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self._port}"

    def start(self, folder: Path, environment: Mapping[str, str]) -> int:
        """Start it; returns the id of its process group.

        Args:
            folder: for its log, its certificate and whatever else it keeps.
            environment: for it and for what runs inside it, Lambda functions for one.
        """
        self._log = folder / "ministack.log"
        with self._log.open("wb") as output, self._socket:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                [sys.executable, "-m", emulator_process.__name__, str(self._socket.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
                pass_fds=(self._socket.fileno(),),
                env={
                    **environment,
                    "GATEWAY_PORT": str(self._port),
                    "MINISTACK_ACCOUNT_ID": self._account,
                    "LOG_LEVEL": "WARNING",
                    "TMPDIR": str(folder),
                    # Neither is of use here, and both would open further ports.
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    **({"AUTH": "true", "USE_SSL": "1"} if self._tls else {}),
                },
            )
        close_in_children(self._process)
        return self._process.pid

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            TunestackError: it ended, or does not answer; says what it said.
        """
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname = False  # its certificate is made while this waits
        anyone.verify_mode = ssl.CERT_NONE
        directly = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anyone)
        )
        try:
            # The socket listens already: this is answered once MiniStack is there to take it.
            with directly.open(f"{self.url}/_ministack/health", timeout=START_TIMEOUT):
                return
        except OSError as error:
            self.stop()
            words = self._log.read_text(errors="replace")[-2000:]
            raise TunestackError(
                f"the sandbox's AWS (MiniStack) did not start:\n{words}"
            ) from error

    def reset(self) -> None:
        """Forget everything."""
        self._ask("reset")

    def forget_schedules(self) -> None:
        """Forget every schedule, and keep the groups that they were in."""
        self._ask("forget-schedules")

    def turn_clock(self, ahead: timedelta) -> None:
        """Set its clock ahead of the real one, and fire the schedules that are due by it."""
        self._ask("clock", ahead=ahead.total_seconds())

    def send_event(self, account: str, region: str, entry: Mapping[str, Any]) -> None:
        """Send an event as an AWS service does: to the rules that match it, and on to their targets."""
        self._ask("event", account=account, region=region, entry=entry)

    def credential(self, access_key: str, token: str | None) -> dict[str, Any]:
        """Tell whose an access key is: its principal, or `error` and `message`."""
        found: dict[str, Any] = self._ask(
            "credential", access_key=access_key, account=self._account, token=token
        )
        return found

    def api_key(self, token: str) -> dict[str, Any]:
        """Return the principal of a long-term API key of Bedrock, or the `error`."""
        found: dict[str, Any] = self._ask("api-key", token=token)
        return found

    def _ask(self, what: str, **how: Any) -> Any:
        """Let the process do what no AWS API can do."""
        with self._line:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise TunestackError("the sandbox's AWS (MiniStack) is stopped")
            try:
                process.stdin.write(json.dumps({"do": what, **how}) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError as error:
                raise TunestackError(f"the sandbox's AWS (MiniStack) is gone: {error}") from error
        answer = json.loads(line or '{"failed": "it ended"}')
        if "failed" in answer:
            raise TunestackError(
                f"the sandbox's AWS (MiniStack) can't do {what}: {answer['failed']}"
            )
        return answer["result"]

    def stop(self) -> None:
        """End it and whatever it started."""
        with self._line:
            process, self._process = self._process, None
        self._socket.close()
        if process is None or process.stdin is None or process.stdout is None:
            return
        with suppress(BrokenPipeError):  # it is gone, and what was written last with it
            process.stdin.close()  # which it takes as its end
        process.stdout.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
