"""What jobs and endpoints need of a provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Generic, Protocol, TypeVar, runtime_checkable

from tunestack.backends.inference import Inference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from pathlib import Path
    from threading import Event

    from tunestack.backends.base import (
        Check,
        Checkpoint,
        CustomModelInfo,
        EndpointInfo,
        EndpointRequest,
        JobInfo,
        JobMessage,
        JobRequest,
        JobSlots,
        JobState,
        StoredData,
    )
    from tunestack.backends.identifiers import IdKind
    from tunestack.catalog import BaseModel, LifecycleState, Price, Serving
    from tunestack.catalog.model import PriceKind


@runtime_checkable
class DataStore(Protocol):
    """Where a provider reads training data from."""

    def check_location(self, location: str) -> None:
        """Check a location for training data.

        Raises:
            ConfigError: data can't be stored there, or the provider's jobs may not read it.
        """
        ...

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Check the tags of a job.

        Raises:
            ConfigError: a job can't have them.
        """
        ...

    def open(self, uri: str) -> BinaryIO:
        """Open data that is stored with the provider (on Bedrock, `s3://bucket/key`) for reading."""
        ...

    def prices(self, model: BaseModel) -> Mapping[PriceKind, Price]:
        """Return the prices of a base model: the provider's own if the caller may read them, and those of the catalog."""
        ...


class Backend(DataStore, Inference, Protocol):
    """A provider, in one region of one account or in one project: what jobs and endpoints need of it.

    Every method raises only `tunestack.errors.ProviderError`, `ConfigError` and their subclasses. What only some providers
    have is in `EndpointHost`, `EventSource` and `PausableJobs`.
    """

    @property
    def scope(self) -> str:
        """The region or project, so that jobs of one scope can be listed together."""
        ...

    @property
    def serving(self) -> tuple[Serving, ...]:
        """How it serves fine-tuned models; ways that are billed by the hour come first."""
        ...

    @property
    def has_idempotency_tokens(self) -> bool:
        """Whether a repeated request to create is answered with what was created before, even if that was deleted since."""
        ...

    @property
    def has_catalog_dates(self) -> bool:
        """Whether the models accept jobs until the dates in the catalog; not on OpenAI-compatible servers."""
        ...

    def base(self, identifier: str) -> BaseModel:
        """Return the base model of a job or of a fine-tuned model, by the provider's id.

        Raises:
            ModelError: it is not in the catalog.
        """
        ...

    def lifecycle(self, model: BaseModel) -> LifecycleState | None:
        """Get the lifecycle state of a base model from the provider; `None` if it does not tell."""
        ...

    def check_quotas(self, *, queue: bool) -> None:
        """Raise `QuotaError` if no job may be created now (with a queue: if none may ever), as far as quotas can be read."""
        ...

    def job_slots(self) -> JobSlots | None:
        """Read the quota of jobs and its use; `None` if the provider has no API for it."""
        ...

    def stored_data(self) -> Iterator[StoredData]:
        """Measure the data that is stored for the deployment, if it is billed."""
        ...

    def checks(self, model: BaseModel | None) -> Iterator[Check]:
        """Check what can be known without spending money, for a model or for every model; a check never raises."""
        ...

    def upload(self, path: Path, *, sha256: str, location: str | None) -> str:
        """Upload a training file; the same content twice is one file.

        Args:
            path: the file.
            sha256: of its content, in hex.
            location: where the caller wants it; `None` for the default location.

        Returns:
            The id to create a job with (on Bedrock, the S3 URI).
        """
        ...

    def create_job(self, request: JobRequest) -> str:
        """Create a job and return its id; the same request twice is one job."""
        ...

    def job(self, job_id: str) -> JobInfo:
        """Get a job, by its id or name."""
        ...

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[JobInfo]:
        """List jobs, the newest first; some details are only in the answer for one job."""
        ...

    def attempts(self, content: str) -> Iterator[JobInfo]:
        """List the jobs that were created for a content, see `JobRequest.content`."""
        ...

    def job_tags(self, job_id: str) -> Mapping[str, str]:
        """Get the tags of a job."""
        ...

    def stop_job(self, job_id: str) -> None:
        """Stop a job; does nothing if it has ended."""
        ...

    def messages(self, job_id: str) -> Iterator[JobMessage]:
        """List the provider's messages about a job, the newest first."""
        ...

    def checkpoints(self, job_id: str) -> Iterator[Checkpoint]:
        """List the checkpoints of a job, the newest first."""
        ...

    def latest_loss(self, job_id: str) -> float | None:
        """Get the training loss of the last step of a running job; `None` if there is none yet, or the provider does not tell."""
        ...

    def metrics(self, job: JobInfo) -> Sequence[Mapping[str, float]]:
        """Read the losses of a finished job, one row a step."""
        ...

    def custom_model(self, model_id: str) -> CustomModelInfo:
        """Get a fine-tuned model, by its id or name.

        Raises:
            NotFoundError: the provider says that it has no such model; every other answer is another error.
        """
        ...

    def custom_models(self, *, name_contains: str | None = None) -> Iterator[CustomModelInfo]:
        """List the fine-tuned models, the newest first."""
        ...

    def delete_custom_model(self, model_id: str) -> None:
        """Delete a fine-tuned model.

        Raises:
            NotFoundError: it does not exist.
        """
        ...

    def endpoint(self, endpoint_id: str, serving: Serving | None = None) -> EndpointInfo:
        """Get an endpoint, by its id, or by its name and the way it serves."""
        ...

    def endpoints(
        self, *, model: str | None = None, serving: Serving | None = None
    ) -> Iterator[EndpointInfo]:
        """List endpoints: all, or those of one kind or of one fine-tuned model."""
        ...

    def now(self) -> datetime:
        """Return the time by the provider's clock, as of its last answer; by this machine's before the first."""
        ...


