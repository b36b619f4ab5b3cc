"""Everything that differs between accounts and stages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tunestack.catalog import CATALOG, LifecycleState
from tunestack.deployment import STAGE_NAME, datasets_prefix, outputs_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = r"^[a-z0-9-]+(/[a-z0-9-]+)*$"
_ROLE_OR_USER = r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:(root|(role|user)/[a-zA-Z0-9+=,.@_/-]+)$"
_OIDC_PROVIDER = r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:oidc-provider/[a-zA-Z0-9._/-]+$"
_KEY = r"^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$"
_LOCATION = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>(?:[\w!'()./=+@-]{1,200}/)?)"
)

AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
Email = Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$")]
Principal = Annotated[str, Field(pattern=_ROLE_OR_USER)]


class StageError(ValueError):
    """A stage that can't be deployed; names everything that is wrong with it."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Endpoints(_Settings):
    """How long endpoints may live that are billed by the hour.

    Attributes:
        provisioned: whether provisioned throughput may be bought at all.
        default_hours: how long it lives if nobody says.
        max_hours: how long it lives at most, whatever anybody says.
    """

    provisioned: bool = True
    default_hours: int = Field(default=4, ge=1, le=8760)
    max_hours: int = Field(default=24, ge=1, le=8760)

    @model_validator(mode="after")
    def _default_is_possible(self) -> Self:
        if self.default_hours > self.max_hours:
            raise _wrong(f"default_hours {self.default_hours} is more than max_hours")
        return self


