"""The backend for OpenAI and OpenAI-compatible servers."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import openai

from tunestack import catalog
from tunestack.backends.base import Check, Verdict
from tunestack.backends.openai import servers, wire
from tunestack.backends.openai.client import client_settings, create_client
from tunestack.backends.openai.errors import translate_errors
from tunestack.backends.openai.files import open_file, require_processed, upload_file
from tunestack.backends.openai.inference import OpenAIInference
from tunestack.backends.openai.models import OPENAI_OWNERS, OpenAIModels
from tunestack.backends.openai.offline import OpenAIStore
from tunestack.backends.openai.wire import iterate_rows
from tunestack.catalog import LifecycleState, Serving
from tunestack.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    TransientError,
)
from tunestack.polling import retry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from openai.types.fine_tuning import FineTuningJob

    from tunestack.backends.base import (
        Checkpoint,
        EndpointInfo,
        JobInfo,
        JobMessage,
        JobRequest,
        JobState,
    )
    from tunestack.catalog import BaseModel
    from tunestack.polling import Poll

logger = logging.getLogger(__name__)

_BUSY_TIMEOUT = 300.0
"""Seconds for which an upload or a create is retried while the server is busy."""
_VISIBILITY_DELAY = 2.0
"""Seconds after which processes that created the same job at the same time see each other's: times are whole seconds."""
_UNSUCCESSFUL = ("failed", "cancelled")
_PAGE = 100


