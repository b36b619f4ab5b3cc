"""What a sandbox would leave behind, and the process that takes it away: see `sweeper`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tunestack.sandbox import sweeper


class Remains:
    """The sandbox's folder and processes; all gone when it stops or its process dies."""

    def __init__(self) -> None:
        self._sweeper: subprocess.Popen[str] | None = None

    def start(self) -> Path:
        """Begin to watch; returns the folder, which is for the sandbox alone."""
        self._sweeper = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-I", "-S", str(sweeper.__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._sweeper.stdout is not None  # noqa: S101 - it is a pipe
        with self._sweeper.stdout as output:
            return Path(output.readline().rstrip("\n"))

    def group(self, pid: int) -> None:
        """Take a process group along: it is killed."""
        self._say("group", pid)

    def command(self, pid: int) -> None:
        """Take a command along: it is asked to end, and killed if it does not."""
        self._say("command", pid)

    def ended(self, pid: int) -> None:
        """Leave a command alone: its id may be another's by now."""
        self._say("ended", pid)

    def _say(self, word: str, pid: int) -> None:
        if self._sweeper is not None and self._sweeper.stdin is not None:
            self._sweeper.stdin.write(f"{word} {pid}\n")
            self._sweeper.stdin.flush()

    def stop(self) -> None:
        """Take everything away now."""
        if self._sweeper is not None and self._sweeper.stdin is not None:
            self._sweeper.stdin.close()
            self._sweeper.wait()
            self._sweeper = None
