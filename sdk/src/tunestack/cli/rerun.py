"""`tunestack jobs rerun`: submit a job again with the same arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunestack.backends.openai.identifiers import PREFIX
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
from tunestack.errors import AccessError, ConfigError, InvalidRequestError, NotFoundError
from tunestack.spec.arguments import OWN_TAGS
from tunestack.spec.job_spec import RENDERING_TAG

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider
    from tunestack.jobs.job import Job
    from tunestack.records.source import Source
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
    """Submit a job again, with the same model, data, hyperparameters and tags; it is billed again.

    The plan is shown and confirmed as by `submit --rerun`. The data is read from S3, or from the file of the job at OpenAI.
    """
    found = find_job(tuner, job, provider)
    return submit_job(tuner, **to_submission(found), **options)


def to_submission(job: Job) -> dict[str, Any]:
    """Return the arguments of `Tuner.submit` that submit a job again.

    At OpenAI, the hyperparameters and the seed are those of the job, also if OpenAI has chosen them.

    Raises:
        ConfigError: the data of the job can't be read.
    """
    info = job.info
    tags = job.backend.job_tags(job.id)
    prefix, is_own, _ = job.name.partition(f"-{job.base.key}-")
    is_at_openai = job.base.provider == "openai"
    return {
        "model": f"{PREFIX}{info.base_model}" if is_at_openai else info.base_model,
        "data": _source(job, info.training_data or ""),
        "validation_data": info.validation_data and _source(job, info.validation_data),
        # `auto` is the default, and is not sent.
        "hyperparameters": {
            name: value for name, value in info.hyperparameters.items() if value != "auto"
        },
        "rendering": tags.get(RENDERING_TAG),
        "tags": {name: value for name, value in tags.items() if not name.startswith(OWN_TAGS)},
        "name": prefix if is_own else "tunestack",
        "rerun": True,
        "method": info.method,
        "seed": info.seed,
        "suffix": info.suffix,
    }


def _source(job: Job, location: str) -> Source:
    """Return the data of a job: its S3 URI, or the content of its file at OpenAI."""
    if location.startswith("s3://"):
        return location
    try:
        return job.backend.open(location)
    except (AccessError, InvalidRequestError, NotFoundError) as error:
        raise ConfigError(
            f"can't read the file of job {job.name!r}, which may have expired: use your copy of the data, with "
            f"`tunestack submit FILE --model {job.info.base_model} --rerun`: {error}"
        ) from error