class DataLocation(_Settings):
    """Training data that lies elsewhere, which jobs may read.

    Attributes:
        uri: `s3://bucket/prefix/`; the bucket's own policy must let the job role read it where it is another account's.
        account: whose bucket it is; the stage's if not given.
        key_arn: the KMS key that it is encrypted with, if it is.
    """

    uri: str
    account: AccountId | None = None
    key_arn: Annotated[str, Field(pattern=_KEY)] | None = None

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._parts[0]

    @property
    def prefix(self) -> str:
        """What the keys begin with; nothing for a whole bucket."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        found = _LOCATION.fullmatch(self.uri)
        return (found["bucket"], found["prefix"]) if found else ("", "")

    @model_validator(mode="after")
    def _is_location(self) -> Self:
        if not _LOCATION.fullmatch(self.uri) or ".." in self.uri or "//" in self.prefix:
            raise _wrong(f"{self.uri!r} is no location: use s3://bucket/prefix/, with its last /")
        return self


class Oidc(_Settings):
    """Who may take on the tuner's role from a CI system, by the OpenID Connect provider that the account has for it.

    Attributes:
        provider_arn: of the provider.
        subjects: what tokens may say of whom they are for, such as `repo:example/project:ref:refs/heads/main`; `*` stands
            for a part.
        audience: whom they must be for.
    """

    provider_arn: Annotated[str, Field(pattern=_OIDC_PROVIDER)]
    subjects: tuple[Annotated[str, Field(pattern=r"^[^*?\s]{4}\S*$")], ...] = Field(min_length=1)
    audience: str = Field(default="sts.amazonaws.com", pattern=r"^[^*?\s]+$")


class Roles(_Settings):
    """Who may take on a role of the stage, from this or another account; a role is made where somebody may.

    Attributes:
        tuners: submit, follow and cancel jobs, start, call and stop endpoints.
        invokers: call endpoints.
        viewers: read.
        ci: tuners by OpenID Connect.
    """

    tuners: tuple[Principal, ...] = ()
    invokers: tuple[Principal, ...] = ()
    viewers: tuple[Principal, ...] = ()
    ci: Oidc | None = None


class Network(_Settings):
    """A network of the account that jobs run in, in the stage's only region.

    Attributes:
        vpc_id: the network.
        subnet_ids: where jobs get their network interfaces; one in each zone is best.
        route_table_ids: of those subnets, to reach S3 by a gateway endpoint of the stack; none where the network has one.
        bedrock_endpoints: make interface endpoints for Bedrock, for whoever calls it from there.
    """

    vpc_id: Annotated[str, Field(pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$")]
    subnet_ids: tuple[
        Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")], ...
    ] = Field(min_length=1, max_length=16)
    route_table_ids: tuple[
        Annotated[str, Field(pattern=r"^rtb-([0-9a-f]{8}|[0-9a-f]{17})$")], ...
    ] = ()
    bedrock_endpoints: bool = False


class Stage(_Settings):
    """One account, and the regions in which models are tuned there.

    Attributes:
        name: part of the names of stacks and of the SSM parameter; never changed once deployed.
        regions: one stack in each; Nova is tuned in us-east-1, Llama in us-west-2.
        base_models: the catalog keys that may be tuned.
        account: twelve digits; `None` for the account of whoever deploys.
        data_prefix: where training data and job output go in the bucket.
        retain_data: keep bucket and keys when the stack is deleted, and protect the stack from that; if not,
            `cdk destroy` deletes an empty bucket, and fails on one that still holds data.
        extra_data: further places that jobs may read training data from; who puts it there has the right to from elsewhere.
        model_key: encrypt tuned models with a KMS key of the stage; if not, AWS's own key does.
        endpoints: how long they may live.
        alert_email: who hears of alarms, the budget and finished jobs; can also be given at `cdk deploy`.
        monthly_budget_usd: what the stage is to cost at most; whoever hears of alarms is told at 80 % and 100 %.
        roles: who may take on a role; policies to attach are there in any case.
        network: run jobs in a private network of the account.
        dashboard: have a dashboard in CloudWatch, which costs some dollars a month.
        permissions_boundary: the name of a policy in the account that bounds every role of the stack.
        qualifier: of `cdk bootstrap`, where it was not run with its default.
    """

    name: Annotated[str, Field(pattern=f"^{STAGE_NAME.pattern}$")]
    regions: tuple[Region, ...] = Field(min_length=1)
    base_models: tuple[str, ...]
    account: AccountId | None = None
    data_prefix: str = Field(default="tunestack", pattern=_PREFIX, max_length=50)
    retain_data: bool = True
    extra_data: tuple[DataLocation, ...] = Field(default=(), max_length=5)
    model_key: bool = False
    endpoints: Endpoints = Endpoints()
    alert_email: Email | None = None
    monthly_budget_usd: int = Field(default=500, ge=1, le=10_000_000)
    roles: Roles = Roles()
    network: Network | None = None
    dashboard: bool = False
    permissions_boundary: Annotated[str, Field(pattern=r"^[a-zA-Z0-9+=,.@_-]+$")] | None = None
    qualifier: Annotated[str, Field(pattern=r"^[a-z0-9]{1,10}$")] | None = None

    def __init__(self, **settings: Any) -> None:
        """Refuse what could not be deployed, before anything is synthesized.

        Raises:
            StageError: names all that is wrong.
        """
        try:
            super().__init__(**settings)
        except ValidationError as error:
            what = f"stage {settings.get('name')!r} can't be deployed"
            raise StageError(f"{what}: {'; '.join(_words(error))}") from None

    @property
    def datasets(self) -> str:
        """Where training data goes, as a prefix of keys."""
        return datasets_prefix(self.data_prefix)

    @property
    def outputs(self) -> str:
        """Where jobs write, as a prefix of keys."""
        return outputs_prefix(self.data_prefix)

    def base_models_in(self, region: str) -> tuple[str, ...]:
        """Name the stage's base models that can be tuned in a region."""
        return tuple(key for key in self.base_models if region in CATALOG[key].regions)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise _wrong("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        for what in ("regions", "base_models"):
            values = getattr(self, what)
            if len(set(values)) < len(values):
                yield f"{what}: one is there twice"
        partitions = {_partition(region) for region in self.regions}
        if len(partitions) > 1:
            yield "regions: an account belongs to one partition, these are of several"
        if self.network is not None and len(self.regions) > 1:
            yield "network: a network is of one region, and the stage has several"
        owners = {(place.bucket, place.account or self.account) for place in self.extra_data}
        if len(owners) > len({bucket for bucket, _ in owners}):
            yield "extra_data: a bucket has one owner, and is said to have two"
        yield from self._unknown_models()

    def _unknown_models(self) -> Iterator[str]:
        known = {model.key: model for model in CATALOG if model.provider == "bedrock"}
        living = [
            key
            for key, model in known.items()
            if model.lifecycle.state(model.seen) is LifecycleState.ACTIVE
        ]
        for key in self.base_models:
            if key not in known:
                yield f"base model {key!r} is not in the catalog: use {', '.join(living)}"
            elif not set(known[key].regions) & set(self.regions):
                regions = " or ".join(known[key].regions)
                yield f"base model {key!r} is tuned in {regions} only: add that region"


def _partition(region: str) -> str:
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(
        region[:6] if region.startswith("us-gov") else region[:2], "aws"
    )


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("stage", "{message}", {"message": message})


_WORDS = {
    "name": "use 1 to 20 lower-case letters, digits and hyphens, a letter first",
    "account": "use twelve digits",
    "regions": "use names of regions, such as us-east-1",
    "data_prefix": "use at most 50 lower-case letters, digits and '-', single '/' between",
    "subjects": "use what tokens say of their subject, with no wildcard in its first four letters",
}


def _words(error: ValidationError) -> Iterator[str]:
    """Say what is wrong, in the words of a person rather than of patterns."""
    for problem in error.errors(include_url=False):
        path = ".".join(map(str, problem["loc"]))
        given = repr(problem["input"])
        given = given if len(given) < 100 else f"{given[:100]}..."
        if problem["type"] == "stage":
            yield f"{path}: {problem['msg']}" if path else problem["msg"]
        elif problem["type"] == "missing":
            yield f"{path} is missing"
        elif problem["type"] == "extra_forbidden":
            yield f"{path}: there is no such setting"
        elif problem["type"] == "too_short":
            yield f"{path}: name at least one"
        else:
            named = [_WORDS[part] for part in map(str, problem["loc"]) if part in _WORDS]
            hint = named[-1] if problem["type"] == "string_pattern_mismatch" and named else ""
            yield f"{path} {given}: {hint or problem['msg'].lower()}"
