"""Files of every kind, including hostile_lines ones: the same report for each way of reading, and only Tunestack's errors."""

import bz2
import gzip
import io
import json
import lzma
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.parameters import every
from tests.records.samples import PLAIN, Generator, row, turn
from tunestack.catalog import CATALOG
from tunestack.errors import DataError, TunestackError
from tunestack.records import check, fingerprints, prepare, source
from tunestack.records.fingerprints import Fingerprints
from tunestack.records.source import FileReader, open_source

NOVA = CATALOG["nova-micro"]
LINE = json.dumps(PLAIN).encode()
FREE: Any = {"ignore": ["record-count"]}


def numbered_record(number):
    return json.dumps(row(turn("user", f"number {number}?"), turn("assistant", "so"))).encode()


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "records", "rules"),
    [
        (b"", 0, {}),
        (b"\n", 0, {"blank-line": 1}),
        (b"\n\n\n", 0, {"blank-line": 3}),
        (LINE, 1, {}),
        (LINE + b"\r\n" + LINE, 2, {"duplicates": 1}),
        (b"\xef\xbb\xbf" + LINE + b"\n", 1, {"byte-order-mark": 1}),
        (LINE + b"\x00\n", 1, {"json": 1}),
        (b'{"a": "\xc0\xaf"}\n', 1, {"encoding": 1}),
        (b'{"a": "\xed\xa0\x80"}\n', 1, {"encoding": 1}),
        (LINE.replace(b"question", b"\\ud800"), 1, {"json": 1}),
        (LINE.replace(b"question", "a\u2028b\u0085c\x0c".encode()), 1, {"json": 1}),
        (LINE.replace(b"question", "a\u2028b\u0085c".encode()), 1, {}),
        (b'{"a": NaN}\n{"a": -Infinity}\n{"a": 1e999}\n', 3, {"number": 3}),
        (b'{"a": ' + b"9" * 5000 + b"}\n", 1, {"number": 1}),
        (b"[" * 100_000 + b"]" * 100_000, 1, {"depth": 1}),
        (b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000, 1, {"depth": 1}),
        (b"[" * 1_000_000, 1, {"depth": 1}),
        (b'{"a":"' + b"[" * 101 + b'\\"' * 1_000_000, 1, {"json": 1}),
        (b"\n" * 200_000, 0, {"blank-line": 200_000}),
        (b"{}\n" * 200_000, 200_000, {"field": 1000}),
        (b'{"messages": [' + b"1," * 1_000_000 + b"1]}", 1, {"field": 100}),
        (b'{"a": "' + b"[{" * 100_000 + b'"}\n', 1, {"normalized": 1, "field": 1}),
        (b"{" + b'"a":1,' * 3 + b'"a":1}\n', 1, {"double-key": 1}),
        (b"x" * (9 * 2**20) + b"\n" + LINE, 2, {"line-length": 1}),
        (b'"' * (3 * 2**20), 1, {"json": 1}),
        (b'{"a":"' + b"\\" * (3 * 2**20 + 1) + b'"}', 1, {"json": 1}),
        (b'{"a":"' + b'\\"' * (3 * 2**20) + b'"}', 1, {"normalized": 1, "field": 1}),
    ],
)
def test_report_of_a_file(tmp_path, content, records, rules):
    file = write(tmp_path / "in.jsonl", content)
    report = check(file, NOVA, data_format="chat", **FREE)
    assert records == report.records
    counts = {rule: count for rule, count in report.counts.items() if rule != "few-records"}
    assert rules == counts


def test_report_has_line_and_offset_of_each_problem(tmp_path):
    lines = [LINE, b"", numbered_record(1), "é".encode() * 3, b'{"messages": 5}', LINE + b" "]
    file = write(tmp_path / "in.jsonl", b"\n".join(lines))
    problems = check(file, NOVA, **FREE).problems
    found = [(problem.line, problem.offset, problem.rule) for problem in problems if problem.line]
    starts = [sum(len(line) + 1 for line in lines[:index]) for index in range(len(lines))]
    assert [
        (2, starts[1], "blank-line"),
        (4, starts[3], "json"),
        (5, starts[4], "field"),
        (6, None, "duplicates"),
    ] == found


