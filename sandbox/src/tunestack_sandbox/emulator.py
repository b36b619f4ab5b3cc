"""The emulator of all AWS services except Bedrock: a process with MiniStack."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.errors import TunestackError
from tunestack_sandbox import emulator_process
from tunestack_sandbox.addresses import LOOPBACK
from tunestack_sandbox.cleanup import close_in_children

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from io import FileIO
    from pathlib import Path

    from tunestack_sandbox.emulator_metrics import Metric

START_TIMEOUT = 60.0
"""Seconds within which MiniStack must start. It takes one or two."""
_LOG_TAIL = 2000
_MAX_RUN_SECONDS = 60.0
"""Seconds of real time that the clock waits for executions, which may call functions that take long."""
_POLL_SECONDS = 0.002


class Emulator:
    """A process with MiniStack, and the commands to it that no AWS API has, see `emulator_process`."""

    def __init__(self, *, account: str, speed: float, tls: bool) -> None:
        """Bind a free port. `start` starts the process.

        Args:
            account: The account of unknown access keys.
            speed: The factor by which the waits of Step Functions are shorter than on AWS.
            tls: Serve HTTPS and enforce IAM. Buckets that deny plain HTTP require both.
        """
        self._account = account
        self._speed = speed
        self._tls = tls
        self._socket = socket.create_server((LOOPBACK, 0))
        self._port: int = self._socket.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None
        self._log: Path
        self._metrics: FileIO
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The URL of the emulator."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self._port}"

    def start(self, folder: Path, environment: Mapping[str, str]) -> int:
        """Start the process and return the id of its process group.

        Args:
            folder: The folder for its log, its certificate and its temporary files.
            environment: The environment of the process and of the Lambda functions in it.
        """
        self._log = folder / "ministack.log"
        metrics = folder / "metrics.jsonl"
        self._metrics = metrics.open("ab", buffering=0)
        with self._log.open("wb") as output, self._socket:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command
                [
                    *(sys.executable, "-m", emulator_process.__name__),
                    *(str(self._socket.fileno()), str(self._speed), str(metrics)),
                ],
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
                    # Both are unused, and would open other ports.
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    **({"AUTH": "true", "USE_SSL": "1"} if self._tls else {}),
                },
            )
        close_in_children(self._process)
        return self._process.pid

    def wait(self) -> None:
        """Wait until the emulator responds.

        Raises:
            TunestackError: It ended or does not respond. The message has the end of its log.
        """
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False  # the emulator is still creating its certificate
        unverified.verify_mode = ssl.CERT_NONE
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
        )
        try:
            # The socket is already listening: the request waits until MiniStack accepts it.
            with opener.open(f"{self.url}/_ministack/health", timeout=START_TIMEOUT):
                return
        except OSError as error:
            self.stop()
            log = self._log.read_text(errors="replace")[-_LOG_TAIL:]
            raise TunestackError(f"the sandbox's AWS (MiniStack) did not start:\n{log}") from error

    def reset(self) -> None:
        """Delete all resources."""
        self.run("reset")

    def delete_schedules(self) -> None:
        """Delete the schedules that delete endpoints."""
        self.run("delete-schedules")

    def record_metrics(
        self, account: str, region: str, at: float, model: str, metrics: Sequence[Metric]
    ) -> None:
        """Record metrics of Bedrock for a `ModelId`. CloudWatch has them from its next request on."""
        self._metrics.write(json.dumps([account, region, at, model, metrics]).encode() + b"\n")

    def delete_metrics(self) -> None:
        """Delete the metrics of Bedrock."""
        self._metrics.truncate(0)
        self.run("delete-metrics")

    def set_clock(self, ahead: timedelta) -> None:
        """Set the difference to the real time, and fire the schedules that are due."""
        self.run("set-clock", ahead=ahead.total_seconds())

    def wait_for_executions(self) -> float | None:
        """Wait until all executions of Step Functions wait for the clock, for an event, or have ended.

        Returns:
            The time at which the first of them continues; `None` if no execution waits.
        """
        deadline = time.monotonic() + _MAX_RUN_SECONDS
        while True:
            state = self.run("find-next-wait")
            if not state["is_busy"] or time.monotonic() >= deadline:
                due: float | None = state["due"]
                return due
            time.sleep(_POLL_SECONDS)

    def end_executions(self) -> None:
        """Stop and delete all executions of Step Functions."""
        self.run("end-executions")
        self.wait_for_executions()

    def send_event(self, account: str, region: str, entry: Mapping[str, Any]) -> None:
        """Send an event as an AWS service does, to all matching rules and their targets."""
        self.run("send-event", account=account, region=region, entry=entry)

    def find_credential(self, access_key: str, token: str | None) -> dict[str, Any]:
        """Return the principal of an access key, or `error` and `message`."""
        credential: dict[str, Any] = self.run(
            "find-credential", access_key=access_key, account=self._account, token=token
        )
        return credential

    def find_api_key(self, token: str) -> dict[str, Any]:
        """Return the principal of a long-term Bedrock API key, or `error`."""
        credential: dict[str, Any] = self.run("find-api-key", token=token)
        return credential

    def run(self, command: str, **arguments: Any) -> Any:
        """Run a command in the process, see `emulator_process`."""
        with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise TunestackError("the sandbox's AWS (MiniStack) is stopped")
            try:
                process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError as error:
                raise TunestackError(f"the sandbox's AWS (MiniStack) has ended: {error}") from error
        response = json.loads(line or '{"error": "the process has ended"}')
        if "error" in response:
            raise TunestackError(
                f"the sandbox's AWS (MiniStack) failed at {command}: {response['error']}"
            )
        return response["result"]

    def stop(self) -> None:
        """End the process and its child processes."""
        with self._lock:
            process, self._process = self._process, None
        self._socket.close()
        if process is None or process.stdin is None or process.stdout is None:
            return
        self._metrics.close()
        with suppress(BrokenPipeError):  # the process has already ended
            process.stdin.close()  # the process ends with its standard input
        process.stdout.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
