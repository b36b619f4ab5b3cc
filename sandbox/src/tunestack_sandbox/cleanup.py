"""Cleanup of the sandbox's folder and processes, by a process that outlives the sandbox: see `cleanup_process`."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

from tunestack.errors import TunestackError
from tunestack_sandbox import cleanup_process


def close_in_children(process: subprocess.Popen[str]) -> None:
    """Close the pipes to a process in all forked processes: it ends when all copies of its standard input are closed."""
    reference = weakref.ref(process)

    def close() -> None:
        process = reference()
        for pipe in () if process is None else (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                # Replaced, not closed: the file object would later close another file with the same descriptor.
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, pipe.fileno())
                os.close(null)

    os.register_at_fork(after_in_child=close)


class Cleanup:
    """Deletes the sandbox's folder and ends its processes when it stops, or when its process dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Path:
        """Start the cleanup process and return the sandbox's folder.

        Raises:
            TunestackError: The folder can't be created.
        """
        self._process = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-I", "-S", str(cleanup_process.__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        close_in_children(self._process)
        with self._process.stdout as output:
            folder = output.readline().rstrip("\n")
        if not folder:
            raise TunestackError(
                "the sandbox can't start: no temporary directory is writable: "
                "set TMPDIR to another directory"
            )
        return Path(folder)

    def add_process_group(self, pid: int) -> None:
        """Kill a process group at cleanup."""
        self._send("group", pid)

    def add_process(self, pid: int) -> None:
        """Terminate a process at cleanup, and kill it if it does not end."""
        self._send("process", pid)

    def remove_process(self, pid: int) -> None:
        """Undo `add_process`: the process has ended, and another one may have its id."""
        self._send("ended", pid)

    def _send(self, command: str, pid: int) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{command} {pid}\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """Clean up now."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process = None
