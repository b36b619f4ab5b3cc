"""Run the command line in a terminal: a pseudo-terminal of a given width."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A process in a pseudo-terminal, and its output."""

    def __init__(self, process, master):
        self.process = process
        self._master = master
        self.raw = ""

    @property
    def text(self):
        """The output without colors and movements of the cursor."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def read(self):
        """Read what is there; returns False at the end."""
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # Linux: the other side is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, text, timeout=60):
        """Read until the output has a text."""
        end = time.monotonic() + timeout
        while text not in self.text:
            assert time.monotonic() < end, self.text
            assert self.read(), self.text

    def type(self, text):
        """Write to the standard input."""
        os.write(self._master, text.encode())

    def interrupt(self):
        """Type Ctrl-C until the process ends: `input` misses a signal that arrives just before it reads."""
        while self.process.poll() is None:
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(3)

    def finish(self):
        """Read to the end, and return the exit code."""
        while self.read():
            pass
        return self.process.wait(60)


def _control_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # A shell that starts the tests in the background ignores the signal, also for this process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def open_terminal(*arguments, columns=80, command=None, **variables):
    """Run the command line with arguments, or another command."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")
    }
    process = subprocess.Popen(
        command or [sys.executable, "-m", "tunestack", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | {"TERM": "xterm-256color"} | variables,
        start_new_session=True,
        preexec_fn=_control_terminal,  # noqa: PLW1509 - so that Ctrl-C is a signal
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)


def run_in_terminal(*arguments, **options):
    """Run the command line to its end, and return the exit code and the terminal."""
    with open_terminal(*arguments, **options) as terminal:
        return terminal.finish(), terminal
