"""The examples in docs/training-data.md work."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.records.samples import row, turn

GUIDE = (Path(__file__).parents[2] / "docs/training-data.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
(PYTHON,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the file of the guide."""
    rows = [
        row(turn("user", f"where is parcel {number}?"), turn("assistant", "on its way"))
        for number in range(200)
    ]
    text = "".join(json.dumps(record) + "\n" for record in rows)
    (tmp_path / "tickets.jsonl").write_text(text)
    return tmp_path


def test_commands_of_the_guide(folder):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in SHELL:
        environment = os.environ | {"PATH": path}
        subprocess.run(["sh", "-ec", block], cwd=folder, env=environment, check=True)
    assert (folder / "fixed.jsonl").read_text() == (folder / "tickets.jsonl").read_text()
    assert (folder / "validation.jsonl").read_text().count("\n") == 20
    assert (folder / "train.jsonl").read_text().count("\n") == 180


def test_code_of_the_guide(folder):
    done = subprocess.run(
        [sys.executable, "-c", PYTHON], cwd=folder, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("True 200 ")
    assert done.stdout.endswith(" 200\n")
