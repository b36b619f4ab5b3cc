"""Damaged files of tables are errors; they do not end the process."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

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
