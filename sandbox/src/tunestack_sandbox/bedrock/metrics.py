"""The files that a job writes: manifests of its input files, and its losses, which are simulated.

The user guide, AWS's samples for Llama and those for Nova have three paths for the validation losses. Each family has its
own path here, so that tests reveal a client that reads only one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack_sandbox.bedrock.state import Job

_MANIFEST_COLUMNS = (
    "fileName",
    "totalProcessedRecordCount",
    "acceptedRecordCount",
    "partiallyAcceptedRecordCount",
    "rejectedRecordCount",
)
_STEPS_PER_EPOCH = 4
_OVERFITTING_FROM = 2 * _STEPS_PER_EPOCH
_OVERFITTING = 0.004
"""Chosen so that the loss of validation is lowest at the end of the third epoch."""
_VALIDATION_PATHS = {
    "amazon": "post_fine_tuning_validation/validation/validation_metrics.csv",
    "meta": "validation_metrics.csv",
}
_USER_GUIDE_VALIDATION_PATH = "post_fine_tuning_validation/validation_metrics.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """The loss of each step."""

    training: list[float]
    validation: list[float]


def output_folder(job: Job) -> str:
    """Return the name of a job's folder in its output location."""
    return f"model-customization-job-{job.arn.rsplit('/', 1)[1]}"


def simulate_losses(job: Job) -> Losses:
    """Return losses that decrease with each step, ever more slowly; that of validation rises after the third epoch."""
    epochs = int(job.hyperparameters.get("epochCount", 1))
    training = [
        round(0.2 + 1.8 * math.exp(-step / _STEPS_PER_EPOCH), 4)
        for step in range(_STEPS_PER_EPOCH * epochs)
    ]
    has_validation = job.params.get("validationDataConfig", {}).get("validators")
    return Losses(
        training=training,
        validation=[
            round(loss * 1.1 + _OVERFITTING * max(0, step - _OVERFITTING_FROM) ** 2, 4)
            for step, loss in enumerate(training)
        ]
        if has_validation
        else [],
    )


def build_metrics_files(job: Job, losses: Losses) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each metrics file."""
    yield (
        "training_artifacts/step_wise_training_metrics.csv",
        _build_csv("training_loss", losses.training),
    )
    if losses.validation:
        is_titan = job.base.family.startswith("titan")
        path = None if is_titan else _VALIDATION_PATHS.get(job.base.publisher)
        yield (
            f"validation_artifacts/{path or _USER_GUIDE_VALIDATION_PATH}",
            _build_csv("validation_loss", losses.validation),
        )


def _build_csv(name: str, values: list[float]) -> str:
    return f"step_number,epoch_number,{name},perplexity\n" + "".join(
        f"{step + 1},{step // _STEPS_PER_EPOCH + 1},{loss},{round(math.exp(loss), 4)}\n"
        for step, loss in enumerate(values)
    )


def build_manifest(kind: str, uri: str, rows: int) -> tuple[str, str]:
    """Return the name and the content of the manifest of an input file."""
    return (
        f"input_status/{kind}/{uri.rsplit('/', 1)[-1]}/manifest.report.csv",
        f"{','.join(_MANIFEST_COLUMNS)}\n{uri},{rows},{rows},0,0\n",
    )
