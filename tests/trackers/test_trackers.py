"""Losses and reports are logged to MLflow (SQLite) and to Weights & Biases (offline).

Their packages are not in the lock file of the project. This test installs them, at these versions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunestack import MissingExtraError
from tunestack.report import create_report, log_to_mlflow, log_to_wandb

PACKAGES = ("alembic==1.18.1", "mlflow-skinny==3.17.2", "sqlalchemy==2.0.46", "wandb==0.31.0")
# The packages are installed outside the sandbox, whose proxy refuses connections to the registries. The plugin does not
# change an environment that has an endpoint on loopback.
OUTSIDE = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


@pytest.mark.campaign
def test_a_job_is_logged_to_mlflow_and_wandb(sandbox, tuner, chat, tmp_path):
    command = ["uv", "pip", "install", "--quiet", "--target", tmp_path / "packages", *PACKAGES]
    subprocess.run(command, env=OUTSIDE, check=True)
    job = tuner.submit("nova-micro", chat, validation_data=chat[:8]).wait()
    script = Path(__file__).with_name("log_job.py")
    process = subprocess.run(
        [sys.executable, "-W", "ignore", script, job.id, tmp_path],
        cwd=tmp_path,  # MLflow writes the files of a run to the current directory
        env={**os.environ, **sandbox.variables()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    logged = json.loads(process.stdout.splitlines()[-1])
    report = create_report(job)
    assert report.training_data is not None
    training, validation = report.losses.training, report.losses.validation
    assert training
    assert validation
    mlflow, wandb = logged["mlflow"], logged["wandb"]
    assert mlflow["losses"] == {
        "training_loss": [[step, loss] for step, loss in training.items()],
        "validation_loss": [[step, loss] for step, loss in validation.items()],
    }
    assert mlflow["params"] == report.hyperparameters
    expected = {
        "job": job.id,
        "base_model": job.info.base_model,
        "custom_model": job.model,
        "training_data_sha256": report.training_data.sha256,
    }
    assert expected.items() <= mlflow["tags"].items()
    assert report.training_data.sha256 in Path(mlflow["report"]).read_text()
    assert {**report.hyperparameters, **expected}.items() <= wandb["config"].items()
    assert wandb["history"] == [
        {"_step": step, "training_loss": loss, "validation_loss": validation[step]}
        for step, loss in training.items()
    ]
    assert logged["wandb_id"] == job.name


@pytest.mark.parametrize(("log", "package"), [(log_to_mlflow, "mlflow"), (log_to_wandb, "wandb")])
def test_missing_package_is_named_with_the_command_that_installs_it(job, log, package):
    with pytest.raises(MissingExtraError, match=rf"pip install '{package}'"):
        log(job)
