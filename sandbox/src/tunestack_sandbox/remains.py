"""What a sandbox would leave behind, and the process that takes it away: see `sweeper`."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

from tunestack.errors import TunestackError
from tunestack_sandbox import sweeper


def close_in_children(process: subprocess.Popen[str]) -> None:
    """Let no process that this one forks keep a pipe to another open: the pipe's end is how that one knows of ours."""
    held = weakref.ref(process)

    def close() -> None:
        mine = held()
        for pipe in () if mine is None else (mine.stdin, mine.stdout):
            if pipe is not None and not pipe.closed:
                # Not closed: whoever closes it later would close what has its number by then.
                nothing = os.open(os.devnull, os.O_RDWR)
                os.dup2(nothing, pipe.fileno())
                os.close(nothing)

    os.register_at_fork(after_in_child=close)


class Remains:
    """The sandbox's folder and processes; all gone when it stops or its process dies."""

    def __init__(self) -> None:
        self._sweeper: subprocess.Popen[str] | None = None

    def start(self) -> Path:
        """Begin to watch; returns the folder, which is for the sandbox alone.

        Raises:
            TunestackError: there is no place for it.
        """
        self._sweeper = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-I", "-S", str(sweeper.__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._sweeper.stdout is not None  # noqa: S101 - it is a pipe
        close_in_children(self._sweeper)
        with self._sweeper.stdout as output:
            folder = output.readline().rstrip("\n")
        if not folder:
            raise TunestackError(
                "the sandbox can't start: no temporary directory can be written: "
                "set TMPDIR to another directory"
            )
        return Path(folder)

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