class Guard(Protocol):
    """Deletes endpoints at their end, even if the process that started them has ended."""

    @property
    def default(self) -> timedelta:
        """The lifetime of an endpoint that is billed by the hour, if none is specified."""
        ...

    @property
    def longest(self) -> timedelta:
        """The longest lifetime, from the creation of the endpoint."""
        ...

    def arm(self, name: str, serving: Serving, end: datetime) -> None:
        """Schedule the deletion of an endpoint at `end`, whether it exists yet or not; earlier schedules of the name stay."""
        ...


@runtime_checkable
class EndpointHost(Protocol):
    """A backend whose fine-tuned models need an endpoint to be invoked."""

    def create_endpoint(self, request: EndpointRequest) -> str:
        """Create an endpoint and return its id.

        The same request twice is answered with the first id, even if that endpoint was deleted since.
        """
        ...

    def delete_endpoint(self, endpoint: EndpointInfo) -> None:
        """Delete an endpoint.

        Raises:
            NotFoundError: it does not exist.
        """
        ...

    def update_endpoint(self, endpoint: EndpointInfo, model: str) -> None:
        """Update an endpoint to another fine-tuned model of the same base model; until then the old one answers."""
        ...

    def endpoint_tags(self, endpoint_id: str) -> Mapping[str, str]:
        """Get the tags of an endpoint, by its id."""
        ...

    def tag_endpoint(self, endpoint_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to an endpoint, by its id; existing tags with the same keys are replaced."""
        ...

    def with_expiry(self, endpoint: EndpointInfo) -> EndpointInfo:
        """Add the time at which the endpoint is deleted automatically; on Bedrock, one call reads its tags.

        Raises:
            AccessError: the caller may not read them.
        """
        ...

    def guard(self) -> Guard | None:
        """Return the endpoint guard; `None` if none is deployed."""
        ...


@runtime_checkable
class EventSource(Protocol):
    """A backend that sends events of jobs."""

    def listen(
        self, job_ids: Collection[str], timeout: float, *, stop: Event | None = None
    ) -> bool:
        """Wait for an event of one of these jobs, at most `timeout` seconds.

        Args:
            job_ids: the jobs.
            timeout: seconds.
            stop: set by another thread to end the wait.

        Returns:
            Whether it waited: `False` at once if no events are available.
        """
        ...


def listener(
    backend: Backend, job_ids: Collection[str], *, stop: Event | None = None
) -> Callable[[float], bool]:
    """Return a function that waits for an event of these jobs, as `EventSource.listen` does, if the backend has events."""
    if isinstance(backend, EventSource):
        return partial(backend.listen, job_ids, stop=stop)
    return lambda _: False


Store_co = TypeVar("Store_co", bound=DataStore, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Target(Generic[Store_co]):
    """A model to fine-tune, and the service that fine-tunes it.

    Attributes:
        base: the base model.
        identifier: the provider's id to create a job with: the base model's, or an earlier fine-tuned model's.
        backend: a `Backend` to submit jobs to; for estimates only a `DataStore`.
        output: where jobs write their results, for providers that ask.
        owner: the account that owns the data.
        tags: the tags of everything that is created.
    """

    base: BaseModel
    identifier: str
    backend: Store_co
    output: str = ""
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class Account(Protocol):
    """An account or project of a provider: resolves names of models, jobs and endpoints."""

    def owns(self, identifier: str) -> bool:
        """Return whether an id of a job, an endpoint or a fine-tuned model belongs to this provider, by its form."""
        ...

    def check_id(self, kind: IdKind, identifier: str) -> str:
        """Return an id without the prefixes of DSPy and litellm, if it can be one of a kind.

        Raises:
            ConfigError: it can't; the message says what it is, and what is expected.
        """
        ...

    def resolve(self, model: str) -> Target[Backend]:
        """Find a model to fine-tune.

        Raises:
            ModelError: it can't be fine-tuned; the message says why, and names the models that can.
            DeploymentError: nothing is deployed where it is fine-tuned.
        """
        ...

    def resolve_offline(self, model: str) -> Target[DataStore]:
        """Find a model in the catalog only: no service is called.

        Raises:
            ModelError: the model is unknown, or can't be fine-tuned.
        """
        ...

    def connect(self, model: str) -> None:
        """Look up the deployment and create the clients that a job of a model needs; errors are left to the job."""
        ...

    def backend(self, identifier: str | None = None) -> Backend:
        """Return the backend of a job or an endpoint, by its id; without one, the backend to list all of them."""
        ...

    def explain(self, identifier: str) -> AbstractContextManager[None]:
        """Return a context in which an error about an id says so if it belongs to another account."""
        ...

    def endpoint_tags(self, job_id: str) -> Mapping[str, str]:
        """Return the tags of an endpoint that is created for a job."""
        ...

    def preflight(self, model: BaseModel | None, name: str | None = None) -> list[Check]:
        """Check what can be known before money is spent.

        Args:
            model: the base model; `None` checks what every model needs.
            name: the name by which the caller specified it, which may contain a region.
        """
        ...
