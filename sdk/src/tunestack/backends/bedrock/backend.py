"""The backend for Amazon Bedrock: jobs, files, metrics and endpoints."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from tunestack import catalog
from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.checks import run_checks
from tunestack.backends.bedrock.endpoints import BedrockEndpoints
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.events import JobEvents
from tunestack.backends.bedrock.guard import ScheduledGuard
from tunestack.backends.bedrock.inference import BedrockInference
from tunestack.backends.bedrock.metrics import BedrockMetrics
from tunestack.backends.bedrock.models import BedrockModels
from tunestack.backends.bedrock.quotas import explain_quota_errors, read_job_slots, require_job_slot
from tunestack.backends.bedrock.results import BedrockResults
from tunestack.backends.bedrock.runs import BedrockRuns
from tunestack.backends.bedrock.s3 import Location, open_object, require_region
from tunestack.backends.bedrock.storage import BedrockStorage
from tunestack.catalog import Serving
from tunestack.errors import (
    ConfigError,
    DeploymentError,
    RoleError,
    TunestackError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from threading import Event

    from tunestack.backends.base import (
        Check,
        Checkpoint,
        JobInfo,
        JobMessage,
        JobRequest,
        JobSlots,
        JobState,
    )
    from tunestack.backends.protocols import Guard
    from tunestack.catalog import BaseModel

_PAGE = 1000


class BedrockBackend(
    BedrockModels,
    BedrockStorage,
    BedrockInference,
    BedrockResults,
    BedrockRuns,
    BedrockEndpoints,
    BedrockMetrics,
):
    """`Backend` and the optional protocols of endpoints, metrics, events, results and runs, in one region of one account."""

    serving = (Serving.PROVISIONED, Serving.ON_DEMAND)
    has_idempotency_tokens = True
    has_catalog_dates = True

    def __getstate__(self) -> dict[str, object]:
        """Leave out the reader of the event queue, which is created again."""
        return {name: value for name, value in self.__dict__.items() if name != "_events"}

    def base(self, identifier: str) -> BaseModel:
        """Return the base model, by its id or by the ARN of a custom model."""
        return catalog.find(identifier) or catalog.of_custom_model(identifier)

    def check_location(self, location: str) -> None:
        """Raise `ConfigError` if this is not an S3 location, or the job role has no permission to read it."""
        self._location("0" * 64, location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Accept all tags: they were checked by AWS's rules before."""

    def open(self, uri: str) -> BinaryIO:
        """Open an object in S3; raise `AccessError` if another account owns a bucket of the stage."""
        client = self._clients.get("s3", self._region)
        bucket = uri.removeprefix("s3://").partition("/")[0]
        return open_object(client, uri, owner=self._deployment.owner(bucket))

    def upload(self, path: Path, *, sha256: str, location: str | None) -> str:
        """Upload a training file to S3 and return its URI.

        Without a location, the key is `<sha256>.jsonl` below the deployment's data prefix.
        A location that ends in `.jsonl` is the URI of the file; any other location is the folder of the file.

        Raises:
            ConfigError: the job role may not read the location, or the bucket is in another region.
            ConflictError: the location contains other data.
        """
        target = self._location(sha256, location)
        owner = self._deployment.owner(target.bucket)
        is_of_stage = bool(
            self._deployment.data_locations
        )  # not from variables for a bucket and a role
        if target.bucket != self._deployment.data_bucket or not is_of_stage:
            require_region(self._clients.get("s3", self._region), target, owner, self._region)
        self._store(owner).put(path, target, sha256=sha256)
        return str(target)

    def _location(self, sha256: str, s3_path: str | None) -> Location:
        """Return the location of a training file."""
        name = f"{sha256}.jsonl"
        if s3_path is None:
            return Location(self._deployment.data_bucket, self._deployment.datasets_prefix + name)
        location = Location.parse(s3_path)
        if not location.key.endswith(".jsonl"):
            folder = location.key.removesuffix("/")
            location = Location(location.bucket, f"{folder}/{name}" if folder else name)
        readable = self._deployment.data_locations
        if readable and not str(location).startswith(readable):
            raise ConfigError(
                f"the job role is not allowed to read s3_path {s3_path!r}: "
                f"use a location below {', '.join(readable)}"
            )
        return location

    def create_job(self, request: JobRequest) -> str:
        """Create a customization job and return its ARN; billed by the number of trained tokens."""
        deployment = self._deployment
        arguments = wire.create_job(request, deployment)
        try:
            with (
                explain_quota_errors(self._clients, self._region, "job"),
                translate_errors(f"creating job {request.name!r}"),
            ):
                response: Mapping[str, Any] = self._control.create_model_customization_job(
                    **arguments
                )
        except RoleError as error:
            message = f"{error} (job role {deployment.job_role_arn})"
            raise RoleError(
                message, code=error.code, request_id=error.request_id
            ) from error.__cause__
        # The response to a repeated token may have no ARN: the job exists, by its name.
        return response.get("jobArn") or request.name

    def job(self, job_id: str) -> JobInfo:
        """Get a job, by its ARN or name."""
        with translate_errors(f"getting job {job_id!r}"):
            return wire.job_info(self._control.get_model_customization_job(jobIdentifier=job_id))

    def messages(self, job_id: str) -> Iterator[JobMessage]:
        """List the changes of a job's phases, the newest first; Bedrock has no other events of jobs."""
        with translate_errors(f"getting job {job_id!r}"):
            response = self._control.get_model_customization_job(jobIdentifier=job_id)
        return iter(wire.job_messages(response))

    def checkpoints(self, job_id: str) -> Iterator[Checkpoint]:  # noqa: ARG002 - part of the protocol
        """Return none: Bedrock's checkpoints can't be invoked."""
        return iter(())

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[JobInfo]:
        """List the customization jobs, the newest first."""
        arguments = wire.list_jobs(name_contains, state, created_after)
        pages = self._control.get_paginator("list_model_customization_jobs").paginate(
            **arguments, PaginationConfig={"PageSize": _PAGE}
        )
        with translate_errors("listing jobs"):
            for page in pages:
                for row in page.get("modelCustomizationJobSummaries", ()):
                    info = wire.job_info(row)
                    if state in (None, info.state):
                        yield info

    def attempts(self, content: str) -> Iterator[JobInfo]:
        """List the jobs that were created for a content, which is part of their names."""
        return self.jobs(name_contains=content)

    def job_tags(self, job_id: str) -> Mapping[str, str]:
        """Get the tags of a job, by its ARN."""
        return self._tags("job", job_id)

    def tag_job(self, job_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to a job, by its ARN."""
        self._add_tags("job", job_id, tags)

    def listen(
        self, job_ids: Collection[str], timeout: float, *, stop: Event | None = None
    ) -> bool:
        """Wait for an event of one of these jobs in the stage's event queue."""
        return self._events.listen(job_ids, timeout, stop=stop)

    @cached_property
    def _events(self) -> JobEvents:
        try:
            queue = self._deployment.event_queue_url
        except TunestackError:
            queue = None
        return JobEvents(self._clients, self._region, queue)

    def stop_job(self, job_id: str) -> None:
        """Stop a job; it can't be resumed, creates no model, and the tokens trained so far are billed."""
        with translate_errors(f"stopping job {job_id!r}"):
            self._control.stop_model_customization_job(jobIdentifier=job_id)

    def metrics(self, job: JobInfo) -> Sequence[Mapping[str, float]]:
        """Read the losses: one row a step for training, then the rows of validation.

        The files are found by their names, because Bedrock has used three folder layouts.
        """
        if job.output is None:
            return []
        output = Location.parse(job.output)
        store = self._store(job.id.split(":")[4])
        folder = (
            f"{output.key.removesuffix('/')}/model-customization-job-{job.id.rsplit('/', 1)[1]}/"
        )
        keys = sorted(store.list_keys(Location(output.bucket, folder)))
        return [
            row
            for ending in ("step_wise_training_metrics.csv", "validation_metrics.csv")
            for key in keys
            if key.endswith(f"/{ending}")
            for row in store.read_rows(Location(output.bucket, key))
        ]

    def check_quotas(self, *, queue: bool) -> None:
        """Raise `QuotaError` if no job can be created now (or ever, with a queue), as far as quotas can be read."""
        require_job_slot(self._clients, self._region, queue=queue)

    def job_slots(self) -> JobSlots:
        """Read the quota of jobs, and count the running ones."""
        return read_job_slots(self._clients, self._region)

    def checks(self, model: BaseModel | None) -> Iterator[Check]:
        """Check credentials, clock, deployment, bucket, role, guard and quotas; calls nothing that is billed."""
        return run_checks(self._clients, self._region, self._find_with_guard, model)

    def guard(self) -> Guard | None:
        """Return the endpoint guard of the deployment; `None` if nothing is deployed, or it has no guard."""
        with suppress(DeploymentError):
            deployment = self._find_with_guard()
            return ScheduledGuard(self._clients, deployment) if deployment.guard_arn else None
        return None