class OpenAIBackend(OpenAIStore, OpenAIModels, OpenAIInference):
    """`Backend` and `PausableJobs` of one project; fine-tuned models are invoked by their names, and cost nothing while idle."""

    serving = (Serving.DIRECT,)
    has_idempotency_tokens = False
    scope = "openai"

    def __init__(self, client: openai.OpenAI, *, poll: Poll) -> None:
        """Store the client; no call is made here.

        Args:
            client: a client of the openai package, with key, organization, project and base URL.
            poll: how to wait.
        """
        self._client = client
        # A retried create call creates another job, which is billed.
        self._client_without_retries = client.with_options(max_retries=0)
        self._poll = poll
        self._clock_offset = timedelta(0)
        # Behind a gateway, this is known after the first response.
        self.has_catalog_dates = servers.is_openai(client.base_url)

    def __getstate__(self) -> dict[str, object]:
        """Keep the settings of the client, and leave out the key and the client."""
        return {"client_settings": client_settings(self._client), "poll": self._poll}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Create the client again, with the key in the environment."""
        OpenAIBackend.__init__(self, create_client(state["client_settings"]), poll=state["poll"])

    def base(self, identifier: str) -> BaseModel:
        """Return the base model; a model that is not in the catalog belongs to an OpenAI-compatible server."""
        return catalog.find(identifier) or catalog.unknown(identifier)

    def lifecycle(self, model: BaseModel) -> LifecycleState | None:
        """Return `RETIRED` if the model does not exist or its shutdown date has passed; else `None`.

        OpenAI has no API for whether a model can be fine-tuned: only creating a job tells. Logs a warning if the model has a
        shutdown date. The dates of the catalog apply to OpenAI's own API only.
        """
        try:
            with translate_errors(f"getting model {model.customization_id!r}"):
                response = self._client.models.with_raw_response.retrieve(model.customization_id)
                details = response.parse()
        except NotFoundError:
            return LifecycleState.RETIRED
        except TransientError:
            return None
        with suppress(ValueError, TypeError, KeyError):
            server_time = parsedate_to_datetime(response.headers["date"])
            self._clock_offset = server_time - datetime.now(UTC)
        self.has_catalog_dates |= servers.ORGANIZATION_HEADER in response.headers
        end = _parse_date(getattr(details, "shutdown_date", None))
        if end is None and self.has_catalog_dates:
            end = model.lifecycle.end_of_life
        if end is not None and end <= self.now().date():
            return LifecycleState.RETIRED
        if end is not None:
            logger.warning(
                "%s is shut down on %s, with all models fine-tuned from it",
                *(model.name, end.isoformat()),
            )
        return None

    def serves(self, identifier: str) -> bool:
        """Return whether the server has this model, and it is not OpenAI's own: it may be fine-tuned without a catalog entry."""
        try:
            with translate_errors(f"getting model {identifier!r}"):
                return self._client.models.retrieve(identifier).owned_by not in OPENAI_OWNERS
        except NotFoundError:
            return False

    def check_quotas(self, *, queue: bool) -> None:
        """Do nothing: OpenAI has no API for the limits of fine-tuning jobs."""

    def upload(self, path: Path, *, sha256: str, location: str | None) -> str:
        """Upload a training file and return its id; the same content is not uploaded twice.

        Files of up to 512 MB are uploaded in one request, larger ones in parts. A file expires after 30 days, if the server
        supports expiry.
        """
        if location is not None:
            self.check_location(location)
        upload = partial(upload_file, self._client, path, sha256=sha256, now=self.now())
        return retry(upload, timeout=_BUSY_TIMEOUT, poll=self._poll)

    def open(self, uri: str) -> BinaryIO:
        """Open a file of the project, by its id."""
        return super().open(uri) if "://" in uri else open_file(self._client, uri)

    def create_job(self, request: JobRequest) -> str:
        """Create a job and return its id; billed by the number of trained tokens. The same request twice is one job.

        The API has no idempotency tokens, so the job has the key of the request in its metadata. Before a request is retried,
        the jobs with this key are listed. If two processes create the job at the same time, the first job stays, the other one
        is cancelled before it trains, and both processes get the first.
        """
        arguments = wire.create_job(request)
        attempts = 0

        def create_or_find_job() -> str:
            nonlocal attempts
            attempts += 1
            # If the response was lost, the job may exist.
            existing = self._find_job(request) if attempts > 1 else None
            if existing is not None:
                return existing.id
            with translate_errors(f"creating job {request.name!r}"):
                job = self._create(arguments)
                if not (job.metadata or {}).get(wire.KEY):
                    logger.warning(
                        "this server stores no metadata: submitting the same job again creates another job"
                    )
                return job.id

        job_id = retry(create_or_find_job, timeout=_BUSY_TIMEOUT, poll=self._poll)
        self._poll.sleep(_VISIBILITY_DELAY)
        return self._cancel_duplicates(request, job_id)

    def _create(self, arguments: Mapping[str, Any]) -> FineTuningJob:
        try:
            return self._client_without_retries.fine_tuning.jobs.create(**arguments)
        except openai.BadRequestError as error:
            require_processed(self._client, arguments, error)
            raise

    def _cancel_duplicates(self, request: JobRequest, job_id: str) -> str:
        """Cancel the jobs of a request that other processes created at the same time; return the first job, which stays."""
        list_jobs = partial(self._list_active, request)
        try:
            jobs = retry(list_jobs, timeout=_BUSY_TIMEOUT, poll=self._poll)
        except ProviderError as error:
            # The job exists, so the caller gets it.
            logger.warning("could not check whether job %s was created twice: %s", job_id, error)
            return job_id
        if not jobs:  # the job is not listed yet, and no other one exists
            return job_id
        first, *others = jobs
        for other in others:
            logger.warning("job %s was created twice: cancelling %s", first.id, other.id)
            try:
                retry(partial(self._cancel, other.id), timeout=_BUSY_TIMEOUT, poll=self._poll)
            except ProviderError as error:
                logger.warning("could not cancel %s, it may be billed: %s", other.id, error)
        return first.id

    def _list_active(self, request: JobRequest) -> list[FineTuningJob]:
        """List the jobs of a request that have not failed and were not cancelled, the oldest first."""
        with translate_errors(f"finding job {request.name!r}"):
            jobs = self._list_by_metadata(wire.KEY, request.key)
        return [job for job in jobs if job.status not in _UNSUCCESSFUL]

    def _list_by_metadata(self, field: str, value: str) -> list[FineTuningJob]:
        """List the jobs with a value in their metadata, the oldest first."""
        pages = self._client.fine_tuning.jobs.list(limit=_PAGE, metadata={field: value})
        # Servers without metadata list all jobs.
        jobs = [job for job in iterate_rows(pages) if (job.metadata or {}).get(field) == value]
        return sorted(jobs, key=lambda job: (job.created_at, job.id))

    def _find_job(self, request: JobRequest) -> FineTuningJob | None:
        """Return the job of a request, if it exists.

        Raises:
            ConflictError: the server stores no metadata, and a job with the same training file exists.
        """
        jobs = self._list_active(request)
        if jobs:
            return jobs[0]
        with translate_errors(f"finding job {request.name!r}"):
            for job in iterate_rows(self._client.fine_tuning.jobs.list(limit=_PAGE)):
                if not job.metadata and job.training_file == request.training_data:
                    raise ConflictError(
                        f"creating job {request.name!r}: the response was lost, and {job.id} may be this job, but the server "
                        f"stores no metadata to verify that: attach to it with openai/{job.id}, or cancel it and submit again"
                    )
        return None

    def _cancel(self, job_id: str) -> None:
        """Cancel a job; does nothing if it has ended."""
        try:
            self.stop_job(job_id)
        except InvalidRequestError:
            logger.debug("job %s had ended before it could be cancelled", job_id)

    def job(self, job_id: str) -> JobInfo:
        """Get a job, by its id."""
        with translate_errors(f"getting job {job_id!r}"):
            return wire.job_info(self._client.fine_tuning.jobs.retrieve(job_id))

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[JobInfo]:
        """List the jobs of the project, the newest first."""
        with translate_errors("listing jobs"):
            for job in iterate_rows(self._client.fine_tuning.jobs.list(limit=_PAGE)):
                info = wire.job_info(job)
                # The API does not document the order of the jobs.
                if created_after is not None and info.created and info.created < created_after:
                    continue
                if (name_contains or "") in info.name and state in (None, info.state):
                    yield info

    def attempts(self, content: str) -> Iterator[JobInfo]:
        """List the jobs that were created for a content, by their metadata; duplicates that are being cancelled are left out.

        Waits if a job was created less than 2 seconds ago, because it may be a duplicate: see `create_job`.
        """
        with translate_errors("listing jobs"):
            jobs = self._list_by_metadata(wire.CONTENT, content)
            recent = self.now().timestamp() - _VISIBILITY_DELAY
            if any(job.created_at > recent and job.status not in _UNSUCCESSFUL for job in jobs):
                self._poll.sleep(_VISIBILITY_DELAY)
                jobs = self._list_by_metadata(wire.CONTENT, content)
        active_keys = set()
        for job in jobs:
            key = (job.metadata or {}).get(wire.KEY)
            if job.status in _UNSUCCESSFUL or key not in active_keys:
                yield wire.job_info(job)
            if job.status not in _UNSUCCESSFUL:
                active_keys.add(key)

    def job_tags(self, job_id: str) -> Mapping[str, str]:
        """Get the metadata of a job."""
        with translate_errors(f"getting the metadata of job {job_id!r}"):
            return dict(self._client.fine_tuning.jobs.retrieve(job_id).metadata or {})

    def stop_job(self, job_id: str) -> None:
        """Cancel a job; it can't be resumed."""
        with translate_errors(f"cancelling job {job_id!r}"):
            self._client.fine_tuning.jobs.cancel(job_id)

    def pause_job(self, job_id: str) -> None:
        """Pause a job."""
        with translate_errors(f"pausing job {job_id!r}"):
            self._client.fine_tuning.jobs.pause(job_id)

    def resume_job(self, job_id: str) -> None:
        """Resume a paused job."""
        with translate_errors(f"resuming job {job_id!r}"):
            self._client.fine_tuning.jobs.resume(job_id)

    def messages(self, job_id: str) -> Iterator[JobMessage]:
        """List the events of a job, the newest first."""
        with translate_errors(f"listing the events of job {job_id!r}"):
            events = self._client.fine_tuning.jobs.list_events(job_id, limit=_PAGE)
            for event in iterate_rows(events):
                yield wire.job_message(event)

    def checkpoints(self, job_id: str) -> Iterator[Checkpoint]:
        """List the checkpoints of a job: OpenAI keeps those of the last three epochs."""
        with translate_errors(f"listing the checkpoints of job {job_id!r}"):
            for row in iterate_rows(self._client.fine_tuning.jobs.checkpoints.list(job_id)):
                yield wire.checkpoint(row)

    def metrics(self, job: JobInfo) -> Sequence[Mapping[str, float]]:
        """Read the result file of a job."""
        if job.output is None:
            return []
        with translate_errors(f"reading the metrics of job {job.name!r}"):
            return wire.metrics(self._client.files.content(job.output).read())

    def endpoint(self, endpoint_id: str, serving: Serving | None = None) -> EndpointInfo:  # noqa: ARG002 - there is one way
        """Get a fine-tuned model, which is its own endpoint."""
        with translate_errors(f"getting model {endpoint_id!r}"):
            model = self._client.models.retrieve(endpoint_id)
        return wire.endpoint_info(model.id, model.created)

    def endpoints(
        self,
        *,
        model: str | None = None,
        serving: Serving | None = None,  # noqa: ARG002 - there is one way
    ) -> Iterator[EndpointInfo]:
        """List the fine-tuned models of the project, which are their own endpoints."""
        with translate_errors("listing models"):
            for row in self._client.models.list():
                if row.id.startswith("ft:") and model in (None, row.id):
                    yield wire.endpoint_info(row.id, row.created)

    def now(self) -> datetime:
        """Return the time by the server's clock, as of its last response to `lifecycle`; by this machine's before the first."""
        return datetime.now(UTC) + self._clock_offset

    def checks(self, model: BaseModel | None) -> Iterator[Check]:
        """Check the key; eligibility is unknown until a job is created."""
        try:
            with translate_errors("listing models"):
                count = sum(1 for _ in self._client.models.list())
        except ProviderError as error:
            fix = "set OPENAI_API_KEY, or pass a client"
            yield Check(name="key", verdict=Verdict.FAIL, detail=str(error), fix=fix)
            return
        yield Check(
            name="key", verdict=Verdict.PASS, detail=f"{self._client.base_url}, {count} models"
        )
        if model is not None:
            yield Check(
                name="eligibility",
                verdict=Verdict.UNKNOWN,
                detail="only creating a job tells whether OpenAI still allows this organization to fine-tune",
            )


def _parse_date(value: object) -> date | None:
    """Parse a date: a timestamp, an ISO date or a `date`; `None` if it is none of these."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).date()
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).date()
        except ValueError:
            return None
    return value if isinstance(value, date) else None
