"""Submit a job exactly once: its name and token are derived from its content, and existing jobs are looked up first."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack.backends.base import JobInfo, JobRequest, JobState
from tunestack.backends.deleted_models import has_lost_model
from tunestack.errors import (
    ConflictError,
    InvalidRequestError,
    ProviderError,
    QuotaError,
    RoleError,
)
from tunestack.jobs.details import SUBMITTED
from tunestack.jobs.plan import Plan, make_plan
from tunestack.jobs.training_data import write_data
from tunestack.polling import wait_until_visible, when_free
from tunestack.spec import cost
from tunestack.spec.job_spec import BASE_MODEL_TAG, RENDERING_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunestack.backends.protocols import Backend, DataStore, Target
    from tunestack.polling import Poll
    from tunestack.records import Dataset
    from tunestack.spec.job_spec import JobSpec

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 20
_ROLE_WITHIN = 120.0
"""Seconds to wait until a job role that was just deployed can be assumed; Terraform's AWS provider waits, too.

Source: internal/service/bedrock/custom_model.go of hashicorp/terraform-provider-aws.
"""
# An equal request is answered with a job in one of these states; otherwise there is a new attempt.
_ALIVE = frozenset(JobState) - {JobState.STOPPING, JobState.STOPPED, JobState.FAILED}


def check_spec(target: Target[DataStore], spec: JobSpec) -> None:
    """Check the arguments of a job against the model and the service; no data is read.

    Raises:
        ConfigError: an argument is invalid.
        HyperparameterError: the model does not accept a hyperparameter.
    """
    spec.check(target.base)
    if spec.s3_path is not None:
        target.backend.check_location(spec.s3_path)
    target.backend.check_tags(_tags(target, spec))


@dataclass(frozen=True, kw_only=True)
class PreparedJob:
    """A job whose data was read and checked, and what exists of it."""

    training: Dataset
    validation: Dataset | None
    content: str
    attempts: list[JobInfo]
    existing: JobInfo | None


def submit(
    target: Target[Backend],
    spec: JobSpec,
    *,
    poll: Poll,
    confirm: Callable[[Plan], object] | None = None,
) -> JobInfo:
    """Prepare and upload the data and create the job, unless an equal one is running or has succeeded.

    Args:
        target: the model to fine-tune.
        spec: the job.
        poll: how to wait.
        confirm: is called with the plan before anything is uploaded; an exception that it raises ends the submission.

    Raises:
        DataError: the data has problems.
        CostError: the job would cost more than allowed; nothing was uploaded.
        QuotaError: the account may run no more jobs now; with a queue, still after its timeout.
        ProviderError: the provider refused or failed.
    """
    backend = target.backend
    with prepare_job(target, spec, poll=poll) as job:
        if confirm is not None:
            confirm(_plan(target, spec, job))
        if job.existing is not None:
            logger.info("job %s exists already", job.existing.name)
            return job.existing
        request = upload_and_build_request(target, spec, job)
    info = _create_when_free(backend, request, job.attempts, poll=poll)
    logger.info("job %s was submitted: %d records", info.name, job.training.records)
    return info


def upload_and_build_request(
    target: Target[Backend], spec: JobSpec, job: PreparedJob
) -> JobRequest:
    """Upload the data of a job, and return its request: that of the existing job, or of the next attempt."""

    def upload(dataset: Dataset) -> str:
        return target.backend.upload(dataset.path, sha256=dataset.sha256, location=spec.s3_path)

    return JobRequest(
        spec=spec,
        base=target.base,
        base_model=target.identifier,
        hyperparameters=spec.resolved_hyperparameters(target.base),
        tags={**_tags(target, spec), **_rendering_tag(job.training)},
        training_data=upload(job.training),
        validation_data=None if job.validation is None else upload(job.validation),
        output=target.output,
        content=job.content,
        attempt=(
            _next_attempt(job.attempts) if job.existing is None else _attempt_of(job.existing)
        ),
    )


def plan(target: Target[Backend], spec: JobSpec, *, poll: Poll) -> Plan:
    """Return what `submit` would do; nothing is uploaded or created.

    Raises:
        DataError: the data has problems.
        CostError: the job would cost more than allowed.
    """
    with prepare_job(target, spec, poll=poll) as job:
        return _plan(target, spec, job)


def _plan(target: Target[Backend], spec: JobSpec, job: PreparedJob) -> Plan:
    return make_plan(
        target.backend,
        target.identifier,
        records=job.training.records,
        validation_records=None if job.validation is None else job.validation.records,
        cost=cost_of(target, spec, job.training),
        existing=job.existing,
    )


@contextmanager
def prepare_job(target: Target[Backend], spec: JobSpec, *, poll: Poll) -> Iterator[PreparedJob]:
    """Write the data to temporary files, check the cost, and look for an equal job."""
    with write_data(target, spec) as (training, validation):
        if spec.max_cost is not None:
            cost_of(target, spec, training).require_below(spec.max_cost)
        content = _digest(target, spec, training, validation)
        attempts = list(target.backend.attempts(content))
        yield PreparedJob(
            training=training,
            validation=validation,
            content=content,
            attempts=attempts,
            existing=None if spec.rerun else _find_existing(target.backend, attempts, poll=poll),
        )


def _tags(target: Target[DataStore], spec: JobSpec) -> Mapping[str, str]:
    return {**(spec.tags or {}), **target.tags, BASE_MODEL_TAG: target.base.key}


def _rendering_tag(training: Dataset) -> Mapping[str, str]:
    rendering = training.report.rendering
    return {} if rendering is None else {RENDERING_TAG: rendering}


def _create_when_free(
    backend: Backend, request: JobRequest, attempts: list[JobInfo], *, poll: Poll
) -> JobInfo:
    """Create the job; with a queue, wait until the account has a free slot for it.

    Nothing is billed before the job is created. Name and token stay the same, so that every try is the same job.

    Raises:
        QuotaError: no slot was free in time; says what to do.
    """
    timeout = request.spec.queue_timeout
    if timeout is None:
        return _create_or_find(backend, request, attempts, poll=poll)
    tries = 0

    def create() -> JobInfo:
        nonlocal tries
        tries += 1
        if tries > 1 and not request.spec.rerun:
            # Another process may have submitted the same meanwhile, under another name.
            existing = _find_existing(backend, list(backend.attempts(request.content)), poll=poll)
            if existing is not None:
                return existing
        return _create_or_find(backend, request, attempts, poll=poll)

    try:
        return when_free(create, timeout=timeout, poll=poll, waits_for="a free job slot")
    except QuotaError as error:
        if not error.frees_itself:
            raise
        late = QuotaError(
            f"no job slot was free within {duration_text(timeout)}, and nothing was submitted or billed: submit the same again "
            f"(the data is uploaded already), with a longer queue=, or free a slot: {error}",
            code=error.code,
            request_id=error.request_id,
        )
        late.frees_itself = True
        raise late from error


def _create_or_find(
    backend: Backend, request: JobRequest, attempts: list[JobInfo], *, poll: Poll
) -> JobInfo:
    """Create the job, or return the one that another process created under another name at the same time."""
    try:
        return _create(backend, request, poll=poll)
    except (ConflictError, InvalidRequestError):
        known = {info.id for info in attempts}
        later = [info for info in backend.attempts(request.content) if info.id not in known]
        other = next(_newest_alive(later), None)
        if request.spec.rerun or other is None:
            raise
        return backend.job(other.id)


def _create(backend: Backend, request: JobRequest, *, poll: Poll) -> JobInfo:
    """Create a job; if this attempt was stopped before, the next one.

    A list may not show a job yet that was created and stopped a moment ago. The provider then answers with that job, so the
    state of what was created is read as soon as it is visible.
    """
    for attempt in range(request.attempt, request.attempt + _MAX_ATTEMPTS):
        request = replace(request, attempt=attempt)
        job_id, info = _create_or_find_by_name(backend, request, poll=poll)
        # A failed job is returned: it is this one, and its failure says why.
        if info is not None and info.state in {JobState.STOPPING, JobState.STOPPED}:
            continue
        return _submitted(job_id if info is None else info.id, request, backend)
    raise ConflictError(
        f"job {request.name!r} was created and stopped {_MAX_ATTEMPTS} times: another process stops it"
    )


def _create_or_find_by_name(
    backend: Backend, request: JobRequest, *, poll: Poll
) -> tuple[str, JobInfo | None]:
    """Create a job, or find the job of its name.

    Returns:
        The id; and the job, if it may have been created before and is visible.
    """
    try:
        job_id = when_free(
            partial(backend.create_job, request),
            timeout=_ROLE_WITHIN,
            poll=poll,
            waits_for="the job role",
            can_wait=_is_about_role,
        )
    except ConflictError:
        # The name is derived from the content, so it is the same job, which may not be visible yet.
        info = None
        if backend.has_idempotency_tokens:
            info = wait_until_visible(partial(backend.job, request.name), poll=poll)
        if info is None:
            raise
        return info.id, info
    if backend.has_idempotency_tokens:
        with suppress(ProviderError):  # it exists, whether it can be read or not
            return job_id, wait_until_visible(partial(backend.job, job_id), poll=poll)
    return job_id, None


def _is_about_role(error: ProviderError) -> bool:
    return isinstance(error, RoleError)


def estimate(target: Target[DataStore], spec: JobSpec) -> cost.Cost:
    """Estimate the cost of a job; nothing is uploaded or created.

    Raises:
        DataError: the data is invalid.
        CostError: the estimate is above `max_cost`.
    """
    with write_data(target, spec) as (training, _):
        estimated = cost_of(target, spec, training)
    if spec.max_cost is not None:
        estimated.require_below(spec.max_cost)
    return estimated


def cost_of(target: Target[DataStore], spec: JobSpec, training: Dataset) -> cost.Cost:
    """Estimate the cost of a job with this data."""
    return cost.of_job(
        target.base,
        tokens=training.report.tokens.total,
        records=training.records,
        hyperparameters=spec.complete_hyperparameters(target.base),
        prices=target.backend.prices(target.base),
    )


def _submitted(job_id: str, request: JobRequest, backend: Backend) -> JobInfo:
    """Describe a job that was just created, which may not be visible yet."""
    return JobInfo(
        id=job_id,
        name=request.name,
        state=JobState.PENDING,
        raw_state=SUBMITTED,
        base_model=request.base_model,
        created=backend.now(),
        hyperparameters=request.hyperparameters,
        training_data=request.training_data,
        output=request.output,
    )


def _find_existing(backend: Backend, attempts: list[JobInfo], *, poll: Poll) -> JobInfo | None:
    """Return the job that answers an equal request: the latest attempt that is running, or succeeded and still has its model."""
    for alive in _newest_alive(attempts):
        # The list may still show a job as running that was stopped a moment ago.
        job = backend.job(alive.id)
        if job.state not in _ALIVE:
            continue
        if job.state is JobState.SUCCEEDED and has_lost_model(backend, job, poll=poll):
            logger.warning(
                "job %s succeeded, but its custom model %s was deleted: unless another attempt still has its model, a "
                "new job is created, and billed",
                *(job.name, job.model),
            )
            continue
        return job
    return None


def _newest_alive(attempts: list[JobInfo]) -> Iterator[JobInfo]:
    """Yield the attempts that are running or have succeeded, the latest first."""
    alive = [info for info in attempts if info.state in _ALIVE]
    return iter(sorted(alive, key=_attempt_of, reverse=True))


def _next_attempt(attempts: list[JobInfo]) -> int:
    return 1 + max(map(_attempt_of, attempts), default=0)


def _attempt_of(info: JobInfo) -> int:
    number = info.name.rsplit("-", 1)[-1]
    return int(number) if number.isdecimal() else 0


def _digest(
    target: Target[DataStore], spec: JobSpec, training: Dataset, validation: Dataset | None
) -> str:
    """Return the digest of everything that decides the result of a job, in 16 hex digits."""
    content: list[object] = [
        target.identifier,
        spec.complete_hyperparameters(target.base),
        training.sha256,
        validation and validation.sha256,
    ]
    if spec.seed is not None:
        content.append(spec.seed)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
