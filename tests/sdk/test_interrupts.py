"""Ctrl-C ends the command line at any moment of its start: exit code 130, no traceback."""

import re
import signal
import subprocess
import sys
import time

import pytest

MOMENTS = 40

#: A line of a traceback that is in the command line's `main`. Python's own `site` has a function of that name too.
IN_MAIN = re.compile(r'tunestack/cli/__init__\.py", line \d+, in main')


def interrupted(arguments, after):
    """Start the command line, send SIGINT after so many seconds, and return its exit code and standard error."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tunestack.cli import main; main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def duration():
    """Return the seconds that the command takes when it is not interrupted."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "from tunestack.cli import main; main()", "models"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - started


def test_at_every_moment_of_the_start(figure):
    length = min(duration() for _ in range(3))  # the first one also reads the files from disk
    codes: dict[int, int] = {}
    for number in range(MOMENTS):
        code, errors = interrupted(["models"], length * number / MOMENTS)
        codes[code] = codes.get(code, 0) + 1
        # Before `main` runs, Python itself is interrupted, while it starts or loads the package.
        assert not IN_MAIN.search(errors), errors
        if "Traceback" not in errors and "Fatal Python error" not in errors:
            assert code in (0, 130, -signal.SIGINT), (code, errors)
    figure(f"Ctrl-C at {MOMENTS} moments of the command line's start: exit codes {codes}")
    assert codes.get(130, 0) >= MOMENTS / 8


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("models", "click"),
        ("data", "tunestack.records"),
        ("jobs", "boto3"),
        ("jobs", "botocore.session"),
        ("jobs", "tunestack.tuner"),
    ],
)
def test_in_the_middle_of_an_import(command, module):
    code = (
        "import builtins, os, signal, sys\n"
        "real = builtins.__import__\n"
        "def load(name, *rest):\n"
        f"    if name == {module!r}:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = load\n"
        "from tunestack.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_where_it_is_ignored_it_stays_so():
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "from tunestack.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "models"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
