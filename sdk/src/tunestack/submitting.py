"""Submit a job exactly once: what it is named by follows from its content, and it is looked for before it is created."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tunestack import cost
from tunestack.deleted_models import has_lost_model
from tunestack.errors import ConflictError, InvalidRequestError, ProviderError, QuotaError
from tunestack.formatting import duration_text
from tunestack.hyperparameters import complete
from tunestack.jobs import SUBMITTED
from tunestack.provider import JobInfo, JobRequest, JobState
from tunestack.records import Dataset, Severity, check_together, prepare
from tunestack.temporary import temporary_directory
from tunestack.waiting import appears, seconds, when_free

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tunestack.catalog import BaseModel
    from tunestack.provider import Provider
    from tunestack.records.source import Source
    from tunestack.waiting import Poll

logger = logging.getLogger(__name__)

_LOGGED = 5
"""Warnings of training data that are logged one by one."""
_MOST_ATTEMPTS = 20
QUEUE_TIMEOUT = 24 * 3600.0
"""Seconds to wait for a free job slot with `queue=True`: jobs take several hours, and others may be queued as well."""
# Submitting the same again finds a job in one of these; a new attempt is made where there is none.
_ALIVE = frozenset(JobState) - {JobState.STOPPING, JobState.STOPPED, JobState.FAILED}


class DataReader(Protocol):
    """Opens training data that is stored with the provider."""

    def open(self, uri: str) -> BinaryIO:
        """Open an `s3://` URI."""
        ...


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
    method: str = "supervised"
    seed: int | None = None
    suffix: str | None = None
    queue: float | None = None
    """Seconds to wait for a free job slot; `None` raises at once when there is none."""


def submit(provider: Provider, wanted: Submission, *, poll: Poll) -> JobInfo:
    """Prepare and upload the data and create the job, unless an equal one runs or has succeeded.

    Raises:
        DataError: the data has problems.
        CostError: it would cost more than allowed; nothing was uploaded.
        QuotaError: the account runs as many jobs as it may; with a queue, still after its timeout.
        ProviderError: the provider refused or failed.
    """
    with _prepared(provider, wanted) as (training, validation):
        if wanted.max_cost is not None:
            _cost(wanted, training).require_below(wanted.max_cost)
        digest = _digest(wanted, training, validation)
        attempts = list(provider.attempts(digest))
        if not wanted.rerun:
            existing = _existing(provider, attempts, poll=poll)
            if existing is not None:
                logger.info("job %s exists already", existing.name)
                return existing

        def upload(dataset: Dataset) -> str:
            return provider.upload(dataset.path, sha256=dataset.sha256, location=wanted.location)

        request = JobRequest(
            base_model=wanted.identifier,
            training_data=upload(training),
            validation_data=None if validation is None else upload(validation),
            hyperparameters=wanted.hyperparameters,
            name=f"{wanted.name}-{wanted.model.key}-{digest}",
            key=digest,
            content=digest,
            method=wanted.method,
            seed=wanted.seed,
            suffix=wanted.suffix,
            output=wanted.output,
            tags=wanted.tags,
        )
    info = _create_when_free(provider, request, wanted, attempts, poll=poll)
    logger.info("job %s was submitted: %d records", info.name, training.records)
    return info


def _create_when_free(
    provider: Provider,
    request: JobRequest,
    wanted: Submission,
    attempts: list[JobInfo],
    *,
    poll: Poll,
) -> JobInfo:
    """Create the job; with a queue, wait until the account has a free slot for it.

    Nothing is paid before the job is created, and name and token stay the same, so that every try is the same job.

    Raises:
        QuotaError: no slot was free in time; says what to do.
    """
    if wanted.queue is None:
        return _create_or_find(provider, request, attempts, wanted, poll)
    tries = 0

    def create() -> JobInfo:
        nonlocal tries
        tries += 1
        if tries > 1 and not wanted.rerun:
            # Another process may have submitted the same meanwhile, under another name.
            existing = _existing(provider, list(provider.attempts(request.content)), poll=poll)
            if existing is not None:
                return existing
        return _create_or_find(provider, request, attempts, wanted, poll)

    try:
        return when_free(create, timeout=wanted.queue, poll=poll, waits_for="a free job slot")
    except QuotaError as error:
        if not error.frees_itself:
            raise
        late = QuotaError(
            f"no job slot was free within {duration_text(wanted.queue)}, and nothing was submitted or billed: submit the same again "
            f"(the data is uploaded already), with a longer queue=, or free a slot: {error}",
            code=error.code,
            request_id=error.request_id,
        )
        late.frees_itself = True
        raise late from error


def _create_or_find(
    provider: Provider,
    request: JobRequest,
    attempts: list[JobInfo],
    wanted: Submission,
    poll: Poll,
) -> JobInfo:
    """Create the job, or find the one that another process created under another name at the same moment."""
    try:
        first = 1 + max(map(_attempt, attempts), default=0)
        return _created(provider, request, first, poll)
    except (ConflictError, InvalidRequestError):
        # Another process was faster with the same content under another name: it is the one job.
        known = {info.id for info in attempts}
        later = [info for info in provider.attempts(request.content) if info.id not in known]
        faster = next(_newest_alive(later), None)
        if wanted.rerun or faster is None:
            raise
        return provider.job(faster.id)


def queue_timeout(queue: object) -> float | None:
    """Return how many seconds to wait for a free job slot; `None` where waiting is not wanted.

    Raises:
        ConfigError: it is neither a truth value nor a finite duration.
    """
    if queue is None or queue is False:
        return None
    if queue is True:
        return QUEUE_TIMEOUT
    return seconds(queue.total_seconds() if isinstance(queue, timedelta) else queue, "queue")


def _created(provider: Provider, request: JobRequest, first: int, poll: Poll) -> JobInfo:
    """Create a job, by the number of the attempt; the next one where that was stopped.

    A list may not show yet what was created and stopped a moment ago; then the vendor answers with it. So what was created
    is looked at, as soon as it is shown.
    """
    for number in range(first, first + _MOST_ATTEMPTS):
        asked = replace(request, name=f"{request.name}-{number}", key=f"{request.key}-{number}")
        job_id, info = _named_so(provider, asked, poll=poll)
        # One that has failed by now is this one, and tells why.
        if info is not None and info.state in {JobState.STOPPING, JobState.STOPPED}:
            continue
        return _submitted(job_id if info is None else info.id, asked, provider)
    raise ConflictError(
        f"job {request.name!r} was created and is over, {_MOST_ATTEMPTS} times: something else stops it"
    )


def _named_so(provider: Provider, asked: JobRequest, *, poll: Poll) -> tuple[str, JobInfo | None]:
    """Create a job, or find the one of its name; with it as it is shown, if it is, and if it may be another's by now."""
    try:
        job_id = provider.create_job(asked)
    except ConflictError:
        # The name is taken, and the name follows from the content: it is this job, which may not be shown yet.
        look = partial(provider.job, asked.name)
        info = appears(look, poll=poll) if provider.repeats else None
        if info is None:
            raise
        return info.id, info
    if provider.repeats:
        with suppress(ProviderError):  # it is there, whether it can be seen or not
            return job_id, appears(partial(provider.job, job_id), poll=poll)
    return job_id, None


