"""Measure how fast training data is checked and converted.

    python benchmarks/records.py [--megabytes 27] [--rounds 9]

The data is that of `record_corpora.py`. Each throughput is compared with U, the throughput of orjson's `loads` and `dumps`
for the same lines in the same run: ratios differ less between machines. Whole commands are compared with a script that
parses the same file with `json`. Rounds alternate, and the median of the ratios counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from record_corpora import CORPORA, MAIN, write

from tunestack.catalog import CATALOG
from tunestack.errors import DataError
from tunestack.records import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = CATALOG["nova-micro"]
# The model with most rules; only the number of records is not checked.
OPTIONS: dict[str, Any] = {"data_format": "chat", "ignore": ["record-count"]}


def seconds(action: Callable[[], object]) -> float:
    """Return how long a function takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def unit(lines: list[bytes]) -> float:
    """Return how long orjson takes to decode and encode the lines: the unit of all figures."""

    def decode_and_encode() -> None:
        for line in lines:
            orjson.dumps(orjson.loads(line))

    return seconds(decode_and_encode)


def convert(path: Path, folder: Path) -> None:
    """Check all rules, convert to Converse, write the file and compute its checksum."""
    with suppress(DataError):
        prepare(path, MODEL, folder / "out.jsonl", **OPTIONS)


def copy(path: Path, folder: Path) -> None:
    """Copy a file and compute its checksum."""
    digest = hashlib.sha256()
    with path.open("rb") as source, (folder / "copy").open("wb") as target:
        while block := source.read(2**20):
            digest.update(block)
            target.write(block)


def convert_with_dspy(path: Path, folder: Path) -> None:
    """Read, validate and write the records with DSPy's own functions."""
    os.environ["DSPY_FINETUNEDIR"] = str(folder)
    from dspy.clients.utils_finetune import (  # noqa: PLC0415 - takes seconds
        TrainDataFormat,
        save_data,
        validate_data_format,
    )

    with path.open("rb") as file:
        records = [orjson.loads(line) for line in file]
    validate_data_format(records, TrainDataFormat.CHAT)
    save_data(records)


def measure(name: str, path: Path, folder: Path, rounds: int) -> list[tuple[float, float]]:
    """Measure the unit and an action alternately; called in a new process."""
    actions: dict[str, Callable[[], object]] = {
        "convert": lambda: convert(path, folder),
        "copy": lambda: copy(path, folder),
        "dspy": lambda: convert_with_dspy(path, folder),
    }
    if name == "dspy":
        convert_with_dspy(
            write(folder / "warm.jsonl", MAIN, size=1), folder
        )  # so that its import is not measured
    found = []
    for _ in range(rounds):
        lines = path.read_bytes().splitlines()
        took_unit = unit(lines)
        del lines
        (folder / "out.jsonl").unlink(missing_ok=True)
        os.sync()  # what was written before is not to be written meanwhile
        found.append((took_unit, seconds(actions[name])))
    return found


ROWS = {
    **{name: ("convert", name) for name in CORPORA},
    f"{MAIN}: copy and SHA-256": ("copy", MAIN),
    f"{MAIN}: DSPy's validate_data_format, save_data": ("dspy", MAIN),
}
"""What is measured: the action, and the corpus."""


def throughput(folder: Path, size: int, rounds: int) -> None:
    """Print the table of ratios."""
    paths = {name: write(folder / f"{name}.jsonl", name, size=size) for name in CORPORA}
    print(f"corpora of {size / 1e6:.0f} MB; {rounds} rounds each\n")
    print("| what | MB/s | U, MB/s | in U, median | range |\n| --- | --- | --- | --- | --- |")
    for what, (name, file) in ROWS.items():
        path = paths[file]
        done = subprocess.run(
            [
                sys.executable,
                __file__,
                "--measure",
                name,
                str(path),
                str(folder),
                "--rounds",
                str(rounds),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        times = json.loads(done.stdout)
        ratios = [took_unit / took for took_unit, took in times]
        megabytes = path.stat().st_size / 1e6
        speeds = [megabytes / statistics.median(column) for column in zip(*times, strict=True)]
        print(
            f"| {what} | {speeds[1]:.0f} | {speeds[0]:.0f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


SCRIPT = """
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        for message in json.loads(line)["messages"]:
            if message["role"] not in ("system", "user", "assistant") or not isinstance(message["content"], str):
                sys.exit(1)
"""
"""Checks roles and content only."""


def commands(folder: Path, size: int, rounds: int) -> None:
    """Print the duration of whole commands."""
    path, out = write(folder / "commands.jsonl", MAIN, size=size), folder / "commands-out.jsonl"
    tunestack = str(Path(sys.executable).with_name("tunestack"))
    options = [str(path), "--model", MODEL.key, "--ignore", "record-count"]
    lines = {
        "script": [sys.executable, "-c", SCRIPT, str(path)],
        "data check": [tunestack, "data", "check", *options],
        "data convert": [tunestack, "data", "convert", *options, "--output", str(out)],
    }
    times: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(rounds):
        for name, line in lines.items():
            out.unlink(missing_ok=True)
            os.sync()
            run = partial(subprocess.run, line, check=True, capture_output=True)
            times[name].append(seconds(run))
    print(f"\n{size / 1e6:.0f} MB of {MAIN}, whole processes\n")
    print(
        "| command | seconds, median | ratio to the script, median | range |\n| --- | --- | --- | --- |"
    )
    for name, took in times.items():
        ratios = [one / script for one, script in zip(took, times["script"], strict=True)]
        print(
            f"| {name} | {statistics.median(took):.2f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


PEAK = """
import sys, time
from pathlib import Path
from tunestack.catalog import CATALOG
from tunestack.records import prepare
start = time.perf_counter()
made = prepare(sys.argv[1], CATALOG["nova-micro"], Path(sys.argv[2]), data_format="chat", ignore=["record-count"])
took = time.perf_counter() - start
# Not ru_maxrss, which a child inherits.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(made.records, took, peak)
"""


def sizes(folder: Path, size: int) -> None:
    """Print memory and throughput by the size of the file, each in a new process."""
    print(
        "\n| file | records | MB/s | peak memory | allowed: 64 MiB + 16 bytes a record |\n| --- | --- | --- | --- | --- |"
    )
    for part in (size // 5, size, size * 10):
        path = write(folder / "sized.jsonl", MAIN, size=part)
        out = folder / "sized-out.jsonl"
        best: tuple[float, int, int] | None = None
        for _ in range(3):
            out.unlink(missing_ok=True)
            os.sync()
            done = subprocess.run(
                [sys.executable, "-c", PEAK, str(path), str(out)],
                capture_output=True,
                text=True,
                check=True,
            )
            count, took, peak = done.stdout.split()
            if best is None or float(took) < best[0]:
                best = float(took), int(peak), int(count)
        assert best is not None
        megabytes = path.stat().st_size / 1e6
        allowed = 64 + 16 * best[2] / 2**20
        print(
            f"| {megabytes:,.0f} MB | {best[2]:,} | {megabytes / best[0]:.0f} | {best[1] / 1024:.0f} MiB | {allowed:.0f} MiB |",
            flush=True,
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=27, help="size of each corpus")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, path, place = options.measure
        print(json.dumps(measure(name, Path(path), Path(place), options.rounds)))
        return
    folder = Path(tempfile.mkdtemp(prefix="tunestack-benchmark-"))
    try:
        throughput(folder, options.megabytes * 10**6, options.rounds)
        commands(folder, options.megabytes * 10**6, options.rounds)
        sizes(folder, options.megabytes * 10**6)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
