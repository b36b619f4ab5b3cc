"""The state of Bedrock: a separate `Region` for each account and region."""

from __future__ import annotations

import secrets
import string
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date, datetime

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.bedrock.metering import Usage
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.emulator_client import EmulatorClient
    from tunestack_sandbox.faults import FaultInjector
    from tunestack_sandbox.simulated_models import AnswerIndex

PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")
"""The phases of a job, in their order."""

MAX_TAGS = 50
"""The number of tags that a resource can have."""

_ID_CHARACTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Quotas:
    """The quotas of an account in a region.

    The defaults are AWS's, as far as they are known: field reports of 2026 for jobs, models and deployments. AWS's quota
    of model units is 0 in a new account; here it is 10, so that provisioned throughput can be tried.
    """

    jobs: int = 10
    """Customization jobs that have not ended."""
    jobs_adjustable: bool = True
    """Whether Service Quotas shows the quota of jobs as adjustable. Some accounts have a quota of 2 that is not
    (hashicorp/terraform-provider-aws#37990, 2024-06)."""
    custom_models: int = 100
    """Custom models."""
    model_units: int = 10
    """Model units without a commitment, of all provisioned throughput together."""
    model_units_per_model: int = 10
    """Model units of one provisioned throughput; a quota of each base model at AWS, 0 in a new account."""
    unapplied: frozenset[str] = frozenset()
    """Codes of quotas for which Service Quotas has no applied value: `GetServiceQuota` does not find them."""
    deployments: int = 10
    """Custom model deployments."""
    deployments_in_progress: int = 2
    """Custom model deployments that are being created."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Settings where AWS's behavior is undocumented, or differs between accounts, and shortcuts for tests."""

    quotas: Quotas = field(default_factory=Quotas)
    ignores_repeats: bool = False
    """Return an empty response for a repeated `clientRequestToken`, which AWS's documentation allows, too, instead of
    the first response."""
    validate_data: bool = True
    """Let jobs assume their role, read and validate their files, and write manifests and metrics."""
    training_seconds: float = 5400
    """The duration of a job's training phase. AWS documents "several hours"."""


@dataclass(kw_only=True, slots=True)
class Job:
    """A customization job."""

    arn: str
    name: str
    params: Mapping[str, Any]
    """The parameters of CreateModelCustomizationJob."""
    base: BaseModel
    hyperparameters: Mapping[str, str]
    """The hyperparameters of the request, and the defaults of the others."""
    source: str
    """The ARN of the model that is fine-tuned: the base model, or an earlier custom model."""
    kms_key: str | None = None
    """The ARN of the KMS key that the custom model is encrypted with."""
    created: datetime
    modified: datetime
    status: str = "InProgress"
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: datetime | None = None
    failure: str | None = None
    """AWS's failure message."""
    failure_reason: str | None = None
    """The reason that AWS does not return, for users of the sandbox."""
    answer_index: AnswerIndex | None = None
    tokens: int = 0
    """The tokens in the training file, estimated."""
    phase_due: datetime | None = None
    """When the current phase ends, unless the job is stopped."""
    model: str | None = None
    """The ARN of the custom model."""
    training_loss: float | None = None
    validation_losses: list[float] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Model:
    """A custom model."""

    arn: str
    name: str
    job: Job
    created: datetime


