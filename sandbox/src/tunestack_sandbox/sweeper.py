"""A process of a few lines that outlives the sandbox by a moment, and takes away what it leaves, however it ended.

It makes the sandbox's folder, learns on standard input which processes belong to it, and acts when that input ends:
because the sandbox closed it, or because the sandbox is gone.
Run by its path with `python -I -S`, so that it is there in a few milliseconds; standard library only.
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
"""Seconds that a command has to end by itself."""


def main() -> None:
    """Serve until standard input ends, then sweep."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        folder = tempfile.mkdtemp(prefix=PREFIX)
    except OSError:  # the parent sees that there is none
        return
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{folder}\n")
        sys.stdout.flush()
    groups: set[int] = set()
    commands: set[int] = set()
    for line in sys.stdin:
        word, _, text = line.partition(" ")
        pid = int(text)
        if word == "group":
            groups.add(pid)
        elif word == "command":
            commands.add(pid)
        elif word == "ended":
            commands.discard(pid)
    for pid in groups:
        _send(os.killpg, pid, signal.SIGKILL)
    for pid in commands:
        _end(pid)
    # Whoever was killed may have been writing.
    deadline = time.monotonic() + GRACE
    while Path(folder).exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def _end(pid: int) -> None:
    _send(os.kill, pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while _send(os.kill, pid, 0):
        if time.monotonic() > deadline:
            _send(os.kill, pid, signal.SIGKILL)
            return
        time.sleep(0.02)


def _send(how: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Send a signal; tells whether there was anyone to get it."""
    try:
        how(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
