"""What Bedrock remembers: one `Region` for each account and region, never shared."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.answers import Memory
    from tunestack_sandbox.aws import Aws
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import Faults

PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")

MOST_TAGS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Quotas:
    """What an account may have in a region at the same time.

    As far as AWS's defaults are known: field reports of 2026 for jobs, models and deployments.
    The quota for model units is zero in a new account; here it is not, so that provisioned throughput can be tried.
    """

    jobs: int = 10
    """Customization jobs that have not ended."""
    jobs_adjustable: bool = True
    """Whether Service Quotas says that the quota of jobs can be raised; some accounts have 2 that can't
    (hashicorp/terraform-provider-aws#37990, 2024-06)."""
    custom_models: int = 100
    model_units: int = 10
    """Model units without a commitment, of all provisioned throughput together."""
    deployments: int = 10
    deployments_in_progress: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How Bedrock is to be where AWS leaves it open, or where accounts differ."""

    quotas: Quotas = field(default_factory=Quotas)
    ignores_repeats: bool = False
    """Answer a repeated `clientRequestToken` with nothing, which AWS's words allow too, instead of the first answer."""


@dataclass(kw_only=True, slots=True)
class Job:
    """A customization job."""

    arn: str
    name: str
    params: Mapping[str, Any]
    base: BaseModel
    hyperparameters: Mapping[str, str]
    """As given, and the defaults of the rest."""
    source: str
    """The ARN of what it tunes: the base model, or a custom model that is tuned further."""
    key: str | None = None
    """The ARN of the KMS key that the model is encrypted with."""
    created: datetime
    modified: datetime
    status: str = "InProgress"
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: datetime | None = None
    failure: str | None = None
    why: str | None = None
    """What AWS does not tell of a failure, for whoever looks into the sandbox."""
    memory: Memory | None = None
    model: str | None = None
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
    """A custom-model deployment or provisioned throughput."""

    arn: str
    name: str
    params: Mapping[str, Any]
    model: Model
    status: str
    created: datetime
    modified: datetime
    failure: str | None = None
    next: Model | None = None
    """The model that it is being moved to."""
    update: dict[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class Region:
    """Bedrock in one region of one account."""

    account: str
    name: str
    clock: Clock
    aws: Aws
    faults: Faults
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
    use_case: bytes | None = None

    def arn(self, resource: str) -> str:
        """Make the ARN of a new resource, `<resource>/<12 characters>`."""
        return f"arn:aws:bedrock:{self.name}:{self.account}:{resource}/{secrets.token_hex(6)}"

    def request_keys(self) -> dict[str, str]:
        """List the condition keys that any request here has."""
        now = self.clock.now()
        return {
            "aws:CurrentTime": now.isoformat(),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:PrincipalIsAWSService": "false",
            "aws:RequestedRegion": self.name,
            "aws:SecureTransport": "true",
        }

    def base_arn(self, base: BaseModel) -> str:
        """Write the ARN of a base model."""
        return f"arn:aws:bedrock:{self.name}::foundation-model/{base.customization_id}"

    def once(
        self, operation: str, params: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Answer a repeated `clientRequestToken` with the first answer, or nothing, and make nothing new.

        AWS documents only that such a request is ignored without an error.
        """
        token = params.get("clientRequestToken")
        if token is None:
            return make()
        if (operation, token) in self.tokens:
            first, answer = self.tokens[operation, token]
            if first != params:
                raise Fault(
                    "ValidationException",
                    "The provided client request token was used before with other parameters.",
                )
            return {} if self.settings.ignores_repeats else answer
        answer = make()
        self.tokens[operation, token] = (params, answer)
        return answer

    def tag(self, arn: str, tags: Sequence[Mapping[str, str]]) -> None:
        """Set tags on a resource, the new ones over the old.

        Raises:
            Fault: it would have more than AWS allows.
        """
        check_tags(tags)
        wanted = self.tags.get(arn, {}) | {tag["key"]: tag["value"] for tag in tags}
        _require_few(wanted)
        self.tags[arn] = wanted

    def require_quota(self, used: int, quota: int, message: str) -> None:
        """Refuse what goes beyond a quota."""
        if used >= quota:
            raise Fault("ServiceQuotaExceededException", message)


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Refuse tags that a request may not have.

    Raises:
        Fault: there are too many, one twice, or one with AWS's own prefix.
    """
    keys = [tag["key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise Fault("ValidationException", "Duplicate tag keys found.")
    if any(key.lower().startswith("aws:") for key in keys):
        raise Fault("ValidationException", "aws: prefixed tag key names are not allowed.")
    _require_few(keys)


def _require_few(keys: Collection[str]) -> None:
    if len(keys) > MOST_TAGS:
        raise Fault(
            "TooManyTagsException",
            "The request contains more tags than can be associated with a resource "
            f"({MOST_TAGS} tags per resource).",
        )


Named = TypeVar("Named", Job, Model, Endpoint)


def find(table: Mapping[str, Named], identifier: str) -> Named | None:
    """Find something by its ARN or name."""
    if identifier in table:
        return table[identifier]
    return next((entry for entry in table.values() if entry.name == identifier), None)


def found(table: Mapping[str, Named], identifier: str, what: str) -> Named:
    """Find something by its ARN or name.

    Raises:
        Fault: there is none.
    """
    entry = find(table, identifier)
    if entry is None:
        raise Fault("ResourceNotFoundException", f"Could not find {what} {identifier}")
    return entry


def without_none(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of an answer what there is not."""
    return {name: value for name, value in answer.items() if value is not None}
