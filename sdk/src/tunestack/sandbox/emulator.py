"""MiniStack, which is all of AWS but Bedrock, in a process of its own that dies with ours.

Run as a module it is that process: it serves until its standard input ends, which happens when the parent is gone, however it went.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from tunestack.errors import TunestackError
from tunestack.sandbox.loopback import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_TIMEOUT = 60.0
"""Seconds until MiniStack must answer; it takes one or two."""


class Emulator:
    """A running MiniStack."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Take a folder for its log and state, and the environment for what runs inside it."""
        self._folder = folder
        self._environment = environment
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            TunestackError: it ended, or does not answer; says where its log is.
        """
        log = self._folder / "ministack.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tunestack.sandbox.emulator"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **self._environment,
                    "BIND_HOST": LOOPBACK,
                    "GATEWAY_PORT": str(self._port),
                    "LOG_LEVEL": "WARNING",
                    "TMPDIR": str(self._folder),
                    # Neither is of use here, and both would open further ports.
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                },
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(errors="replace")[-2000:]
                self.stop()
                raise TunestackError(f"the sandbox's AWS (MiniStack) did not start:\n{words}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1):  # noqa: S310
                return True
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        """End it and whatever it started."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> None:
    # Nobody writes: this returns when the other end is closed, by the parent or by its death.
    os.read(sys.stdin.fileno(), 1)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from ministack.app import main as serve  # noqa: PLC0415 - reads the environment on import

    sys.argv[1:] = []
    serve()


if __name__ == "__main__":
    main()
