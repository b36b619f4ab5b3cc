"""What backends return and receive: observations of jobs, endpoints and models, requests, and checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tunestack._utils.html import rows_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tunestack.catalog import BaseModel, Serving
    from tunestack.spec.job_spec import JobSpec


class JobState(StrEnum):
    """The state of a fine-tuning job."""

    PENDING = "pending"
    """Accepted; validating or queued, nothing trained yet."""
    RUNNING = "running"
    PAUSED = "paused"
    """Waits for `job.resume()`; billed for what it has trained."""
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """A state of the provider that this version does not know, see `JobInfo.raw_state`; never terminal."""

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never leave this state."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED}


class EndpointState(StrEnum):
    """The state of an endpoint; a deleted endpoint has none, it is not found."""

    STARTING = "starting"
    READY = "ready"
    UPDATING = "updating"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Expiry(StrEnum):
    """What is known about the automatic deletion of an endpoint."""

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
    """For `tuner.job(id)`; on Bedrock the ARN of the job."""
    name: str
    state: JobState
    raw_state: str
    """The state as the provider calls it."""
    base_model: str
    """The provider's id of the model that is fine-tuned."""
    phase: str | None = None
    """`validation`, `data processing`, `queued` or `training`."""
    model: str | None = None
    """The fine-tuned model, once it exists; on Bedrock its ARN."""
    failure: str | None = None
    remedy: str | None = None
    """What to do about the failure, if its cause is known."""
    created: datetime | None = None
    ended: datetime | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    training_data: str | None = None
    validation_data: str | None = None
    output: str | None = None
    training_loss: float | None = None
    validation_loss: float | None = None
    trained_tokens: int | None = None
    """Tokens that are billed, if the provider reports them."""
    expected: datetime | None = None
    """When the provider expects the job to end."""
    method: str | None = None
    """The method of a job at OpenAI, such as `supervised` or `dpo`."""
    seed: int | None = None
    """The random seed of a job at OpenAI, which OpenAI chooses if none was given."""
    suffix: str | None = None
    """The suffix of the fine-tuned model's name at OpenAI, as it was given."""

    @property
    def description(self) -> str:
        """The state and the phase: `running (training)`."""
        state = self.raw_state if self.state is JobState.UNKNOWN else self.state.value
        return f"{state} ({self.phase})" if self.phase else state


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointInfo:
    """One observation of an endpoint."""

    id: str
    """For `tuner.endpoint(id)`; on Bedrock the ARN of the endpoint."""
    name: str
    serving: Serving
    state: EndpointState
    raw_state: str
    model: str
    """The fine-tuned model that it serves."""
    target: str | None = None
    """The fine-tuned model that it is being updated to."""
    model_units: int | None = None
    """The number of model units, each billed by the hour; provisioned throughput only."""
    commitment: str | None = None
    """The commitment, such as `OneMonth`, of provisioned throughput that Tunestack did not start; its price is not known."""
    failure: str | None = None
    created: datetime | None = None
    expiry: Expiry = Expiry.UNKNOWN
    expires_at: datetime | None = None
    """When the endpoint guard deletes it; `None` unless `expiry` is `scheduled`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomModelInfo:
    """One observation of a custom model, which a fine-tuning job created."""

    id: str
    """For `tuner.custom_model(id)`; on Bedrock the ARN of the model, at OpenAI `ft:...`."""
    name: str
    base_model: str
    """The provider's id of the model that was fine-tuned."""
    state: str | None = None
    """The state as the provider calls it (on Bedrock `Active`, `Creating` or `Failed`); `None` at OpenAI."""
    created: datetime | None = None
    job: str | None = None
    """The id of the job that created it; `None` in lists, and at OpenAI."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """A job to create: its specification, and what was derived from it. Requests with the same `key` are the same job."""

    spec: JobSpec
    base: BaseModel
    base_model: str
    """The provider's id of the model to fine-tune: a base model, or an earlier fine-tuned model."""
    hyperparameters: Mapping[str, str]
    """As they are sent."""
    tags: Mapping[str, str]
    training_data: str
    """What `DataStore.upload` returned."""
    validation_data: str | None = None
    output: str = ""
    """Where the job writes its results, for providers that ask."""
    content: str
    """The digest of model, data and hyperparameters; all attempts have it in common."""
    attempt: int = 1

    @property
    def key(self) -> str:
        """The content and the number of the attempt."""
        return f"{self.content}-{self.attempt}"

    @property
    def name(self) -> str:
        """The name of the job and of the fine-tuned model; unique in the account and region."""
        return f"{self.spec.name}-{self.base.key}-{self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobMessage:
    """A message of the provider about a running job."""

    time: datetime
    level: str
    """`info`, `warn` or `error`."""
    text: str
    data: Mapping[str, object] = field(default_factory=dict)
    """Additional values, such as metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSlots:
    """The quota of jobs that may run at a time, and its use."""

    running: int
    limit: int
    quota: str
    """The value with the name of the quota and the source of the value."""

    def __str__(self) -> str:
        """Describe the use of the quota."""
        return f"{self.running} jobs are running, at most {self.quota}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredData:
    """Data that the provider stores for a deployment."""

    location: str
    size: int | None
    """In bytes; `None` if the caller may not list it."""
    usd_a_month: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A model saved during training, which can be invoked."""

    model: str
    step: int
    metrics: Mapping[str, float]
    created: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRequest:
    """An endpoint to create."""

    model: str
    serving: Serving
    name: str
    model_units: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    generation: str = ""
    """Distinguishes repeated starts of an endpoint: equal requests with the same generation are the same endpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceSettings:
    """The settings of a request to a model; `None` leaves a setting to the provider."""

    temperature: float | None = None
    """0 decodes deterministically, as far as the provider does."""
    max_tokens: int | None = None
    """The maximum number of tokens of the answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A tool that the model calls in its answer."""

    name: str
    input: object
    """The arguments; the text as it is if it is not JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The answer of a model to one request."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    input_tokens: int | None = None
    """Tokens that are billed; `None` if the provider does not report them."""
    output_tokens: int | None = None


class Verdict(StrEnum):
    """The result of a check."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """It could not be checked; the detail says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A check before money is spent."""

    name: str
    verdict: Verdict
    detail: str
    """What was found."""
    fix: str | None = None
    """What to do, for a check that failed."""
    link: str | None = None
    """A page of the provider's console where it can be done."""

    def _repr_html_(self) -> str:
        """Show the check in a notebook."""
        return Checks([self])._repr_html_()


class Checks(list[Check]):
    """The results of several checks."""

    def _repr_html_(self) -> str:
        """Show the checks in a notebook."""
        rows = (
            (one.name, one.verdict.value, one.detail, ": ".join(filter(None, (one.fix, one.link))))
            for one in self
        )
        return rows_table("Checks", ("check", "result", "detail", "what to do"), rows)