def hostile_lines(generator, number):
    """Return valid, unusual and invalid lines, some of them long."""
    random = generator.random
    lines = []
    for index in range(number):
        kind = random.random()
        if kind < 0.9:
            lines.append(json.dumps(generator.conversation(), ensure_ascii=random.random() < 0.5))
        elif kind < 0.93:
            lines.append(random.choice(["", " ", "{", "[1]", '{"messages": []}']))
        elif kind < 0.9301:
            lines.append(json.dumps(row(turn("user", "x" * 9 * 2**20), turn("assistant", "y"))))
        else:
            lines.append(numbered_record(index % 50).decode())
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Write a file of several chunks."""
    content = hostile_lines(Generator(7), 4_000)
    return write(tmp_path_factory.mktemp("large") / "in.jsonl", content)


def convert(file, folder, **options):
    """Convert a file; return the report, the checksum and the content, or the report and the error."""
    path = folder / "out.jsonl"
    path.unlink(missing_ok=True)
    try:
        dataset = prepare(file, NOVA, path, **FREE, **options)
    except DataError as error:
        assert not path.exists()
        return error.report.to_dict(), str(error)
    return dataset.report.to_dict(), dataset.sha256, path.read_bytes()


@pytest.fixture
def good(large, tmp_path):
    """Write a file with the valid records of the large file."""
    report = check(large, NOVA, data_format="chat", max_problems=10**6, **FREE)
    invalid = {problem.line for problem in report.errors}
    lines = large.read_bytes().split(b"\n")
    kept = [line for number, line in enumerate(lines, start=1) if number not in invalid]
    return write(tmp_path / "good.jsonl", b"\n".join(kept))


def test_every_source_gives_the_same_report_as_a_file(large, good, tmp_path):
    zipped = tmp_path / "in.jsonl.gz"
    zipped.write_bytes(gzip.compress(good.read_bytes(), 1))
    without_paths = tmp_path / "zipped-too"
    without_paths.write_bytes(zipped.read_bytes())
    expected = convert(good, tmp_path, data_format="chat")[1:]
    with good.open("rb") as binary, good.open(encoding="latin-1") as text:
        for other in (zipped, without_paths, binary, text):
            assert expected == convert(other, tmp_path, data_format="chat")[1:]
    rows = [json.loads(line) for line in good.read_bytes().split(b"\n") if line.strip()]
    assert expected == convert(rows, tmp_path, data_format="chat")[1:]
    whole = convert(large, tmp_path, data_format="chat", max_problems=10**6)
    stream = convert(
        io.BytesIO(large.read_bytes()), tmp_path, data_format="chat", max_problems=10**6
    )
    assert whole[0]["problems"] == stream[0]["problems"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_lines_are_split_at_line_feeds_in_chunks_of_every_size(monkeypatch, size):
    monkeypatch.setattr(source, "CHUNK_SIZE", size)
    content = b"".join(b"x" * (number % 9) + b"\n" for number in range(60)) + b"last"
    chunks = [*FileReader(io.BytesIO(content), "data", 1000).chunks()]
    lines = [line for chunk in chunks for line in chunk.lines]
    assert lines == (content + b"\n").splitlines(keepends=True)
    starts = [chunk.offset or 0 for chunk in chunks]
    assert all(start == 0 or content[start - 1 : start] == b"\n" for start in starts)
    assert [chunk.end for chunk in chunks] == [*starts[1:], len(content)]


@pytest.mark.parametrize("size", [3, 16, 50, 1000])
@pytest.mark.parametrize("last", [b"", b"end", b"z" * 31, b"z" * 31 + b"\n"])
def test_long_lines_are_skipped_in_chunks_of_every_size(monkeypatch, size, last):
    monkeypatch.setattr(source, "CHUNK_SIZE", size)
    content = b"a\n" + b"y" * 25 + b"\nb\n" + b"z" * 100 + b"\n" + b"c" * 19 + b"\n" + last
    lines, offset = [], 0
    for chunk in FileReader(io.BytesIO(content), "data", 20).chunks():
        assert chunk.offset == offset
        for index, line in enumerate(chunk.lines):
            lines.append("long" if index in chunk.rejected else line.rstrip(b"\n"))
            offset += chunk.lengths.get(index, len(line))
        offset = min(offset, len(content))
        assert chunk.end == offset
    assert lines == ["long" if len(line) > 20 else line for line in content.splitlines()]


def test_open_source_returns_the_reader_of_the_kind_of_source(tmp_path):
    file = write(tmp_path / "in", LINE)
    with open_source(file, "data") as reader:
        assert reader.size == len(LINE)
    with open_source([PLAIN], "data") as reader:
        assert reader.size is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.jsonl.gz", b"no gzip", "is not a complete gzip file"),
        ("in.jsonl.gz", gzip.compress(LINE * 1000)[:-9], "is not a complete compressed file"),
        ("in.jsonl.bz2", bz2.compress(LINE * 1000)[:-9], "is not a complete compressed file"),
        ("in.jsonl.xz", lzma.compress(LINE * 1000)[:-9], "is not a complete compressed file"),
        (
            "in.jsonl.gz",
            gzip.compress(random.Random(1).randbytes(10_000))[:5000] + b"x" * 5000,
            "is not a complete compressed file",
        ),
    ],
)
def test_incomplete_compressed_file_is_a_clear_error(tmp_path, name, content, words):
    file = write(tmp_path / name, content)
    with pytest.raises(DataError, match=words):
        prepare(file, NOVA, tmp_path / "out", **FREE)
    assert [file] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_file_that_changes_while_it_is_read_is_refused(tmp_path, change):
    file = write(tmp_path / "in.jsonl", b"".join(numbered_record(n) + b"\n" for n in range(50_000)))

    def change_file(progress):
        if progress.bytes < file.stat().st_size:
            with file.open("ab") as handle:
                if change == "grows":
                    handle.write(LINE)
                else:
                    handle.truncate(10)

    with pytest.raises(DataError, match="was changed while it was read"):
        prepare(file, NOVA, tmp_path / "out", progress=change_file, **FREE)
    assert not (tmp_path / "out").exists()


def test_progress_reports_bytes_and_records(tmp_path):
    file = write(tmp_path / "in.jsonl", b"".join(numbered_record(n) + b"\n" for n in range(30_000)))
    seen: list[Any] = []
    check(file, NOVA, progress=seen.append, **FREE)
    assert [file.stat().st_size] == [*{progress.total_bytes for progress in seen}]
    assert seen[-1].bytes == file.stat().st_size
    assert seen[-1].eta == 0
    assert seen[-1].records == 30_000
    assert sorted(progress.bytes for progress in seen) == [progress.bytes for progress in seen]


@pytest.mark.parametrize(
    "kind",
    every(3, ["many lines", "bomb", "long line"]),
    ids=["128 MiB of lines", "zip bomb", "a line of 1 GiB"],
)
def test_memory_is_bounded(tmp_path, kind):
    """Measure the peak of a process: 64 MiB and 16 bytes per record, beside Python and the libraries."""
    file = tmp_path / "in.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as zipped:
        block = b"[" * 2**20 if kind == "bomb" else b"x" * 2**20
        if kind == "many lines":
            block = (numbered_record(1) + b"\n") * (2**20 // (len(numbered_record(1)) + 1))
        for _ in range(128 if kind == "many lines" else 1024):
            zipped.write(block)
    # Not ru_maxrss, which a child inherits from its parent.
    script = (
        "from tunestack.catalog import CATALOG; from tunestack.records import check\n"
        "def peak(): return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "before = peak()\n"
        f"report = check({str(file)!r}, CATALOG['nova-micro'], ignore=['record-count'])\n"
        "print(report.records, peak() - before, set(report.counts) - {'few-records'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    records, peak, rules = done.stdout.split(" ", 2)
    assert int(peak) * 1024 < 64 * 2**20 + 16 * int(records), done.stdout
    assert ("duplicates" if kind == "many lines" else "line-length") in rules


def test_interrupted_conversion_leaves_no_file(tmp_path):
    source_file = write(
        tmp_path / "in.jsonl", b"".join(numbered_record(n) + b"\n" for n in range(500_000))
    )
    out = tmp_path / "out"
    out.mkdir()
    command = [
        Path(sys.executable).with_name("tunestack"), "data", "convert", source_file,
        "-m", "nova-micro", "-o", out / "made.jsonl", "--ignore", "record-count",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not any(out.iterdir()) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert [*out.iterdir()] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: iter([PLAIN, 5]),
        lambda: [[PLAIN]],
        lambda: "abc"[:0] or ["text"],
        lambda: [PLAIN | {"x": object()}],
        lambda: [{"messages": [PLAIN] * 3}],
        lambda: [{"messages": {"a": b"b"}}],
        lambda: 5,
        lambda: {"messages": []},
        lambda: b"bytes",
        lambda: None,
        lambda: "no such file",
        lambda: "{}",
        lambda: "a\0b",
        lambda: "/",
    ],
)
def test_every_value_gives_a_tunestack_error_or_a_report(make):
    try:
        report = check(make(), NOVA, **FREE)
    except TunestackError:
        return
    assert not report.ok


def test_duplicates_are_found_in_several_parts(monkeypatch):
    monkeypatch.setattr(fingerprints, "_PART_SIZE", 10)
    some = Fingerprints()
    other = Fingerprints()
    for number in [5, 0, 7, 5, 0, *range(100, 200), 7, 5, 150]:
        some.add([b"%d" % number if number else b""])
    for number in [1, 0, 7]:
        other.add([b"%d" % number if number else b""])
    assert some.duplicates() == fingerprints.Duplicates(4, line=4, original=1)
    assert other.shared(some) == fingerprints.Duplicates(1, line=3, original=3)
    assert other.duplicates() is None


def test_line_break_in_a_string_of_a_json_array_is_an_error(tmp_path):
    """JSON does not allow it, and a space instead would change the text."""
    array = json.dumps([json.loads(LINE)] * 8, indent=1)
    source_file = write(tmp_path / "in.json", array.replace("question", "two\nlines").encode())
    with pytest.raises(DataError, match="record 1 is not JSON.*Invalid control character"):
        check(source_file, CATALOG["nova-micro"])


def test_byte_order_mark_does_not_hide_the_only_record(tmp_path):
    record = b'\xef\xbb\xbf{"prompt": "question", "completion": "answer"}\n'
    report = check(write(tmp_path / "in.jsonl", record), CATALOG["nova-micro"])
    assert report.source_format == "completion"
