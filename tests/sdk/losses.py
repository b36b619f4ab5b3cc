"""Losses of a job that overfits, as files of its output."""

import boto3

STEPS_PER_EPOCH = 5
TRAINING = [round(2.0 * 0.9**step, 4) for step in range(25)]
VALIDATION = [round(1.0 + 0.01 * (step - 12) ** 2, 4) for step in range(25)]
"""Lowest at step 13, in epoch 3 of 5."""
PATHS = {
    "training_loss": "training_artifacts/step_wise_training_metrics.csv",
    "validation_loss": "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
}


def write_losses(job, training=TRAINING, validation=VALIDATION):
    """Replace the losses that the sandbox simulated for a job on Bedrock."""
    bucket, _, prefix = job.refresh().output.removeprefix("s3://").partition("/")
    folder = f"{prefix}model-customization-job-{job.id[-12:]}"
    region = job.id.split(":")[3]
    for name, values in (("training_loss", training), ("validation_loss", validation)):
        rows = [
            f"{step},{(step - 1) // STEPS_PER_EPOCH + 1},{value}"
            for step, value in enumerate(values, 1)
        ]
        content = "\n".join((f"step_number,epoch_number,{name}", *rows))
        boto3.client("s3", region).put_object(
            Bucket=bucket, Key=f"{folder}/{PATHS[name]}", Body=content.encode()
        )
