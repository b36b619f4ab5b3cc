"""The files that a job writes: manifests of what it read, and its losses, all of them made up.

Where the validation losses are differs: the user guide, AWS's samples for Llama and those for Nova have three places.
Each family gets its own here, so that a reader that knows only one is found out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack_sandbox.bedrock.state import Job

_MANIFEST = (
    "fileName",
    "totalProcessedRecordCount",
    "acceptedRecordCount",
    "partiallyAcceptedRecordCount",
    "rejectedRecordCount",
)
_STEPS = 4
"""Steps of an epoch."""
_VALIDATION = {
    "amazon": "post_fine_tuning_validation/validation/validation_metrics.csv",
    "meta": "validation_metrics.csv",
}
_VALIDATION_OF_THE_GUIDE = "post_fine_tuning_validation/validation_metrics.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """Loss by step."""

    training: list[float]
    validation: list[float]


def folder(job: Job) -> str:
    """Name the folder of a job below its output location."""
    return f"model-customization-job-{job.arn.rsplit('/', 1)[1]}"


def losses(job: Job) -> Losses:
    """Make up losses: they fall, more slowly every step."""
    epochs = int(job.hyperparameters.get("epochCount", 1))
    training = [round(0.2 + 1.8 * math.exp(-step / _STEPS), 4) for step in range(_STEPS * epochs)]
    validated = job.params.get("validationDataConfig", {}).get("validators")
    return Losses(
        training=training,
        validation=[round(loss * 1.1, 4) for loss in training] if validated else [],
    )


def files(job: Job, made: Losses) -> Iterator[tuple[str, str]]:
    """Write the metrics; yields name and content."""
    yield (
        "training_artifacts/step_wise_training_metrics.csv",
        _table("training_loss", made.training),
    )
    if made.validation:
        titan = job.base.family.startswith("titan")
        place = _VALIDATION_OF_THE_GUIDE if titan else _VALIDATION.get(job.base.vendor)
        yield (
            f"validation_artifacts/{place or _VALIDATION_OF_THE_GUIDE}",
            _table("validation_loss", made.validation),
        )


def _table(name: str, values: list[float]) -> str:
    return f"step_number,epoch_number,{name},perplexity\n" + "".join(
        f"{step + 1},{step // _STEPS + 1},{loss},{round(math.exp(loss), 4)}\n"
        for step, loss in enumerate(values)
    )


def manifest(kind: str, uri: str, rows: int) -> tuple[str, str]:
    """Write the report of a file that was read; returns name and content."""
    return (
        f"input_status/{kind}/{uri.rsplit('/', 1)[-1]}/manifest.report.csv",
        f"{','.join(_MANIFEST)}\n{uri},{rows},{rows},0,0\n",
    )
