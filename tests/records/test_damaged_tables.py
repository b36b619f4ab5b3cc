"""Damaged files of tables are errors; they do not end the process."""

import gzip
import io
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunestack.catalog import CATALOG
from tunestack.errors import DataError
from tunestack.records import check

CHECK = (
    "import sys; from tests.records.test_damaged_tables import check_file; check_file(sys.argv[1])"
)
TEXTS = ["What is number 1?", "What is number 2?"]


def write_arrow(new_writer):
    table = pa.table({"question": TEXTS, "answer": ["It is one.", "It is two."]})
    sink = io.BytesIO()
    with new_writer(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def check_file(path):
    with Path(path).open("rb") as file, pytest.raises(DataError, match="Arrow"):
        check(file, CATALOG["nova-pro"])


@pytest.mark.parametrize("new_writer", [pa.ipc.new_file, pa.ipc.new_stream])
def test_offset_outside_of_the_file_is_an_error(tmp_path, new_writer):
    content = write_arrow(new_writer)
    first, second = len(TEXTS[0]), len(TEXTS[0]) + len(TEXTS[1])
    offsets = struct.pack("<iii", 0, first, second)
    assert content.count(offsets) == 1
    damaged = content.replace(offsets, struct.pack("<iii", 0, first, 2**30))
    path = tmp_path / "train.arrow"
    path.write_bytes(damaged)
    # In a process of its own: without the check, it is a segmentation fault.
    done = subprocess.run(
        [sys.executable, "-c", CHECK, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_tables_are_read_from_every_kind_of_file(tmp_path, suffix):
    """Arrow gets a file of the operating system, or a copy, and never a Python file, which its threads would read."""
    path = tmp_path / f"train.{suffix}"
    table = pa.table({"prompt": TEXTS, "completion": ["It is one.", "It is two."]})
    if suffix == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    model = CATALOG["nova-pro"]
    with path.open("rb") as file, path.open("rb", buffering=0) as raw, gzip.open(packed) as stream:
        sources = [path, file, raw, stream, packed, io.BytesIO(path.read_bytes())]
        reports = [check(source, model).to_dict() for source in sources]
    assert reports[0]["records"] == 2
    assert all({**report, "notices": []} == {**reports[0], "notices": []} for report in reports)
