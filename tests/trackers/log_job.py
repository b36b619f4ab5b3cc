"""Log a job of the sandbox to MLflow and Weights & Biases, and print what they stored: log_job.py JOB_ID FOLDER."""

import json
import os
import struct
import sys
import time
from pathlib import Path

job_id, folder = sys.argv[1], Path(sys.argv[2])
# After the packages of the project, whose versions are tested with it.
sys.path.append(str(folder / "packages"))
os.environ |= {
    "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    "WANDB_MODE": "offline",
    "WANDB_DIR": str(folder),
    "WANDB_SILENT": "true",
}

import mlflow  # noqa: E402
from wandb.proto import wandb_internal_pb2  # noqa: E402

from tunestack import Tuner  # noqa: E402
from tunestack.report import log_to_mlflow, log_to_wandb  # noqa: E402


def read_mlflow(run_id):
    """Return what MLflow stored."""
    client = mlflow.MlflowClient()
    data = client.get_run(run_id).data
    return {
        "params": data.params,
        "tags": data.tags,
        "losses": {
            name: [[row.step, row.value] for row in client.get_metric_history(run_id, name)]
            for name in data.metrics
        },
        "report": client.download_artifacts(run_id, "report.html", str(folder)),
    }


def read_records(content):
    """Yield the records of a file in LevelDB's log format: blocks of 32 KiB, after a header of 7 bytes."""
    position, record = 7, b""
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        size, kind = struct.unpack("<HB", content[position + 4 : position + 7])
        if position + 7 + size > len(content):  # it is being written
            return
        record += content[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a full record, or its last part
            yield record
            record = b""


def read_wandb():
    """Return what Weights & Biases stored in its file of an offline run, or `None` if it has not written all of it."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    history, config, is_complete = [], {}, False
    for data in read_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        is_complete = is_complete or record.HasField("exit")
        for item in record.run.config.update:
            config[item.key] = json.loads(item.value_json)
        row = {
            item.key or item.nested_key[0]: json.loads(item.value_json)
            for item in record.history.item
        }
        if "training_loss" in row:
            history.append(
                {name: row.get(name) for name in ("_step", "training_loss", "validation_loss")}
            )
    return {"config": config, "history": history} if is_complete else None


job = Tuner().job(job_id)
mlflow_run = read_mlflow(log_to_mlflow(job, experiment="parcels"))
wandb_id = log_to_wandb(job, project="parcels")
end = time.monotonic() + 60
while (wandb_run := read_wandb()) is None and time.monotonic() < end:
    time.sleep(0.1)  # its process writes the file, also after the run was finished
print(json.dumps({"mlflow": mlflow_run, "wandb": wandb_run, "wandb_id": wandb_id}))
