"""The output files of a job: manifests, and metrics in the three paths observed on AWS."""

import csv
import datetime as dt
import io

import boto3
import pytest

from tests.sandbox.samples import A_JOB, LLAMA, NOVA, completion_row, converse_row

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
METRICS_PATHS = {
    NOVA: "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
    LLAMA: "validation_artifacts/validation_metrics.csv",
}


def written(region, bucket, arn):
    """Read all files of a job by their names below its folder."""
    s3 = boto3.client("s3", region)
    prefix = f"tunestack/outputs/model-customization-job-{arn[-12:]}/"
    rows = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    return {
        row["Key"].removeprefix(prefix): s3.get_object(Bucket=bucket, Key=row["Key"])
        for row in rows
    }


@pytest.mark.parametrize(
    ("base", "region", "row"),
    [(NOVA, "us-east-1", converse_row), (LLAMA, "us-west-2", completion_row)],
)
def test_a_job_writes_manifests_and_losses(sandbox, job_request, upload, base, region, row):
    bedrock = boto3.client("bedrock", region)
    rows = [row(number) for number in range(100)]
    validation = upload(rows[:9], "validation.jsonl", region)
    request = job_request(region=region, base=base, rows=rows)
    request["validationDataConfig"] = {"validators": [{"s3Uri": validation}]}
    arn = bedrock.create_model_customization_job(**request)["jobArn"]
    sandbox.clock.advance(A_JOB)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert job["status"] == "Completed", job.get("failureMessage")
    files = written(region, sandbox.deployment(region).data_bucket, arn)
    assert {
        ".write_access_check_file.temp",
        "input_status/training/rows.jsonl/manifest.report.csv",
        "input_status/validation/validation.jsonl/manifest.report.csv",
        "training_artifacts/step_wise_training_metrics.csv",
        METRICS_PATHS[base],
    } == files.keys()
    tables = {
        name: list(csv.DictReader(io.StringIO(file["Body"].read().decode())))
        for name, file in files.items()
    }
    training = tables["training_artifacts/step_wise_training_metrics.csv"]
    assert list(training[0]) == ["step_number", "epoch_number", "training_loss", "perplexity"]
    assert float(training[-1]["training_loss"]) == job["trainingMetrics"]["trainingLoss"]
    losses = tables[METRICS_PATHS[base]]
    assert float(losses[-1]["validation_loss"]) == job["validationMetrics"][0]["validationLoss"]
    manifest = tables["input_status/validation/validation.jsonl/manifest.report.csv"]
    assert [{"9"}, {"9"}, {"0"}] == [
        {row[f"{kind}RecordCount"] for row in manifest}
        for kind in ("totalProcessed", "accepted", "rejected")
    ]
    # The metadata marks the losses as simulated.
    assert {"simulated"} == {file["Metadata"]["tunestack-sandbox"] for file in files.values()}


def test_a_titan_model_uses_the_path_of_the_user_guide():
    from tunestack.catalog import CATALOG
    from tunestack_sandbox.bedrock import metrics
    from tunestack_sandbox.bedrock.state import Job

    (titan,) = [model for model in CATALOG if model.key == "titan-text-express"]
    params = {"validationDataConfig": {"validators": [{"s3Uri": "s3://b/k"}]}}
    job = Job(
        arn="a/b",
        name="j",
        params=params,
        base=titan,
        hyperparameters={},
        source="",
        created=NOW,
        modified=NOW,
    )
    names = [name for name, _ in metrics.build_metrics_files(job, metrics.simulate_losses(job))]
    assert "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv" in names
