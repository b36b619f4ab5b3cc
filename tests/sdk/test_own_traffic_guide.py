"""The commands in docs/own-traffic.md work, from logs in a bucket to a job."""

import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.records.log_samples import CLAUDE, FOLDER, converse_entry, pack
from tunestack import Tuner

GUIDE = (Path(__file__).parents[2] / "docs/own-traffic.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
(PYTHON,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.as_root
def test_commands_of_the_guide(sandbox, tmp_path):
    client = boto3.client("s3", "us-east-1")
    client.create_bucket(Bucket="my-logs")
    chosen = {"model": CLAUDE, "requestMetadata": {"app": "support"}}
    entries = [
        converse_entry(number, question=f"Where is parcel {number}, ann@example.com?", **chosen)
        for number in range(120)
    ]
    entries += [converse_entry(200), converse_entry(201, model=CLAUDE)]
    client.put_object(
        Bucket="my-logs", Key=f"app/{FOLDER}/2026/11/02/10/part.json.gz", Body=pack(entries)
    )
    (tmp_path / "privacy.py").write_text(PYTHON)
    outputs = []
    for block in SHELL:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-ec", block],
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    collected, looked, _ = outputs
    assert "120 records of 122 log entries in 1 files" in collected
    assert "1  other models" in collected
    assert "1  other request metadata" in collected
    assert "[email]?" in looked
    assert "ann@" not in (tmp_path / "traffic.jsonl").read_text()
    (job,) = Tuner().jobs()
    assert "nova-lite" in job.refresh().base_model
