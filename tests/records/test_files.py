"""Files of every kind, also hostile ones: the same report whoever reads them, and never another error."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.records.samples import PLAIN, Generator, row, turn
from tunestack.catalog import CATALOG
from tunestack.errors import DataError, TunestackError
from tunestack.records import check, fingerprints, helpers, pipeline, prepare, source
from tunestack.records.fingerprints import Fingerprints
from tunestack.records.source import read_span

NOVA = CATALOG["nova-micro"]
LINE = json.dumps(PLAIN).encode()
FREE = {"ignore": ["record-count"]}


def numbered(number):
    return json.dumps(row(turn("user", f"number {number}?"), turn("assistant", "so"))).encode()


def written(path, content):
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
        (b'{"a": "' + b"[{" * 100_000 + b'"}\n', 1, {"loss": 1, "field": 1}),
        (b"{" + b'"a":1,' * 3 + b'"a":1}\n', 1, {"double-key": 1}),
        (b"x" * (9 * 2**20) + b"\n" + LINE, 2, {"line-length": 1}),
        (b'"' * (3 * 2**20), 1, {"json": 1}),
        (b'{"a":"' + b"\\" * (3 * 2**20 + 1) + b'"}', 1, {"json": 1}),
        (b'{"a":"' + b'\\"' * (3 * 2**20) + b'"}', 1, {"loss": 1, "field": 1}),
    ],
)
def test_a_file_gives_a_report(tmp_path, content, records, rules):
    file = written(tmp_path / "in.jsonl", content)
    report = check(file, NOVA, data_format="chat", **FREE)
    assert records == report.records
    counts = {rule: count for rule, count in report.counts.items() if rule != "few-records"}
    assert rules == counts


def test_where_a_problem_is(tmp_path):
    lines = [LINE, b"", numbered(1), "é".encode() * 3, b'{"messages": 5}', LINE + b" "]
    file = written(tmp_path / "in.jsonl", b"\n".join(lines))
    problems = check(file, NOVA, **FREE).problems
    found = [(problem.line, problem.offset, problem.rule) for problem in problems if problem.line]
    starts = [sum(len(line) + 1 for line in lines[:place]) for place in range(len(lines))]
    assert [
        (2, starts[1], "blank-line"),
        (4, starts[3], "json"),
        (5, starts[4], "field"),
        (6, None, "duplicates"),
    ] == found


def hostile(generator, number):
    """A file of good, odd and bad lines, some of them long."""
    random = generator.random
    lines = []
    for place in range(number):
        kind = random.random()
        if kind < 0.9:
            lines.append(json.dumps(generator.conversation(), ensure_ascii=random.random() < 0.5))
        elif kind < 0.93:
            lines.append(random.choice(["", " ", "{", "[1]", '{"messages": []}']))
        elif kind < 0.9301:
            lines.append(json.dumps(row(turn("user", "x" * 9 * 2**20), turn("assistant", "y"))))
        else:
            lines.append(numbered(place % 50).decode())
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Some megabytes, so that there are several pieces."""
    content = hostile(Generator(7), 9_000)
    return written(tmp_path_factory.mktemp("large") / "in.jsonl", content)


def everything(file, folder, *, processes, **options):
    """All that comes of a file; the output if there is one."""
    path = folder / f"out-{processes}.jsonl"
    path.unlink(missing_ok=True)
    try:
        dataset = prepare(file, NOVA, path, processes=processes, **FREE, **options)
    except DataError as error:
        assert not path.exists()
        return error.report.to_dict(), str(error)
    return dataset.report.to_dict(), dataset.sha256, path.read_bytes()


@pytest.fixture
def good(large, tmp_path):
    """The records of the large file that are good."""
    report = check(large, NOVA, data_format="chat", most=10**6, **FREE)
    bad = {problem.line for problem in report.errors}
    lines = large.read_bytes().split(b"\n")
    kept = [line for place, line in enumerate(lines, start=1) if place not in bad]
    return written(tmp_path / "good.jsonl", b"\n".join(kept))


@pytest.mark.parametrize("threads", [False, True], ids=["forked", "started as a command"])
@pytest.mark.parametrize("kind", ["good", "bad", "very bad"])
def test_it_is_the_same_in_however_many_processes(
    large, good, tmp_path, threads, kind, monkeypatch
):
    file = good if kind == "good" else large
    options = {"data_format": "chat", "most": 100 if kind == "very bad" else 10**6}
    alone = everything(file, tmp_path, processes=1, **options)
    here, look = [], helpers._looked_at
    monkeypatch.setattr(
        helpers, "_looked_at", lambda *of, **how: here.append(of) or look(*of, **how)
    )
    stop = threading.Event()
    if threads:
        threading.Thread(target=stop.wait).start()
    try:
        assert alone == everything(file, tmp_path, processes=3, **options)
    finally:
        stop.set()
    assert len(alone) == (3 if kind == "good" else 2)
    # The helpers did help: where they are started as a command, as soon as they are there.
    assert len(here) < file.stat().st_size // 2**20 or threads


def test_a_helper_that_dies_is_done_without(good, tmp_path, monkeypatch):
    alone = everything(good, tmp_path, processes=1, data_format="chat")
    give, given = helpers._Helper.give, []

    def give_and_kill(self, start, end, *, skim):
        give(self, start, end, skim=skim)
        given.append(self)
        if len(given) == 3:
            self._kill()

    monkeypatch.setattr(helpers._Helper, "give", give_and_kill)
    assert alone == everything(good, tmp_path, processes=2, data_format="chat")
    assert len(given) >= 3


def test_no_process_is_left(good, tmp_path):
    before = {*children()}
    everything(good, tmp_path, processes=3, data_format="chat")
    assert before >= {*children()}


def children():
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()


