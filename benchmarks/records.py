"""How quick training data is checked and converted: python benchmarks/records.py [--records 100000] [--rounds 5].

Every figure stands next to U, the throughput of orjson's loads and dumps, line by line in memory, in the same run:
machines differ, ratios less so. The rounds are interleaved, and the median of their ratios counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tunestack.catalog import CATALOG
from tunestack.errors import DataError
from tunestack.records import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = CATALOG["nova-micro"]
# All rules of a model that has most of them, but for the number of records that it takes.
OPTIONS: dict[str, Any] = {"data_format": "chat", "ignore": ["record-count"]}
WORDS = [
    "the",
    "of",
    "parcel",
    "order",
    "with",
    "lamp",
    "has",
    "not",
    "come",
    "where",
    "refund",
    "please",
    "shipping",
    "address",
    "customer",
    "invoice",
    "tent",
    "stock",
    "blue",
    "broken",
    "delivery",
    "tomorrow",
    "week",
    "account",
    "password",
    "reset",
    "email",
    "note:",
    "price,",
    "a",
    "to",
    "and",
    "in",
    "that",
    "for",
    "was",
    "on",
    "are",
    "as",
    "you",
    "do",
]


def text(chance: random.Random, count: int, *, foreign: bool) -> str:
    """Make a text of so many words, some in another script."""
    words = [chance.choice(WORDS) for _ in range(count)]
    words[::9] = ["café" if foreign else word for word in words[::9]]
    words[11::12] = [
        f"{word}.\n" if place % 3 else f"{word}." for place, word in enumerate(words[11::12])
    ]
    return " ".join(words)


def make(
    path: Path, records: int, *, escaped: bool = False, bad: bool = False, systems: int = 1
) -> Path:
    """Write chat records of some 1,350 bytes: system, user, assistant."""
    chance = random.Random(1)  # noqa: S311 - the same file every time
    prompts = [text(chance, 62, foreign=False) for _ in range(systems)]
    turns = [
        [text(chance, count, foreign=escaped or number % 20 == 0) for count in (98, 57)]
        for number in range(2000)
    ]
    roles = ("system", "assistant" if bad else "user", "assistant")
    with path.open("w", encoding="utf-8") as file:
        for number in range(records):
            asked, answer = turns[number % len(turns)]
            contents = (prompts[number % systems], f"{asked} {number:08d}", answer)
            record = {
                "messages": [
                    {"role": role, "content": content}
                    for role, content in zip(roles, contents, strict=True)
                ]
            }
            file.write(json.dumps(record, ensure_ascii=escaped) + "\n")
    return path


def seconds(action: Callable[[], object]) -> float:
    """Measure how long something takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def unit(lines: list[bytes]) -> float:
    """Measure what everything is compared with."""

    def decode_and_encode() -> None:
        for line in lines:
            orjson.dumps(orjson.loads(line))

    return seconds(decode_and_encode)


def converted(path: Path, folder: Path, processes: int) -> None:
    """Check by all rules, convert to Converse, write, and take the checksum."""
    with suppress(DataError):
        prepare(path, MODEL, folder / "out.jsonl", processes=processes, **OPTIONS)


def copied(path: Path, folder: Path) -> None:
    """Copy a file and take its checksum."""
    digest = hashlib.sha256()
    with path.open("rb") as source, (folder / "copy").open("wb") as target:
        while block := source.read(2**20):
            digest.update(block)
            target.write(block)


def dspys(path: Path, folder: Path) -> None:
    """Do what DSPy has for it: read, validate_data_format, save_data."""
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
    """Measure the unit and one thing in turn; called in a process of its own, in which nothing else was."""
    actions: dict[str, Callable[[], object]] = {
        "one": lambda: converted(path, folder, 1),
        "two": lambda: converted(path, folder, 2),
        "copy": lambda: copied(path, folder),
        "dspy": lambda: dspys(path, folder),
    }
    if name == "dspy":
        dspys(make(folder / "warm.jsonl", 10), folder)  # so that its import is not measured
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
    "one process": ("one", "usual"),
    "two processes": ("two", "usual"),
    "one process, 50 system prompts in turn": ("one", "many systems"),
    "one process, non-ASCII and escaped": ("one", "escaped"),
    "one process, every record bad": ("one", "bad"),
    "copy and SHA-256": ("copy", "usual"),
    "DSPy: read, validate_data_format, save_data": ("dspy", "usual"),
}


def throughput(folder: Path, records: int, rounds: int) -> None:
    """Print the table of ratios."""
    paths = {
        "usual": make(folder / "usual.jsonl", records),
        "many systems": make(folder / "many.jsonl", records, systems=50),
        "escaped": make(folder / "escaped.jsonl", records, escaped=True),
        "bad": make(folder / "bad.jsonl", records, bad=True),
    }
    size = paths["usual"].stat().st_size / 1e6
    print(f"{records:,} chat records, {size:.0f} MB; {rounds} rounds each\n")
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
        size = path.stat().st_size / 1e6
        speeds = [size / statistics.median(column) for column in zip(*times, strict=True)]
        print(
            f"| {what} | {speeds[1]:.0f} | {speeds[0]:.0f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


PEAK = """
import sys, time
from pathlib import Path
from tunestack.catalog import CATALOG
from tunestack.records import prepare
start = time.perf_counter()
made = prepare(sys.argv[1], CATALOG["nova-micro"], Path(sys.argv[2]), data_format="chat", ignore=["record-count"], processes=1)
took = time.perf_counter() - start
# Not ru_maxrss, which a child inherits.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(made.records, took, peak)
"""


def sizes(folder: Path, records: int) -> None:
    """Print memory and throughput by the size of the file, each in a process of its own."""
    print(
        "\n| file | records | MB/s | peak memory | allowed: 64 MiB + 16 bytes a record |\n| --- | --- | --- | --- | --- |"
    )
    for count in (records // 5, records, records * 10):
        path = make(folder / "sized.jsonl", count)
        out = folder / "sized-out.jsonl"
        best: tuple[float, int] | None = None
        for _ in range(3):
            out.unlink(missing_ok=True)
            os.sync()
            done = subprocess.run(
                [sys.executable, "-c", PEAK, str(path), str(out)],
                capture_output=True,
                text=True,
                check=True,
            )
            _, took, peak = done.stdout.split()
            if best is None or float(took) < best[0]:
                best = float(took), int(peak)
        assert best is not None
        size = path.stat().st_size / 1e6
        allowed = 64 + 16 * count / 2**20
        print(
            f"| {size:,.0f} MB | {count:,} | {size / best[0]:.0f} | {best[1] / 1024:.0f} MiB | {allowed:.0f} MiB |",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, path, place = options.measure
        print(json.dumps(measure(name, Path(path), Path(place), options.rounds)))
        return
    folder = Path(tempfile.mkdtemp(prefix="tunestack-benchmark-"))
    try:
        throughput(folder, options.records, options.rounds)
        sizes(folder, options.records)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