def estimate(reader: DataReader, wanted: Submission) -> cost.Cost:
    """Estimate the cost of a job; nothing is uploaded or created.

    Raises:
        DataError: the data is invalid.
        CostError: the estimate is above `wanted.max_cost`.
    """
    with _prepared(reader, wanted) as (training, _):
        estimated = _cost(wanted, training)
    if wanted.max_cost is not None:
        estimated.require_below(wanted.max_cost)
    return estimated


def _cost(wanted: Submission, training: Dataset) -> cost.Cost:
    values = complete(wanted.model, wanted.hyperparameters)
    return cost.of_job(
        wanted.model,
        tokens=training.report.tokens.total,
        records=training.records,
        hyperparameters=values,
    )


@contextmanager
def _prepared(reader: DataReader, wanted: Submission) -> Iterator[tuple[Dataset, Dataset | None]]:
    """Write the data as the model takes it, into files that are there for as long as this is entered."""

    def opened(source: Source) -> Source:
        if isinstance(source, str) and source.startswith("s3://"):
            return reader.open(source)
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
    with temporary_directory() as folder:
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


def _existing(provider: Provider, attempts: list[JobInfo], *, poll: Poll) -> JobInfo | None:
    """Find the job that an equal request is answered with: the latest attempt that runs, or has succeeded and left a model."""
    for alive in _newest_alive(attempts):
        # A list may be behind what was stopped a moment ago.
        job = provider.job(alive.id)
        if job.state not in _ALIVE:
            continue
        if job.state is JobState.SUCCEEDED and has_lost_model(provider, job, poll=poll):
            logger.warning(
                "job %s has succeeded, but its custom model %s was deleted: without another attempt, a new job is "
                "started, and billed",
                *(job.name, job.model),
            )
            continue
        return job
    return None


def _newest_alive(attempts: list[JobInfo]) -> Iterator[JobInfo]:
    """List the attempts that run or have succeeded, the latest first."""
    alive = [info for info in attempts if info.state in _ALIVE]
    return iter(sorted(alive, key=_attempt, reverse=True))


def _attempt(info: JobInfo) -> int:
    number = info.name.rsplit("-", 1)[-1]
    return int(number) if number.isdecimal() else 0


def _digest(wanted: Submission, training: Dataset, validation: Dataset | None) -> str:
    """Tell requests apart by what decides their result, in 16 hex digits."""
    values = complete(wanted.model, wanted.hyperparameters)
    content: list[object] = [
        wanted.identifier,
        values,
        training.sha256,
        validation and validation.sha256,
    ]
    if wanted.seed is not None:
        content.append(wanted.seed)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
