"""Submit a job exactly once: what it is named by follows from its content, and it is looked for before it is created."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tunestack import cost
from tunestack.arguments import OWN_TAGS
from tunestack.contract import STAGE_TAG
from tunestack.errors import ConflictError, InvalidRequestError
from tunestack.hyperparameters import complete
from tunestack.jobs import SUBMITTED
from tunestack.provider import JobInfo, JobRequest, JobState
from tunestack.records import Dataset, Severity, check_together, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tunestack.catalog import BaseModel
    from tunestack.provider import Provider
    from tunestack.records.source import Source

logger = logging.getLogger(__name__)

_LOGGED = 5
"""Warnings of training data that are logged one by one."""
# Submitting the same again finds a job in one of these; a new attempt is made where there is none.
_ALIVE = frozenset({JobState.PENDING, JobState.RUNNING, JobState.SUCCEEDED, JobState.UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job that somebody wants, every argument checked."""

    model: BaseModel
    identifier: str
    """What the job is created with: the base model's id, or an earlier tuned model's ARN."""
    hyperparameters: Mapping[str, str]
    data: Source
    validation_data: Source | None = None
    data_format: str | None = None
    record_format: str | None = None
    on_loss: str = "error"
    ignore: Collection[str] = ()
    location: str | None = None
    name: str
    output: str
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    rerun: bool = False
    max_cost: float | None = None


def submit(provider: Provider, wanted: Submission) -> JobInfo:
    """Prepare and upload the data and create the job, unless an equal one runs or has succeeded.

    Raises:
        DataError: the data has problems.
        CostError: it would cost more than allowed; nothing was uploaded.
        ProviderError: the vendor refused or failed.
    """
    with _prepared(provider, wanted) as (training, validation):
        if wanted.max_cost is not None:
            _cost(wanted, training).require_below(wanted.max_cost)
        digest = _digest(wanted, training, validation)
        attempts = list(provider.jobs(name_contains=digest))
        alive = None if wanted.rerun else _newest_alive(attempts)
        if alive is not None:
            logger.info("job %s is there already", alive.name)
            return provider.job(alive.id)
        number = 1 + max(map(_attempt, attempts), default=0)

        def upload(dataset: Dataset) -> str:
            return provider.upload(dataset.path, sha256=dataset.sha256, location=wanted.location)

        request = JobRequest(
            base_model=wanted.identifier,
            training_data=upload(training),
            validation_data=None if validation is None else upload(validation),
            hyperparameters=wanted.hyperparameters,
            name=f"{wanted.name}-{wanted.model.key}-{digest}-{number}",
            key=f"{digest}-{number}",
            output=wanted.output,
            tags={**wanted.tags, f"{OWN_TAGS}base-model": wanted.model.key},
        )
    try:
        job_id = provider.create_job(request)
    except (ConflictError, InvalidRequestError):
        # Somebody was faster with the same content under another name: it is the one job.
        faster = _newest_alive(list(provider.jobs(name_contains=digest)))
        if wanted.rerun or faster is None:
            raise
        return provider.job(faster.id)
    logger.info("job %s was submitted: %d records", request.name, training.records)
    return _submitted(job_id, request, provider)


def estimate(provider: Provider, wanted: Submission) -> cost.Cost:
    """Tell what a job would cost; nothing is uploaded or created.

    Raises:
        DataError: the data has problems.
    """
    with _prepared(provider, wanted) as (training, _):
        return _cost(wanted, training)


def own_tags(stage: str) -> dict[str, str]:
    """Tell what everything carries that Tunestack makes for a stage."""
    return {f"{OWN_TAGS}managed-by": "tunestack", STAGE_TAG: stage}


def _cost(wanted: Submission, training: Dataset) -> cost.Cost:
    values = complete(wanted.model, wanted.hyperparameters)
    return cost.of_job(wanted.model, tokens=training.report.tokens.total, hyperparameters=values)


@contextmanager
def _prepared(provider: Provider, wanted: Submission) -> Iterator[tuple[Dataset, Dataset | None]]:
    """Write the data as the model takes it, into files that are there for as long as this is entered."""

    def opened(source: Source) -> Source:
        if isinstance(source, str) and source.startswith("s3://"):
            return provider.open(source)
        return source

    prepared: Callable[..., Dataset] = partial(
        prepare,
        model=wanted.model,
        data_format=wanted.data_format,
        record_format=wanted.record_format,
        on_loss=wanted.on_loss,
        ignore=wanted.ignore,
        owner=wanted.owner,
    )
    with tempfile.TemporaryDirectory(prefix="tunestack-") as name:
        folder = Path(name)
        training = prepared(opened(wanted.data), path=folder / "training.jsonl")
        _log(training, "training data")
        if wanted.validation_data is None:
            yield training, None
            return
        validation = prepared(
            opened(wanted.validation_data), path=folder / "validation.jsonl", validation=True
        )
        _log(validation, "validation data")
        for warning in check_together(training, validation):
            logger.warning("%s", warning)
        yield training, validation


def _log(dataset: Dataset, what: str) -> None:
    """Say what a job does not fail on and a person should know."""
    report = dataset.report
    for problem in report.warnings[:_LOGGED]:
        logger.warning("%s: %s", what, problem)
    count = report.counted(Severity.WARNING)
    if count > _LOGGED:
        logger.warning("%s: %d more warnings", what, count - _LOGGED)
    for place, times in report.losses.items():
        logger.warning("%s: left out %d times, as was asked for: %s", what, times, place)


def _submitted(job_id: str, request: JobRequest, provider: Provider) -> JobInfo:
    """Describe a job that was just created, which the vendor may not show at once."""
    return JobInfo(
        id=job_id,
        name=request.name,
        state=JobState.PENDING,
        raw_state=SUBMITTED,
        base_model=request.base_model,
        created=provider.now(),
        hyperparameters=request.hyperparameters,
        training_data=request.training_data,
        output=request.output,
    )


def _newest_alive(attempts: list[JobInfo]) -> JobInfo | None:
    """Choose the job that an equal request is answered with: the latest attempt that runs or has succeeded."""
    alive = [info for info in attempts if info.state in _ALIVE]
    return max(alive, key=_attempt, default=None)


def _attempt(info: JobInfo) -> int:
    number = info.name.rsplit("-", 1)[-1]
    return int(number) if number.isdecimal() else 0


def _digest(wanted: Submission, training: Dataset, validation: Dataset | None) -> str:
    """Tell requests apart by what decides their result, in 16 hex digits."""
    values = complete(wanted.model, wanted.hyperparameters)
    content = [wanted.identifier, values, training.sha256, validation and validation.sha256]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