@dataclass(kw_only=True, slots=True)
class Endpoint:
    """A custom model deployment or provisioned throughput."""

    arn: str
    name: str
    params: Mapping[str, Any]
    """The parameters of the Create operation."""
    model: Model
    status: str
    created: datetime
    modified: datetime
    failure: str | None = None
    next_model: Model | None = None
    """The model of the update in progress."""
    update: dict[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class Region:
    """Bedrock in one region of one account. Each table has the ARNs as keys."""

    account: str
    name: str
    clock: Clock
    client: EmulatorClient
    faults: FaultInjector
    settings: Settings
    send_event: Callable[[Mapping[str, Any]], object]
    jobs: dict[str, Job] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    deployments: dict[str, Endpoint] = field(default_factory=dict)
    throughputs: dict[str, Endpoint] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[Mapping[str, Any], dict[str, Any]]] = field(
        default_factory=dict
    )
    """The parameters and the response of each request, by operation and `clientRequestToken`."""
    use_case: bytes | None = None
    tokens_used: Counter[tuple[date, str, str, tuple[tuple[str, str], ...]]] = field(
        default_factory=Counter
    )
    """The tokens that are billed, by day, key of the base model, end of the usage type, and tags."""
    past_usage: list[Usage] = field(default_factory=list)
    """The usage of models and provisioned throughput that were deleted."""

    def new_arn(self, resource: str) -> str:
        """Return the ARN of a new resource, `<resource>/<ID>`; the ID matches `[a-z0-9]{12}`, as in botocore's service model."""
        # With a letter, so that it is never taken for an account ID.
        first = secrets.choice(string.ascii_lowercase)
        rest = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(11))
        return f"arn:aws:bedrock:{self.name}:{self.account}:{resource}/{first}{rest}"

    def condition_keys(self) -> dict[str, str]:
        """Return the condition keys that every request in the region has."""
        now = self.clock.now()
        return {
            "aws:CurrentTime": now.isoformat(),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:PrincipalIsAWSService": "false",
            "aws:RequestedRegion": self.name,
            "aws:SecureTransport": "true",
        }

    def base_model_arn(self, base: BaseModel) -> str:
        """Return the ARN of a base model."""
        return f"arn:aws:bedrock:{self.name}::foundation-model/{base.customization_id}"

    def create_once(
        self, operation: str, params: Mapping[str, Any], create: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Create a resource, unless the `clientRequestToken` was used before.

        AWS documents only that a repeated request is ignored without an error. `Settings.ignores_repeats` decides whether
        it gets an empty response or the first one.

        Raises:
            ServiceError: The token was used with other parameters.
        """
        token = params.get("clientRequestToken")
        if token is None:
            return create()
        if (operation, token) in self.tokens:
            first_params, response = self.tokens[operation, token]
            if first_params != params:
                raise ServiceError(
                    "ValidationException",
                    "The provided client request token was used before with other parameters.",
                )
            return {} if self.settings.ignores_repeats else response
        response = create()
        self.tokens[operation, token] = (params, response)
        return response

    def add_tags(self, arn: str, tags: Sequence[Mapping[str, str]]) -> None:
        """Add tags to a resource. They replace tags with the same keys.

        Raises:
            ServiceError: The resource would have more than `MAX_TAGS`.
        """
        check_tags(tags)
        merged = self.tags.get(arn, {}) | {tag["key"]: tag["value"] for tag in tags}
        _check_tag_count(merged)
        self.tags[arn] = merged

    def require_quota(self, used: int, quota: int, message: str) -> None:
        """Raise ServiceQuotaExceededException if a quota is used up."""
        if used >= quota:
            raise ServiceError("ServiceQuotaExceededException", message)


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Check the tags of a request.

    Raises:
        ServiceError: There are too many, a duplicate key, or a key with the prefix `aws:`.
    """
    keys = [tag["key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise ServiceError("ValidationException", "Duplicate tag keys found.")
    if any(key.lower().startswith("aws:") for key in keys):
        raise ServiceError("ValidationException", "aws: prefixed tag key names are not allowed.")
    _check_tag_count(keys)


def _check_tag_count(keys: Collection[str]) -> None:
    if len(keys) > MAX_TAGS:
        raise ServiceError(
            "TooManyTagsException",
            "The request contains more tags than can be associated with a resource "
            f"({MAX_TAGS} tags per resource).",
        )


Resource = TypeVar("Resource", Job, Model, Endpoint)


def find(table: Mapping[str, Resource], identifier: str) -> Resource | None:
    """Return the resource with an ARN or name, or `None`."""
    if identifier in table:
        return table[identifier]
    return next((entry for entry in table.values() if entry.name == identifier), None)


def require(table: Mapping[str, Resource], identifier: str, kind: str) -> Resource:
    """Return the resource with an ARN or name.

    Raises:
        ServiceError: It does not exist.
    """
    entry = find(table, identifier)
    if entry is None:
        raise ServiceError("ResourceNotFoundException", f"Could not find {kind} {identifier}")
    return entry


def drop_none(response: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the members that are `None`."""
    return {name: value for name, value in response.items() if value is not None}