def test_a_stream_gives_the_same_as_a_file(large, good, tmp_path):
    zipped = tmp_path / "in.jsonl.gz"
    zipped.write_bytes(gzip.compress(good.read_bytes(), 1))
    nameless = tmp_path / "zipped-too"
    nameless.write_bytes(zipped.read_bytes())
    expected = everything(good, tmp_path, processes=1, data_format="chat")[1:]
    with good.open("rb") as binary, good.open(encoding="latin-1") as text:
        for other in (zipped, nameless, binary, text):
            assert expected == everything(other, tmp_path, processes=1, data_format="chat")[1:]
    rows = [json.loads(line) for line in good.read_bytes().split(b"\n") if line.strip()]
    assert expected == everything(rows, tmp_path, processes=1, data_format="chat")[1:]
    # Also where it is bad: but for the offsets, which a stream of unzipped bytes has too.
    whole = everything(large, tmp_path, processes=1, data_format="chat", most=10**6)
    stream = everything(
        io.BytesIO(large.read_bytes()), tmp_path, processes=1, data_format="chat", most=10**6
    )
    assert whole[0]["problems"] == stream[0]["problems"]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1000])
def test_lines_are_cut_at_line_ends_wherever_pieces_end(tmp_path, piece):
    content = b"".join(b"x" * (number % 9) + b"\n" for number in range(60)) + b"last"
    file = written(tmp_path / "in", content)
    with file.open("rb") as handle:
        size = len(content)
        lines, offsets = [], []
        for start in range(0, size, piece):
            found = read_span(handle.fileno(), start, min(start + piece, size), size)
            lines += found.lines
            offsets += [found.offset] if found.lines else []
    assert content + b"\n" == b"".join(lines)
    assert all(offset == 0 or content[offset - 1 : offset] == b"\n" for offset in offsets)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.jsonl.gz", b"no gzip", "is no whole gzip file"),
        ("in.jsonl.gz", gzip.compress(LINE * 1000)[:-9], "is no whole gzip file"),
        (
            "in.jsonl.gz",
            gzip.compress(os.urandom(10_000))[:5000] + b"x" * 5000,
            "is no whole gzip file",
        ),
    ],
)
def test_a_zipped_file_that_is_broken_is_one_clear_error(tmp_path, name, content, words):
    file = written(tmp_path / name, content)
    with pytest.raises(DataError, match=words):
        prepare(file, NOVA, tmp_path / "out", **FREE)
    assert [file] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, change):
    file = written(tmp_path / "in.jsonl", b"".join(numbered(n) + b"\n" for n in range(50_000)))

    def meddle(progress):
        if progress.bytes < file.stat().st_size:
            with file.open("ab") as handle:
                if change == "grows":
                    handle.write(LINE)
                else:
                    handle.truncate(10)

    with pytest.raises(DataError, match="was changed while it was read|became shorter"):
        prepare(file, NOVA, tmp_path / "out", progress=meddle, processes=1, **FREE)
    assert not (tmp_path / "out").exists()


def test_how_far_it_is_is_told(tmp_path):
    file = written(tmp_path / "in.jsonl", b"".join(numbered(n) + b"\n" for n in range(30_000)))
    seen = []
    check(file, NOVA, progress=seen.append, processes=1, **FREE)
    assert [file.stat().st_size] == [*{progress.total_bytes for progress in seen}]
    assert seen[-1].bytes == file.stat().st_size
    assert seen[-1].eta == 0
    assert seen[-1].records == 30_000
    assert sorted(progress.bytes for progress in seen) == [progress.bytes for progress in seen]


@pytest.mark.parametrize(
    "kind",
    ["bomb", "long line", "many lines"],
    ids=["zip bomb", "a line of 1 GiB", "128 MiB of lines"],
)
def test_memory_is_bounded(tmp_path, kind):
    """In a process of its own, whose peak counts: 64 MiB, and what Python and the libraries take."""
    file = tmp_path / "in.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as zipped:
        block = bytes(2**20) if kind == "bomb" else b"x" * 2**20
        if kind == "many lines":
            block = (numbered(1) + b"\n") * (2**20 // (len(numbered(1)) + 1))
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


def test_an_interrupted_conversion_leaves_nothing(tmp_path):
    source_file = written(
        tmp_path / "in.jsonl", b"".join(numbered(n) + b"\n" for n in range(500_000))
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
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
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
def test_whatever_is_passed_gives_one_of_our_errors_or_a_report(make):
    try:
        report = check(make(), NOVA, **FREE)
    except TunestackError:
        return
    assert not report.ok


def test_equal_records_are_found_however_many_there_are(monkeypatch):
    monkeypatch.setattr(fingerprints, "_AT_ONCE", 10)
    some = Fingerprints()
    other = Fingerprints()
    for number in [5, 0, 7, 5, 0, *range(100, 200), 7, 5, 150]:
        some.add(number.to_bytes(8, "little"))
    for number in [1, 0, 7]:
        other.add(number.to_bytes(8, "little"))
    assert fingerprints.Doubles(4, line=4, other=1) == some.doubles()
    assert fingerprints.Doubles(1, line=3, other=3) == other.shared(some)
    assert other.doubles() is None


def test_only_plain_files_that_are_large_are_worth_help(tmp_path, monkeypatch):
    file = written(tmp_path / "in", LINE)
    with source.opened(file, "data") as opened:
        assert pipeline._helpers(opened, None) == 0
        assert pipeline._helpers(opened, 4) == 3
        monkeypatch.setattr(pipeline, "_WORTH_HELP", 1)
        assert len(os.sched_getaffinity(0)) - 1 == pipeline._helpers(opened, None)
    with source.opened([PLAIN], "data") as opened:
        assert pipeline._helpers(opened, 4) == 0
