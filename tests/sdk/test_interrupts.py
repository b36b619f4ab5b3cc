"""Ctrl-C stops the command line at any time during its start, with exit code 130 and without a traceback."""

import re
import signal
import subprocess
import sys
import time

import pytest

INTERRUPTS = 40

# A line of a traceback in `main` of the command line. Python's module `site` also has a function `main`.
IN_MAIN = re.compile(r'tunestack/cli/__init__\.py", line \d+, in main')


def interrupt(arguments, after):
    """Start the command line, send SIGINT after a number of seconds, and return the exit code and stderr."""
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


def measure_duration():
    """Return the duration in seconds of the command without an interrupt."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "from tunestack.cli import main; main()", "models", "list"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - started


def test_ctrl_c_at_any_time_of_the_start_exits_with_130(figure):
    # The first run also reads the files from disk.
    shortest = min(measure_duration() for _ in range(3))
    codes: dict[int, int] = {}
    for number in range(INTERRUPTS):
        # The command may take twice as long beside other processes.
        code, errors = interrupt(["models", "list"], 2 * shortest * number / INTERRUPTS)
        codes[code] = codes.get(code, 0) + 1
        # Before `main` runs, the interrupt stops Python while it starts or loads the package.
        assert not IN_MAIN.search(errors), errors
        if "Traceback" not in errors and "Fatal Python error" not in errors:
            assert code in (0, 130, -signal.SIGINT), (code, errors)
    figure(f"Ctrl-C at {INTERRUPTS} times during the start of the command line: exit codes {codes}")
    assert codes.get(130, 0) >= INTERRUPTS / 8


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (["models", "list"], "click"),
        (["data"], "tunestack.records"),
        (["jobs", "list"], "boto3"),
        (["jobs", "list"], "botocore.session"),
        (["jobs", "list"], "tunestack.tuner"),
    ],
)
def test_ctrl_c_during_an_import_exits_with_130(command, module):
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
    process = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (130, "interrupted\n")


def test_ignored_sigint_stays_ignored():
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "from tunestack.cli import main; main()\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "models", "list"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0
