"""What every vendor must be able to do, in words that no vendor owns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tunestack.custom_model_info import CustomModelProvider

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path
    from threading import Event

    from tunestack.catalog import BaseModel, LifecycleState, Serving


class JobState(StrEnum):
    """Where a fine-tuning job stands."""

    PENDING = "pending"
    """Accepted; validating or queued, nothing trained yet."""
    RUNNING = "running"
    PAUSED = "paused"
    """Goes on when it is told to (`job.resume()`), and is billed for what it has trained."""
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """A word of the vendor's that this version does not know; never an end. See `JobInfo.raw_state`."""

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never leave this state."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED}


class EndpointState(StrEnum):
    """Where an endpoint stands; one that is gone has no state, it is not found."""

    STARTING = "starting"
    READY = "ready"
    UPDATING = "updating"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Expiry(StrEnum):
    """What is known of the time at which an endpoint is deleted automatically."""

    SCHEDULED = "scheduled"
    """See `EndpointInfo.expires_at`."""
    NEVER = "never"
    """Nothing deletes it automatically."""
    UNKNOWN = "unknown"
    """It was not read, or the caller may not read the endpoint's tags."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobInfo:
    """One observation of a job."""

    id: str
    """What `tuner.job(id)` attaches to, from anywhere (on Bedrock, the job's ARN)."""
    name: str
    state: JobState
    raw_state: str
    """The vendor's own word."""
    base_model: str
    """The vendor's id of the model that is tuned."""
    phase: str | None = None
    """What the job is at: `validation`, `data processing`, `queued`, `training`."""
    model: str | None = None
    """The tuned model, once there is one (on Bedrock, its ARN)."""
    failure: str | None = None
    created: datetime | None = None
    ended: datetime | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    training_data: str | None = None
    output: str | None = None
    training_loss: float | None = None
    validation_loss: float | None = None
    trained_tokens: int | None = None
    """Tokens that are billed, where the vendor says."""
    expected: datetime | None = None
    """When the vendor expects it to end."""

    @property
    def described(self) -> str:
        """The state and the phase, in words."""
        state = self.raw_state if self.state is JobState.UNKNOWN else self.state.value
        return f"{state} ({self.phase})" if self.phase else state


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointInfo:
    """One observation of an endpoint."""

    id: str
    """What `tuner.endpoint(id)` attaches to (on Bedrock, the endpoint's ARN)."""
    name: str
    serving: Serving
    state: EndpointState
    raw_state: str
    model: str
    """The tuned model that it serves."""
    target: str | None = None
    """The tuned model that it is being pointed to, and does not serve yet."""
    model_units: int | None = None
    """Provisioned throughput only: how many units are billed by the hour."""
    failure: str | None = None
    created: datetime | None = None
    expiry: Expiry = Expiry.UNKNOWN
    expires_at: datetime | None = None
    """When the endpoint guard deletes it; `None` unless `expiry` is `scheduled`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """A job to be created; equal requests are the same job."""

    base_model: str
    """The vendor's id of the model to tune: a base model's, or an earlier tuned model's."""
    training_data: str
    validation_data: str | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    name: str
    """Of the job and of the tuned model; unique in the account and region."""
    key: str
    """Of the content and the attempt: requests with the same key are the same job, whatever else they say."""
    output: str
    tags: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    """What of the key follows from the content alone: all attempts have it in common."""
    method: str = "supervised"
    """How it learns: `supervised`, or `dpo` from preferences."""
    seed: int | None = None
    suffix: str | None = None
    """What the tuned model's name ends in, where the vendor makes up the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobMessage:
    """Something that a vendor says of a job while it runs."""

    time: datetime
    level: str
    """`info`, `warn` or `error`."""
    text: str
    data: Mapping[str, object] = field(default_factory=dict)
    """Metrics, for one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A model as it was in the middle of its training, ready to be asked."""

    model: str
    step: int
    metrics: Mapping[str, float]
    created: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRequest:
    """An endpoint to be created."""

    model: str
    serving: Serving
    name: str
    model_units: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    generation: str = ""
    """Tells apart what is started, stopped and started again: equal requests of one generation are the same endpoint."""


class Verdict(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """It could not be told; the detail says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """Something that can be known before money is spent."""

    name: str
    verdict: Verdict
    detail: str
    """What was found."""
    fix: str | None = None
    """What to do about it; of a check that failed."""


class Guard(Protocol):
    """What ends endpoints in the account, whatever becomes of who started them."""

    @property
    def default(self) -> timedelta:
        """How long an endpoint lives that is billed by the hour, if nobody says."""
        ...

    @property
    def longest(self) -> timedelta:
        """How long it lives at most, from when it was created."""
        ...

    def arm(self, name: str, serving: Serving, end: datetime) -> None:
        """Let an endpoint end, whether it is there already or not; what was armed for its name before stays.

        Args:
            name: the endpoint's.
            serving: which kind it is.
            end: when, by the vendor's clock.
        """
        ...


class Provider(CustomModelProvider, Protocol):
    """A vendor. Every method raises only `tunestack.errors.ProviderError`, `ConfigError` and their children."""

    @property
    def ways(self) -> tuple[Serving, ...]:
        """How it serves tuned models, what is billed by the hour first."""
        ...

    @property
    def repeats(self) -> bool:
        """Whether a create may be answered with what was created before, and is over by now."""
        ...

    def base(self, identifier: str) -> BaseModel:
        """Tell the base model of what a job was created with, or of a tuned model; `ModelError` if nobody knows."""
        ...

    def lifecycle(self, model: BaseModel) -> LifecycleState | None:
        """Ask the vendor where a base model stands today; `None` when it does not say."""
        ...

    def check_location(self, location: str) -> None:
        """Refuse a place that training data can't be put to, with a `ConfigError`."""
        ...

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Refuse tags that a job can't carry here, with a `ConfigError`."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """Open data that lies with the vendor (on Bedrock, `s3://bucket/key`), to be read from its beginning."""
        ...

    def upload(self, path: Path, *, sha256: str, location: str | None) -> str:
        """Put a training file where the vendor reads it; the same content twice is one file.

        Args:
            path: the file.
            sha256: of its content, in hex.
            location: where the caller wants it; `None` for the usual place.

        Returns:
            What a job is created with (on Bedrock, the S3 URI).
        """
        ...

    def create_job(self, request: JobRequest) -> str:
        """Create the job and return its id; the same request twice is one job."""
        ...

    def job(self, job_id: str) -> JobInfo:
        """Observe one job, by its id or name."""
        ...

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[JobInfo]:
        """List the jobs, the newest first; without the details that only one job's own answer has."""
        ...

    def attempts(self, content: str) -> Iterator[JobInfo]:
        """List the jobs that were created for a content, see `JobRequest.content`."""
        ...

    def job_tags(self, job_id: str) -> Mapping[str, str]:
        """Read the tags of a job."""
        ...

    def listen(
        self, job_ids: Collection[str], timeout: float, *, stop: Event | None = None
    ) -> bool:
        """Pause until the provider has an event of one of these jobs, at most `timeout` seconds; it need not have any.

        Args:
            job_ids: the jobs.
            timeout: seconds.
            stop: set by another thread when no one waits any more.

        Returns:
            Whether it paused: `False` at once where there are no events.
        """
        ...

    def stop_job(self, job_id: str) -> None:
        """Ask a job to stop; fine when it has ended already."""
        ...

    def pause_job(self, job_id: str) -> None:
        """Ask a job to pause; `ConfigError` where jobs can't."""
        ...

    def resume_job(self, job_id: str) -> None:
        """Let a paused job go on."""
        ...

    def messages(self, job_id: str) -> Iterator[JobMessage]:
        """List what the vendor said of a job, the newest first; nothing where it says nothing."""
        ...

    def checkpoints(self, job_id: str) -> Iterator[Checkpoint]:
        """List the models that a job has left on its way, the newest first; none where it leaves none."""
        ...

    def metrics(self, job: JobInfo) -> Sequence[Mapping[str, float]]:
        """Read the losses of a finished job, one row a step."""
        ...

    def create_endpoint(self, request: EndpointRequest) -> str:
        """Create the endpoint and return its id; the same request twice is answered with the first id, even if that endpoint is gone by now."""
        ...

    def endpoint(self, endpoint_id: str, serving: Serving | None = None) -> EndpointInfo:
        """Observe one endpoint, by its id, or by its name and the way it serves."""
        ...

    def endpoints(
        self, *, model: str | None = None, serving: Serving | None = None
    ) -> Iterator[EndpointInfo]:
        """List the endpoints of every kind or of one, or those of one tuned model."""
        ...

    def delete_endpoint(self, endpoint: EndpointInfo) -> None:
        """Ask for an endpoint to be deleted; `NotFoundError` when it is gone."""
        ...

    def update_endpoint(self, endpoint: EndpointInfo, model: str) -> None:
        """Let an endpoint serve another tuned model of the same base; it answers with the old one meanwhile."""
        ...

    def tag_endpoint(self, endpoint_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to an endpoint, by its id, or write over those of the same names."""
        ...

    def with_expiry(self, endpoint: EndpointInfo) -> EndpointInfo:
        """Add to an observation when the endpoint is deleted automatically; on Bedrock, one call reads its tags.

        Raises:
            AccessError: the caller may not read them.
        """
        ...

    def check_quotas(self, *, queue: bool) -> None:
        """Raise `QuotaError` if no job may be created now (with a queue: if none may ever), as far as quotas can be read."""
        ...

    def checks(self, model: BaseModel | None) -> Iterator[Check]:
        """Check everything that can be known here without spending money; a check never raises.

        Args:
            model: what is to be tuned; `None` checks what every model needs.
        """
        ...

    def guard(self) -> Guard | None:
        """Tell what ends endpoints here; `None` where nothing does."""
        ...

    def now(self) -> datetime:
        """Tell the time by the vendor's clock, as far as it was heard of."""
        ...

    def invoke(self, endpoint_id: str, messages: Sequence[Mapping[str, str]]) -> str:
        """Send a conversation (`role`, `content`) to an endpoint or model and return the answer's text."""
        ...
