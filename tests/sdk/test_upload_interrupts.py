"""Ctrl-C while a large file is uploaded in parts: no part stays, and the same command submits one job afterwards."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.sdk.test_cli_interrupts import INTERRUPTED
from tunestack.backends.bedrock import multipart

MIB = 2**20
SMALL_PARTS = f"""
import tunestack.backends.bedrock.multipart as multipart
multipart.PART_BYTES = {5 * MIB}
"""
"""Makes a file of 6 MiB one of two parts; 5 MiB is the smallest part that S3 accepts."""
MOMENTS = {
    # Before, during and after the upload; the number of uploads that stay, without parts.
    "before-send.s3.CreateMultipartUpload": 0,
    "after-call.s3.UploadPart": 0,
    "after-call.s3.CompleteMultipartUpload": 0,
    # The id of the upload was lost, so it can't be aborted: the stage's bucket does it after a day.
    "after-call.s3.CreateMultipartUpload": 1,
    "before-send.s3.UploadPart": 0,
    "before-send.s3.CompleteMultipartUpload": 0,
}


@pytest.fixture
def write_file(tmp_path, monkeypatch):
    """Return a function that writes a training file of a size, with content that no other test has."""
    monkeypatch.chdir(tmp_path)

    def write(size, label):
        answer = "The parcel has left the warehouse and arrives tomorrow. " * 60
        with Path("large.jsonl").open("w") as file:
            while file.tell() < size:
                messages = [
                    {"role": "user", "content": f"{label}: where is parcel {file.tell()}?"},
                    {"role": "assistant", "content": answer},
                ]
                file.write(json.dumps({"messages": messages}) + "\n")

    return write


@pytest.fixture
def list_uploads(sandbox):
    """Return a function that lists the uploads in parts that have not completed, with the numbers of their parts."""
    s3, bucket = boto3.client("s3"), sandbox.deployment().data_bucket

    def list_all():
        uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        return {
            (row["Key"], row["UploadId"]): len(
                s3.list_parts(Bucket=bucket, Key=row["Key"], UploadId=row["UploadId"]).get(
                    "Parts", ()
                )
            )
            for row in uploads
        }

    return list_all


def run_and_interrupt(program, moment, folder):
    temporary = folder / "temporary"
    temporary.mkdir()
    process = subprocess.run(
        [sys.executable, "-c", program, moment, "submit", "large.jsonl", "-m", "nova-micro"],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
        timeout=300,
        check=False,
    )
    assert process.returncode == 130, process.stderr
    assert "Traceback" not in process.stderr
    assert "interrupted; submitted jobs and started endpoints continue" in process.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("moment", "part_size"),
    [
        pytest.param(
            *(moment, size),
            id=f"{moment}-{size}",
            marks=[] if number < 3 and size == 5 else pytest.mark.campaign,
        )
        for size in (5, 64)
        for number, moment in enumerate(MOMENTS)
    ],
)
def test_no_part_stays_and_one_job_is_created_in_all(
    write_file, list_uploads, tmp_path, tuner, cli, monkeypatch, moment, part_size
):
    assert multipart.PART_BYTES == 64 * MIB
    monkeypatch.setattr(multipart, "PART_BYTES", part_size * MIB)
    write_file((part_size + 1) * MIB, f"At {moment}, with {part_size} MiB")
    before = list_uploads()
    program = INTERRUPTED if part_size == 64 else SMALL_PARTS + INTERRUPTED
    run_and_interrupt(program, moment, tmp_path)
    stayed = {upload: parts for upload, parts in list_uploads().items() if upload not in before}
    assert list(stayed.values()) == [0] * MOMENTS[moment]
    assert list(tuner.jobs()) == []
    code, _, err = cli("submit", "large.jsonl", "-m", "nova-micro")
    assert code == 0, err
    (job,) = tuner.jobs()
    assert list_uploads().keys() == before.keys() | stayed.keys()
    bucket, key = job.refresh().training_data.removeprefix("s3://").split("/", 1)
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert len(body) > part_size * MIB
    assert hashlib.sha256(body).hexdigest() in key
    assert cli("submit", "large.jsonl", "-m", "nova-micro")[0] == 0
    assert len(list(tuner.jobs())) == 1
