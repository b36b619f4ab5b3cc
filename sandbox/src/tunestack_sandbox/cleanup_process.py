"""The process that cleans up after the sandbox, even if the sandbox is killed.

It creates the sandbox's folder, and reads on standard input which processes belong to the sandbox. When standard input ends,
because the sandbox closed it or died, it ends these processes and deletes the folder.
It is run by its path with `python -I -S`, so that it starts in a few milliseconds, and imports only the standard library.
"""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PREFIX = "tunestack-sandbox-"
GRACE = 5.0
"""Seconds until a terminated process is killed."""


def main() -> None:
    """Read standard input until it ends, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        folder = tempfile.mkdtemp(prefix=PREFIX)
    except OSError:  # the sandbox reads an empty line
        return
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{folder}\n")
        sys.stdout.flush()
    groups: set[int] = set()
    processes: set[int] = set()
    for line in sys.stdin:
        command, _, text = line.partition(" ")
        pid = int(text)
        if command == "group":
            groups.add(pid)
        elif command == "process":
            processes.add(pid)
        elif command == "ended":
            processes.discard(pid)
    for pid in groups:
        _send_signal(os.killpg, pid, signal.SIGKILL)
    for pid in processes:
        _terminate(pid)
    # A killed process may still write files for a moment.
    deadline = time.monotonic() + GRACE
    while Path(folder).exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def _terminate(pid: int) -> None:
    _send_signal(os.kill, pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while _send_signal(os.kill, pid, 0):
        if time.monotonic() > deadline:
            _send_signal(os.kill, pid, signal.SIGKILL)
            return
        time.sleep(0.02)


def _send_signal(kill: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Send a signal; return whether the process exists."""
    try:
        kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
