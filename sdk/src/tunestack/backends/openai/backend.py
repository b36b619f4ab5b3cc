"""Everything that speaks OpenAI's fine-tuning API: OpenAI itself, and servers with another base URL."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from tunestack import catalog
from tunestack.backends.base import Check, Verdict
from tunestack.backends.openai import wire
from tunestack.backends.openai.client import client_of, specified
from tunestack.backends.openai.errors import translated
from tunestack.backends.openai.files import upload
from tunestack.backends.openai.models import OWN, OpenAIModels
from tunestack.backends.openai.wire import each
from tunestack.catalog import LifecycleState, Serving
from tunestack.errors import (
    BusyError,
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

    import openai
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

_PATIENT = 300.0
"""Seconds for which an upload or a create is tried again while the server is busy."""
_SETTLED = 2.0
"""Seconds after which whoever created the same job at the same moment sees it: times are whole seconds."""
_LOST = ("failed", "cancelled")
_PAGE = 100


class OpenAIBackend(OpenAIModels):
    """`Backend`, `PausableJobs` and `JobDetails` of one project; fine-tuned models are invoked by their names, and cost nothing while idle."""

    serving = (Serving.DIRECT,)
    has_idempotency_tokens = False
    scope = "openai"

    def __init__(self, client: openai.OpenAI, *, poll: Poll) -> None:
        """Take who calls.

        Args:
            client: the openai package's, with key, organization, project and base URL.
            poll: how to wait.
        """
        self._client = client
        # A create that is sent again is another job, and billed.
        self._once = client.with_options(max_retries=0)
        self._poll = poll
        self._ahead = timedelta(0)

    def __getstate__(self) -> dict[str, object]:
        """Keep what was specified, and leave out the key and the client."""
        return {"specified": specified(self._client), "poll": self._poll}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the key again."""
        OpenAIBackend.__init__(self, client_of(state["specified"]), poll=state["poll"])

    def base(self, identifier: str) -> BaseModel:
        """Tell the base model; one that the catalog does not have is some server's own."""
        return catalog.find(identifier) or catalog.unknown(identifier)

    def lifecycle(self, model: BaseModel) -> LifecycleState | None:
        """Ask whether the model is there, and until when; whether it can be tuned, OpenAI says to those alone who try."""
        try:
            with translated(f"looking at model {model.customization_id!r}"):
                said = self._client.models.with_raw_response.retrieve(model.customization_id)
                found = said.parse()
        except NotFoundError:
            return LifecycleState.RETIRED
        except TransientError:
            return None
        with suppress(ValueError, TypeError, KeyError):
            self._ahead = parsedate_to_datetime(said.headers["date"]) - datetime.now(UTC)
        end = _day(getattr(found, "shutdown_date", None)) or model.lifecycle.end_of_life
        if end is not None and end <= self.now().date():
            return LifecycleState.RETIRED
        if end is not None:
            logger.warning(
                "%s is shut down on %s, with everything tuned from it", model.name, end.isoformat()
            )
        return None

    def serves(self, identifier: str) -> bool:
        """Tell whether the server has a model that is not OpenAI's own, and so may be tuned though the catalog has it not."""
        try:
            with translated(f"looking at model {identifier!r}"):
                return self._client.models.retrieve(identifier).owned_by not in OWN
        except NotFoundError:
            return False

    def check_location(self, location: str) -> None:
        """Refuse any: OpenAI keeps the data itself."""
        raise wire.location_not_accepted(location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Refuse more than a job's metadata has room for."""
        wire.require_fitting(tags)

    def check_quotas(self, *, queue: bool) -> None:
        """Check nothing: OpenAI has no API for the limits of fine-tuning jobs."""

    def open(self, uri: str) -> BinaryIO:
        """Open nothing: what lies elsewhere is read there."""
        raise wire.not_a_local_file(uri)

    def upload(self, path: Path, *, sha256: str, location: str | None) -> str:
        """Upload a training file and return its id; one with the same content, which its name tells, is not uploaded twice.

        Up to 512 MB go at once, more in parts. A file goes after thirty days, on servers that know how.
        """
        if location is not None:
            self.check_location(location)
        uploaded = partial(upload, self._client, path, sha256=sha256, now=self.now())
        return retry(uploaded, timeout=_PATIENT, poll=self._poll)

    def create_job(self, request: JobRequest) -> str:
        """Create a job, billed by the token trained, and return its id; the same request twice is one job.

        The API knows of no token for that. So a job carries its key in its metadata, is looked for before it is asked for
        again, and is never asked for again without a look. Of two that were asked for at the same moment, the first stays,
        and the other is cancelled before it trains: whoever made it is given the first.
        """
        arguments = wire.create_job(request)
        tried: list[bool] = []

        def created() -> str:
            # After an answer that was lost the job may be there.
            there = self._first(request) if tried else None
            tried.append(True)
            if there is not None:
                return there.id
            with translated(f"creating job {request.name!r}"):
                made = self._once.fine_tuning.jobs.create(**arguments)
                if not (made.metadata or {}).get(wire.KEY):
                    logger.warning(
                        "this server keeps no metadata: the same submitted again is another job"
                    )
                return made.id

        job_id = retry(created, timeout=_PATIENT, poll=self._poll)
        self._poll.sleep(_SETTLED)
        return self._settled(request, job_id)

    def _settled(self, request: JobRequest, job_id: str) -> str:
        """Keep the first of the jobs of a request, and cancel those that somebody else asked for at the same moment."""
        try:
            found = retry(partial(self._all, request), timeout=_PATIENT, poll=self._poll)
        except ProviderError as error:
            # The job is there, and whoever made it is to have it.
            logger.warning("whether job %s is there twice can't be told: %s", job_id, error)
            return job_id
        if not found:  # it is not listed yet, and nobody else's is
            return job_id
        first, *others = found
        for other in others:
            logger.warning("job %s is there twice: %s is cancelled", first.id, other.id)
            try:
                retry(partial(self._cancel, other.id), timeout=_PATIENT, poll=self._poll)
            except ProviderError as error:
                logger.warning("%s is not cancelled, and may be billed: %s", other.id, error)
        return first.id

    def _all(self, request: JobRequest) -> list[FineTuningJob]:
        """List the jobs of a request that go on or have succeeded, the first one first."""
        with translated(f"looking for job {request.name!r}"):
            found = self._with(wire.KEY, request.key)
        return [job for job in found if job.status not in _LOST]

    def _with(self, field: str, value: str) -> list[FineTuningJob]:
        """List the jobs with something in their metadata, the first one first."""
        listed = each(self._client.fine_tuning.jobs.list(limit=_PAGE, metadata={field: value}))
        # Servers that know no metadata list all jobs.
        found = [job for job in listed if (job.metadata or {}).get(field) == value]
        return sorted(found, key=lambda job: (job.created_at, job.id))

    def _first(self, request: JobRequest) -> FineTuningJob | None:
        found = self._all(request)
        if found:
            return found[0]
        with translated(f"looking for job {request.name!r}"):
            for job in each(self._client.fine_tuning.jobs.list(limit=_PAGE)):
                if not job.metadata and job.training_file == request.training_data:
                    raise ConflictError(
                        f"creating job {request.name!r}: the answer was lost, and {job.id} may be the job: this server keeps no "
                        f"metadata to tell by; attach to it with openai/{job.id}, or cancel it and submit again"
                    )
        return None

    def _cancel(self, job_id: str) -> None:
        try:
            self.stop_job(job_id)
        except InvalidRequestError:
            logger.debug("job %s had ended before it could be cancelled", job_id)

    def job(self, job_id: str) -> JobInfo:
        """Observe one job, by its id."""
        with translated(f"looking at job {job_id!r}"):
            return wire.job_info(self._client.fine_tuning.jobs.retrieve(job_id))

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[JobInfo]:
        """List the jobs of the project, the newest first."""
        with translated("listing jobs"):
            for job in each(self._client.fine_tuning.jobs.list(limit=_PAGE)):
                info = wire.job_info(job)
                # In which order they come, the API does not say.
                if created_after is not None and info.created and info.created < created_after:
                    continue
                if (name_contains or "") in info.name and state in (None, info.state):
                    yield info

    def attempts(self, content: str) -> Iterator[JobInfo]:
        """List the jobs that were created for a content, by their metadata; of each request the one that stays.

        What was created just now may have to give way to another job of the same moment: see `create_job`.
        """
        with translated("listing jobs"):
            found = self._with(wire.CONTENT, content)
            young = self.now().timestamp() - _SETTLED
            if any(job.created_at > young and job.status not in _LOST for job in found):
                self._poll.sleep(_SETTLED)
                found = self._with(wire.CONTENT, content)
        stay = set()
        for job in found:
            key = (job.metadata or {}).get(wire.KEY)
            if job.status in _LOST or key not in stay:
                yield wire.job_info(job)
            if job.status not in _LOST:
                stay.add(key)

    def job_tags(self, job_id: str) -> Mapping[str, str]:
        """Read a job's metadata."""
        with translated(f"reading the metadata of job {job_id!r}"):
            return dict(self._client.fine_tuning.jobs.retrieve(job_id).metadata or {})

    def stop_job(self, job_id: str) -> None:
        """Cancel a job for good."""
        with translated(f"cancelling job {job_id!r}"):
            self._client.fine_tuning.jobs.cancel(job_id)

    def pause_job(self, job_id: str) -> None:
        """Pause a job."""
        with translated(f"pausing job {job_id!r}"):
            self._client.fine_tuning.jobs.pause(job_id)

    def resume_job(self, job_id: str) -> None:
        """Let a paused job go on."""
        with translated(f"resuming job {job_id!r}"):
            self._client.fine_tuning.jobs.resume(job_id)

    def messages(self, job_id: str) -> Iterator[JobMessage]:
        """List the events of a job, the newest first."""
        with translated(f"reading the events of job {job_id!r}"):
            for event in each(self._client.fine_tuning.jobs.list_events(job_id, limit=_PAGE)):
                yield wire.message(event)

    def checkpoints(self, job_id: str) -> Iterator[Checkpoint]:
        """List the checkpoints of a job: OpenAI keeps those of the last three epochs."""
        with translated(f"reading the checkpoints of job {job_id!r}"):
            for found in each(self._client.fine_tuning.jobs.checkpoints.list(job_id)):
                yield wire.checkpoint(found)

    def metrics(self, job: JobInfo) -> Sequence[Mapping[str, float]]:
        """Read the result file of a job."""
        if job.output is None:
            return []
        with translated(f"reading the metrics of job {job.name!r}"):
            return wire.metrics(self._client.files.content(job.output).read())

    def endpoint(self, endpoint_id: str, serving: Serving | None = None) -> EndpointInfo:  # noqa: ARG002 - there is one way
        """Look whether a model is there."""
        with translated(f"looking at model {endpoint_id!r}"):
            found = self._client.models.retrieve(endpoint_id)
        return wire.endpoint_info(found.id, found.created)

    def endpoints(
        self,
        *,
        model: str | None = None,
        serving: Serving | None = None,  # noqa: ARG002 - there is one way
    ) -> Iterator[EndpointInfo]:
        """List the tuned models of the project."""
        with translated("listing models"):
            for found in self._client.models.list():
                if found.id.startswith("ft:") and model in (None, found.id):
                    yield wire.endpoint_info(found.id, found.created)

    def now(self) -> datetime:
        """Tell the time by the server's clock, as of its last word on a model; by this machine's before the first."""
        return datetime.now(UTC) + self._ahead

    def checks(self, model: BaseModel | None) -> Iterator[Check]:
        """Check the key, and what nobody can know without trying."""
        try:
            with translated("listing models"):
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
                detail="OpenAI says whether this organization may still tune to those alone who create a job",
            )

    def invoke(self, endpoint_id: str, messages: Sequence[Mapping[str, str]]) -> str:
        """Ask a model; billed by the token."""
        conversation: Any = list(messages)
        with translated(f"asking {endpoint_id!r}"):
            done = self._client.chat.completions.create(model=endpoint_id, messages=conversation)
        if not done.choices:
            raise BusyError(f"asking {endpoint_id!r}: the answer is empty: try again")
        return done.choices[0].message.content or ""


def _day(value: object) -> date | None:
    """Read a date that a server may write in one of several ways."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).date()
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).date()
        except ValueError:
            return None
    return value if isinstance(value, date) else None
