"""Arbitrary input causes no other errors and no hangs, and accepted lines have the same content for every JSON decoder."""

import itertools
import json
import subprocess
import sys

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.records import fuzz
from tests.records.fuzzer import run_fuzzer
from tests.records.samples import (
    LONG,
    PLAIN,
    PREFERENCE,
    WITH_IMAGE,
    WITH_REASONING,
    WITH_TOOLS,
    Generator,
)
from tests.records.test_golden import GOLDEN
from tests.records.test_rules import CASES

NODE = """
const lines = require('fs').readFileSync(0, 'utf8').split('\\n');
lines.pop();
for (const line of lines) console.log(JSON.stringify(JSON.parse(line)));
"""
WORDS = some.sampled_from(
    ["role", "content", "user", "assistant", "system", "tool", "messages", "text", "type", "image_url", "tool_calls",
     "prompt", "completion", "schemaVersion", "bedrock-conversation-2024", "inputText", "outputText", "User:", "a"]
)  # fmt: skip
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20) | WORDS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(WORDS | some.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def seeds():
    """Return valid and invalid records of every kind."""
    for record in (PLAIN, LONG, PREFERENCE, WITH_IMAGE, WITH_REASONING, WITH_TOOLS):
        yield orjson.dumps(record)
    for _, record, written in GOLDEN:
        yield orjson.dumps(record)
        yield orjson.dumps(written)
    for _, _, bad, _, good in CASES:
        for record in (bad, good):
            line = record if isinstance(record, bytes) else orjson.dumps(record)
            if len(line) < 1500:
                yield line


SEEDS = [*seeds()]


@some.composite
def mutated(draw):
    """Return a valid line with some bytes replaced, removed or repeated."""
    line = bytearray(draw(some.sampled_from(SEEDS)))
    for _ in range(draw(some.integers(0, 4))):
        place = draw(some.integers(0, len(line)))
        end = min(len(line), place + draw(some.integers(0, 20)))
        line[place:end] = draw(
            some.sampled_from([b"", line[place:end] * 2]) | some.binary(max_size=4)
        )
    return bytes(line)


def probe_lines(prefix, lines):
    return fuzz.probe(prefix + b"\n".join(lines))


LINES = some.lists(
    some.binary(max_size=60) | mutated() | VALUES.map(lambda value: json.dumps(value).encode()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True)
@given(some.binary(min_size=2, max_size=2), LINES)
def test_mutated_lines_raise_no_other_error(prefix, lines):
    probe_lines(prefix, lines)


def large(value):
    """Return whether a value contains an integer that JavaScript rounds."""
    if isinstance(value, dict | list):
        return any(map(large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and abs(value) > 2**53


def compare_with_node(content):
    """Compare the content of lines in Python and JavaScript; return the number of compared lines."""
    lines = [line for line in content.split(b"\n") if line]
    lines = [line for line in lines if not large(json.loads(line))]
    if not lines:
        return 0
    said = subprocess.run(
        ["node", "-e", NODE], input=b"\n".join(lines) + b"\n", capture_output=True, check=True
    ).stdout
    others = said.removesuffix(b"\n").split(b"\n")
    for line, other in zip(lines, others, strict=True):
        assert json.loads(line) == json.loads(other), line
    return len(lines)


def test_accepted_lines_are_equal_in_python_and_javascript():
    # Each line for a third of the targets.
    cases = list(itertools.product(SEEDS, range(len(fuzz.KEYS)), range(64, 64 + 7 * 2)))[::3]
    accepted = b"".join(fuzz.probe(bytes([model, source]) + line) for line, model, source in cases)
    generator = Generator(3)
    for number in range(500):
        record = generator.conversation(tools=True, images=True, weights=True)
        accepted += fuzz.probe(bytes([number % 11, 70]) + orjson.dumps(record))
    assert compare_with_node(accepted) > 3000


def test_comparison_finds_a_rounded_number(monkeypatch):
    """Negative control."""
    monkeypatch.setattr(sys.modules[__name__], "large", lambda _: False)
    with pytest.raises(AssertionError):
        compare_with_node(b'{"a": 9007199254740993}\n')


@pytest.mark.campaign
@settings(
    max_examples=20_000, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True
)
@given(some.binary(min_size=2, max_size=2), LINES)
def test_twenty_thousand_mutated_lines(prefix, lines):
    probe_lines(prefix, lines)


@pytest.mark.campaign
@pytest.mark.skipif(sys.platform != "linux", reason="atheris is for Linux")
def test_a_million_inputs_of_a_coverage_guided_fuzzer(tmp_path):
    accepted = tmp_path / "accepted"
    inputs = (bytes([number % 11, number % 256]) + line for number, line in enumerate(SEEDS))
    executed, peak = run_fuzzer(
        "fuzz.py", tmp_path / "corpus", inputs, runs=950_000, arguments=[accepted]
    )
    assert executed >= 950_000
    assert peak < 1000
    assert compare_with_node(accepted.read_bytes()) > 3000
