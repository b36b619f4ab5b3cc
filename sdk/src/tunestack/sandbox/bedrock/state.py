"""What Bedrock remembers: one `Region` for each account and region, never shared."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from tunestack.catalog import BaseModel
    from tunestack.sandbox.aws import Aws
    from tunestack.sandbox.bedrock.answers import Memory
    from tunestack.sandbox.clock import Clock

PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")


@dataclass(kw_only=True, slots=True)
class Job:
    """A customization job."""

    arn: str
    name: str
    params: Mapping[str, Any]
    base: BaseModel
    created: datetime
    modified: datetime
    status: str = "InProgress"
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: datetime | None = None
    failure: str | None = None
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


@dataclass(kw_only=True, slots=True)
class Region:
    """Bedrock in one region of one account."""

    account: str
    name: str
    clock: Clock
    aws: Aws
    jobs: dict[str, Job] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    deployments: dict[str, Endpoint] = field(default_factory=dict)
    throughputs: dict[str, Endpoint] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[Mapping[str, Any], dict[str, Any]]] = field(
        default_factory=dict
    )

    def arn(self, resource: str) -> str:
        """Make the ARN of a new resource, `<resource>/<12 characters>`."""
        return f"arn:aws:bedrock:{self.name}:{self.account}:{resource}/{secrets.token_hex(6)}"

    def once(
        self, operation: str, params: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Answer a repeated `clientRequestToken` with the first answer, and make nothing new."""
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
            return answer
        answer = make()
        self.tokens[operation, token] = (params, answer)
        return answer

    def tag(self, arn: str, tags: Iterable[Mapping[str, str]]) -> None:
        """Set tags on a resource, the new ones over the old."""
        self.tags.setdefault(arn, {}).update({tag["key"]: tag["value"] for tag in tags})


Named = TypeVar("Named", Job, Model, Endpoint)


def found(table: Mapping[str, Named], identifier: str, what: str) -> Named:
    """Find something by its ARN or name."""
    for arn, entry in table.items():
        if identifier in (arn, entry.name):
            return entry
    raise Fault("ResourceNotFoundException", f"Could not find {what} {identifier}")
