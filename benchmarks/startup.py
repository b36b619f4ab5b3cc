"""Start-up time of the command line, as ratios to `python -c 'import boto3'` in the same run.

    python benchmarks/startup.py

Each command runs 15 times, in turn; the shortest time of each counts, which is the one that other load disturbed least.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
TUNESTACK = str(Path(sys.executable).with_name("tunestack"))
COMMANDS = {
    "python -c 'import boto3'": [sys.executable, "-c", "import boto3"],
    "tunestack --help": [TUNESTACK, "--help"],
    "tunestack models list": [TUNESTACK, "models", "list"],
    "tunestack data check --help": [TUNESTACK, "data", "check", "--help"],
    "tunestack jobs --help": [TUNESTACK, "jobs", "--help"],
}
LIMITS = {"tunestack --help": 0.5}
"""Ratios that are not exceeded."""


def seconds(command: list[str]) -> float:
    """Run a command and return how long it took."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> int:
    """Print the table; returns 1 if a limit is exceeded."""
    times = {name: [seconds(command)] for name, command in COMMANDS.items()}
    for _ in range(RUNS - 1):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    shortest = {name: min(values) for name, values in times.items()}
    baseline = shortest["python -c 'import boto3'"]
    for name, value in shortest.items():
        print(f"{name:<30} {value * 1000:6.0f} ms  {value / baseline:5.2f} x")
    return int(any(shortest[name] > limit * baseline for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
