"""Cleanup of the sandbox's folder and processes, by a process that outlives the sandbox: see `cleanup_process`."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from tunestack.errors import TunestackError
from tunestack_sandbox import cleanup_process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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

    def start_process(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a process that is terminated at cleanup, and killed if it does not end.

        The new process adds itself: this process may be killed before it has the ID. Cleanup can't begin before that,
        because the new process has a copy of the pipe.

        Raises:
            OSError: The process can't be started.
        """
        assert self._process is not None  # noqa: S101 - the sandbox runs
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        pipe = os.dup(self._process.stdin.fileno())  # `close_in_children` closes the original

        def add() -> None:
            os.write(pipe, f"process {os.getpid()}\n".encode())

        try:
            return subprocess.Popen(  # noqa: S603 - from the user
                command,
                env=environment,
                preexec_fn=add,  # noqa: PLW1509 - it needs no lock of another thread
            )
        finally:
            os.close(pipe)

    def remove_process(self, pid: int) -> None:
        """Forget a process that has ended: another one may have its ID."""
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
