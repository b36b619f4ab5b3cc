"""`tunestack jobs rerun`: submit a job again with the same arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunestack.cli.data_options import ignore_option
from tunestack.cli.groups import examples
from tunestack.cli.identifiers import find_job
from tunestack.cli.options import (
    format_option,
    id_only_option,
    provider_option,
    tuner_options,
    yes_option,
)
from tunestack.cli.submit import submission_options, submit_job
from tunestack.errors import ConfigError
from tunestack.spec.arguments import OWN_TAGS
from tunestack.spec.job_spec import RENDERING_TAG

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider
    from tunestack.jobs.job import Job
    from tunestack.tuner import Tuner


@click.command(
    epilog=examples(
        "tunestack jobs rerun JOB --dry-run",
        "tunestack jobs rerun latest --max-cost 20 --wait",
        page="jobs.md",
    )
)
@click.argument("job")
@ignore_option
@submission_options
@yes_option
@provider_option
@tuner_options
@format_option
@id_only_option
def rerun(job: str, provider: Provider, tuner: Tuner, **options: Any) -> int | None:
    """Submit a job on Bedrock again, with the same model, data, hyperparameters and tags; it is billed again.

    The plan is shown and confirmed as by `submit --rerun`. The data is read from S3, where the job has read it.
    """
    found = find_job(tuner, job, provider)
    return submit_job(tuner, **to_submission(found), **options)


def to_submission(job: Job) -> dict[str, Any]:
    """Return the arguments of `Tuner.submit` that submit a job again.

    Raises:
        ConfigError: the job is not on Bedrock. At OpenAI, method, seed and suffix are not part of `JobInfo`.
    """
    info = job.info
    if not (info.training_data or "").startswith("s3://"):
        raise ConfigError(
            f"job {job.name!r} can't be submitted again by its id, only jobs on Bedrock can: "
            f"use `tunestack submit FILE --model {info.base_model} --rerun`"
        )
    tags = job.backend.job_tags(job.id)
    prefix, is_own, _ = job.name.partition(f"-{job.base.key}-")
    return {
        "model": info.base_model,
        "data": info.training_data,
        "validation_data": info.validation_data,
        "hyperparameters": info.hyperparameters,
        "rendering": tags.get(RENDERING_TAG),
        "tags": {name: value for name, value in tags.items() if not name.startswith(OWN_TAGS)},
        "name": prefix if is_own else "tunestack",
        "rerun": True,
    }
