"""Runs a script with atheris to its end."""

import re
import subprocess
import sys
from pathlib import Path


def run_fuzzer(script, corpus, seeds, *, runs, arguments=()):
    """Run a script of this folder with seeds; return the number of executed inputs and the peak of memory in MB."""
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)
    command = [sys.executable, Path(__file__).with_name(script), *arguments, str(runs), corpus]
    # libFuzzer limits ru_maxrss, which a child inherits from pytest, but not from a shell's small process. With `exit`, the
    # shell does not replace itself by the command, which would be a child of pytest then.
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    peak = re.search(r"stat::peak_rss_mb:\s*(\d+)", done.stderr)
    assert executed is not None
    assert peak is not None
    return int(executed[1]), int(peak[1])
