"""Training data from the model invocation logs in a bucket; killed and continued."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from hashlib import sha256

import boto3
import pytest

from tests.records.log_samples import FOLDER, chat, converse_entry, entry, pack
from tunestack import DataError, NotFoundError, collect_logs

# The tuner policy does not allow other buckets.
pytestmark = pytest.mark.as_root

COMMAND = """
import re, sys
from tunestack.cli.commands import run
code = run(sys.argv[1:])
status = open("/proc/self/status").read()  # ru_maxrss contains the memory of the process that forked
print(int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]) // 1024)
sys.exit(code)
"""
"""Runs a command line and prints its memory at the peak in MiB."""


class Bucket:
    """A bucket of its own for each test."""

    def __init__(self, name):
        self.uri = f"s3://{name}/"
        self._name = name
        self._client = boto3.client("s3", "us-east-1")
        self._client.create_bucket(Bucket=name)

    def put(self, key, body):
        self._client.put_object(Bucket=self._name, Key=key, Body=body)


@pytest.fixture
def bucket(sandbox, request):
    return Bucket(f"logs-{sha256(request.node.name.encode()).hexdigest()[:12]}")


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_log_files_of_a_prefix_are_read_in_order(bucket, tmp_path):
    for number in range(20):
        bucket.put(
            f"app/{FOLDER}/2026/11/01/{number:02}/part.json.gz", pack([converse_entry(number)])
        )
    bucket.put(f"app/{FOLDER}/2026/11/01/00/amazon-bedrock-logs-permission-check", b"")
    bucket.put("other/2026/11/01/00/part.json.gz", pack([converse_entry(99)]))
    dataset = collect_logs(f"{bucket.uri}app/", tmp_path / "out.jsonl")
    assert read(dataset.path) == [chat(f"Question {n}?", f"Answer {n}.") for n in range(20)]
    assert (dataset.files, dataset.records) == (20, 20)


def test_large_bodies_are_read_from_their_objects(bucket, tmp_path):
    large = converse_entry(1)
    for part in ("input", "output"):
        key = f"{FOLDER}/2026/11/01/00/data/1_{part}.json"
        bucket.put(
            f"{key}.gz" if part == "input" else key, _body(large[part].pop(f"{part}BodyJson"), part)
        )
        suffix = ".gz" if part == "input" else ""
        large[part][f"{part}BodyS3Path"] = f"{bucket.uri}{key}{suffix}"
    events = [
        {"contentBlockDelta": {"delta": {"text": "It "}}},
        {"contentBlockDelta": {"delta": {"text": "rains."}}},
    ]
    stream = entry(2, {"messages": [{"role": "user", "content": [{"text": "Rain?"}]}]}, None)
    stream["output"]["outputBodyS3Path"] = f"{bucket.uri}{FOLDER}/2026/11/01/00/data/2.json"
    bucket.put(f"{FOLDER}/2026/11/01/00/data/2.json", "\n".join(map(json.dumps, events)))
    bucket.put(f"{FOLDER}/2026/11/01/00/part.json.gz", pack([large, stream]))
    first, second = read(collect_logs(bucket.uri, tmp_path / "out.jsonl").path)
    assert first == chat("Question 1?", "Answer 1.")
    assert [turn["content"] for turn in second["messages"]] == ["Rain?", "It rains."]


def _body(body, part):
    return pack([body]) if part == "input" else json.dumps(body)


def test_an_object_in_another_bucket_is_refused(bucket, tmp_path):
    foreign = entry(1, None, {}) | {"input": {"inputBodyS3Path": "s3://somebody-else/key"}}
    bucket.put(f"{FOLDER}/2026/11/01/00/part.json.gz", pack([foreign]))
    with pytest.raises(DataError, match="s3://somebody-else/key is not in the bucket of the log"):
        collect_logs(bucket.uri, tmp_path / "out.jsonl")


def test_a_missing_bucket_is_an_error_with_its_name(bucket, tmp_path):
    with pytest.raises(NotFoundError, match="s3://no-such-bucket-of-logs/app"):
        collect_logs("s3://no-such-bucket-of-logs/app", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def write_parts(bucket, parts, entries, *, characters):
    """Write log files; return the size of the log in bytes."""
    dice = random.Random(7)
    words = ["parcel", "invoice", "delivered", "Bern", "tomorrow", "please", "österreich", "\n"]
    size = 0
    for part in range(parts):
        content = []
        for index in range(entries):
            text = " ".join(dice.choices(words, k=characters // 8))
            number = part * entries + index
            content.append(converse_entry(number, question=f"{number}: {text}", answer=text))
        size += sum(len(json.dumps(item)) for item in content)
        bucket.put(
            f"{FOLDER}/2026/{1 + part // 672:02}/{1 + part // 24 % 28:02}/{part % 24:02}/{part:05}.json.gz",
            pack(content),
        )
    return size


KILLER = """
import os

def keep(record, log):
    if log["requestId"] == os.environ.get("KILL_AT"):
        os.kill(os.getpid(), 9)
    return record
"""
"""A filter that kills its process at a request."""


def collect(bucket, tmp_path, name, *, kill_at=None):
    """Run the command; return the exit code and its output."""
    command = [sys.executable, "-c", COMMAND, "data", "from-logs", bucket.uri, "-o", name]
    environment = os.environ | ({} if kill_at is None else {"KILL_AT": f"request-{kill_at}"})
    done = subprocess.run(
        [*command, "--filter", "killer:keep"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("parts", "entries", "kills"),
    [(30, 20, 4), pytest.param(1000, 250, 12, marks=pytest.mark.campaign)],
    ids=["30 files", "1,000 files"],
)
def test_a_killed_command_continues_and_its_memory_is_bounded(
    bucket, tmp_path, figure, parts, entries, kills
):
    (tmp_path / "killer.py").write_text(KILLER)
    size = write_parts(bucket, parts, entries, characters=1900)
    began = time.monotonic()
    code, output = collect(bucket, tmp_path, "whole.jsonl")
    seconds = time.monotonic() - began
    assert code == 0
    memory = int(output.split()[-1])
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert whole.count(b"\n") == parts * entries
    for point in sorted(random.Random(3).sample(range(entries, parts * entries), kills)):
        assert collect(bucket, tmp_path, "killed.jsonl", kill_at=point)[0] == -signal.SIGKILL
        assert not (tmp_path / "killed.jsonl").exists()
        progress = json.loads((tmp_path / "killed.jsonl.progress").read_bytes())
        assert progress["state"]["files"] == point // entries
    assert collect(bucket, tmp_path, "killed.jsonl")[0] == 0
    assert sha256((tmp_path / "killed.jsonl").read_bytes()).digest() == sha256(whole).digest()
    assert memory < 250
    figure(
        f"{size / 1e6:,.0f} MB of logs in {parts:,} files: {seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s, "
        f"{memory} MiB at the peak; killed {kills} times: the same file"
    )
