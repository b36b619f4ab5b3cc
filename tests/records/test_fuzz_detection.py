"""Arbitrary files of every kind cause no other error than Tunestack's own, no hang, and bounded memory."""

import json
import random
import sys

import pytest

from tests.parameters import every
from tests.records import fuzz_detection
from tests.records.fuzzer import run_fuzzer
from tests.records.my_data import FILES, RECORDS
from tests.records.shape_writers import WRITERS, generate


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Return the content of the files of docs/my-data.md, and a record of each format."""
    directory = tmp_path_factory.mktemp("seeds")
    found = []
    for case in (*FILES, *RECORDS):
        path = directory / case.file
        case.write(path)
        if path.is_file():
            found.append(path.read_bytes())
    for name in WRITERS:
        found += [json.dumps(record).encode() for _, record in generate(name, 1, 2)]
    return [content for content in found if len(content) < 20_000]


def mutate(dice, content):
    """Return a file with some bytes replaced, removed or repeated."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 5)):
        place = dice.randint(0, len(data))
        end = min(len(data), place + dice.randint(0, 30))
        others = [b"", bytes(data[place:end]) * 3, b"\n", b"{", b'"', dice.randbytes(4)]
        data[place:end] = dice.choice(others)
    return bytes(data)


def test_mutated_files_raise_no_other_error(seeds):
    for number in range(4000):
        dice = random.Random(number)
        content = mutate(dice, dice.choice(seeds))
        try:
            fuzz_detection.probe(content)
        except Exception as error:
            raise AssertionError(content) from error


def replace_values(dice, value):
    """Return JSON with some values replaced by values of other types."""
    if dice.random() < 0.1:
        return dice.choice([None, True, 7, -0.5, "text", "", [], {}, [{}], ["x"], {"text": 1}])
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if dice.random() > 0.05}
        return {key: replace_values(dice, item) for key, item in kept.items()}
    if isinstance(value, list):
        return [replace_values(dice, item) for item in value]
    return value


@pytest.mark.parametrize("name", every(3, WRITERS))
def test_records_with_values_of_other_types_raise_no_other_error(name):
    for number, (_, record) in enumerate(generate(name, 5, 100)):
        lines = [record, replace_values(random.Random(number), record)]
        for ordered in (lines, lines[::-1]):
            content = "\n".join(map(json.dumps, ordered)).encode()
            try:
                fuzz_detection.probe(content)
            except Exception as error:
                raise AssertionError(content) from error


@pytest.mark.campaign
@pytest.mark.skipif(sys.platform != "linux", reason="atheris is for Linux")
def test_200_000_files_of_a_coverage_guided_fuzzer(seeds, tmp_path, figure):
    corpus = tmp_path / "corpus"
    executed, peak = run_fuzzer("fuzz_detection.py", corpus, seeds, runs=200_000)
    assert executed >= 200_000
    assert peak < 1000
    figure(f"detection: {executed:,} files, {peak} MB at the peak")
