"""The settings of a stage: everything that differs between accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tunestack.catalog import CATALOG, LifecycleState
from tunestack.deployment import STAGE_NAME, datasets_prefix, outputs_prefix
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

_PREFIX = r"^[a-z0-9-]+(/[a-z0-9-]+)*$"
_ROLE_OR_USER = r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:(root|(role|user)/[a-zA-Z0-9+=,.@_/-]+)$"
_OIDC_PROVIDER = r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:oidc-provider/[a-zA-Z0-9._/-]+$"
_KEY = r"^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$"
# Source: EventBridge Scheduler user guide, schedule-types (read 2026-11-29): six fields; the unit is singular for 1.
_SCHEDULE = r"^(cron\(([A-Z0-9*?,/#-]+ ){5}[A-Z0-9*?,/#-]+\)|rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\))$"
_LOCATION = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>(?:[\w!'()./=+@-]{1,200}/)?)"
)

AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
Email = Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$")]
Principal = Annotated[str, Field(pattern=_ROLE_OR_USER)]


class StageError(TunestackError, ValueError):
    """Raised when a stage has invalid settings; the message lists every problem."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    if not TYPE_CHECKING:  # type checkers take the parameters from the fields

        def __init__(self, **settings: Any) -> None:
            """Validate the settings, before anything is synthesized.

            Raises:
                StageError: lists every invalid setting.
            """
            try:
                super().__init__(**settings)
            except ValidationError as error:
                kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(self).__name__).lower()
                name = f" {settings['name']!r}" if "name" in settings else ""
                problems = [_format_problem(row) for row in error.errors(include_url=False)]
                raise StageError(f"invalid {kind}{name}: {'; '.join(problems)}") from None


class DataLocation(_Settings):
    """Training data outside the bucket of the stage that jobs may read.

    ```python
    DataLocation(uri="s3://example-curated-data/tickets/", owner="111122223333")
    ```

    Attributes:
        uri: `s3://bucket/prefix/`. If the bucket belongs to another account, its bucket policy must allow the job role to
            read there.
        owner: ID of the account that owns the bucket. Defaults to the account of the stage.
        key_arn: ARN of the KMS key that encrypts the data, if any.
    """

    uri: str
    owner: AccountId | None = None
    key_arn: Annotated[str, Field(pattern=_KEY)] | None = None

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._parts[0]

    @property
    def prefix(self) -> str:
        """Prefix of the object keys; empty for a whole bucket."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        match = _LOCATION.fullmatch(self.uri)
        return (match["bucket"], match["prefix"]) if match else ("", "")

    @model_validator(mode="after")
    def _check_uri(self) -> Self:
        if not _LOCATION.fullmatch(self.uri) or ".." in self.uri or "//" in self.prefix:
            raise _stage_problem(
                f"invalid location {self.uri!r}: use s3://bucket/prefix/, with a trailing slash"
            )
        return self


class Oidc(_Settings):
    """CI jobs that may assume the tuner role through an OpenID Connect (OIDC) provider of the account.

    ```python
    Oidc(
        provider_arn="arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
        subjects=("repo:example/project:ref:refs/heads/main",),
    )
    ```

    Attributes:
        provider_arn: ARN of the OIDC provider.
        subjects: accepted `sub` claims of the tokens; `*` matches any text, but not within the first four characters.
        audience: accepted `aud` claim of the tokens.
    """

    provider_arn: Annotated[str, Field(pattern=_OIDC_PROVIDER)]
    subjects: tuple[Annotated[str, Field(pattern=r"^[^*?\s]{4}\S*$")], ...] = Field(min_length=1)
    audience: str = Field(default="sts.amazonaws.com", pattern=r"^[^*?\s]+$")


class Roles(_Settings):
    """Principals that may assume a role of the stage, from this account or another one.

    The stack creates a role only if a principal is listed for it.

    Attributes:
        tuners: ARNs of principals that submit, follow and cancel jobs, and start, invoke and delete endpoints.
        invokers: ARNs of principals that invoke endpoints.
        viewers: ARNs of principals with read access.
        ci: CI jobs with the permissions of a tuner.
    """

    tuners: tuple[Principal, ...] = ()
    invokers: tuple[Principal, ...] = ()
    viewers: tuple[Principal, ...] = ()
    ci: Oidc | None = None


class Network(_Settings):
    """An existing VPC that jobs run in. A stage with a network has exactly one region.

    Attributes:
        vpc_id: ID of the VPC.
        subnet_ids: subnets for the network interfaces of jobs, ideally one per Availability Zone.
        route_table_ids: route tables of these subnets. The stack adds a gateway endpoint for S3 to them. Leave empty if the
            VPC has one already.
        bedrock_endpoints: whether to create interface endpoints for Bedrock. They are billed by the hour, in each
            Availability Zone.
    """

    vpc_id: Annotated[str, Field(pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$")]
    subnet_ids: tuple[
        Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")], ...
    ] = Field(min_length=1, max_length=16)
    route_table_ids: tuple[
        Annotated[str, Field(pattern=r"^rtb-([0-9a-f]{8}|[0-9a-f]{17})$")], ...
    ] = ()
    bedrock_endpoints: bool = False


class RunSchedule(_Settings):
    """A run that is started regularly, for example a retraining every night.

    ```python
    RunSchedule(name="nightly", expression="cron(0 2 * * ? *)")
    ```

    Attributes:
        name: name of the schedule.
        expression: when the run is started, in UTC: `cron(minutes hours day-of-month month day-of-week year)` or
            `rate(1 day)`. Source: EventBridge Scheduler user guide, schedule-types.
        region: region of the base models, one of the stage's. By default the first one.
        sweep: `s3://` location of the sweep file that describes the run, in a data location of the stage. By default
            `schedules/NAME.toml` below the training data in the data bucket of the region.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
    expression: Annotated[str, Field(pattern=_SCHEDULE)]
    region: Region | None = None
    sweep: Annotated[str, Field(pattern=r"^s3://.+\.toml$", max_length=1024)] | None = None


class Stage(_Settings):
    """One AWS account and the regions in which it fine-tunes models.

    ```python
    Stage(
        name="team",
        regions=("us-east-1", "us-west-2"),
        base_models=("nova-micro", "llama-3-1-8b"),
        max_endpoint_hours=12,
        alert_email="ml-team@example.com",
    )
    ```

    Attributes:
        name: part of the names of the stacks and of the SSM parameter. Do not change it after the first deployment.
        regions: one stack is deployed in each. Nova is fine-tuned in us-east-1, Llama in us-west-2.
        base_models: catalog keys of the models that may be fine-tuned.
        account: 12-digit account ID. Defaults to the account of the credentials that deploy.
        data_prefix: key prefix for training data and job output in the data bucket.
        retain_data: whether to keep buckets and keys when the stack is deleted, and to turn on termination protection. If
            false, `cdk destroy` deletes the data bucket, and fails if it still contains data. The access log bucket is
            always kept: S3 delivers access logs for hours after the last request.
        extra_data_locations: other locations that jobs may read training data from. The stack grants access only to
            the job role (and the function of `run_schedules`).
        model_key: whether to encrypt fine-tuned models with a KMS key of the stage instead of an AWS owned key.
        allow_provisioned_throughput: whether the tuner policy allows buying provisioned throughput, which is billed by the
            hour.
        default_endpoint_hours: lifetime of provisioned throughput that is created without an expiry.
        max_endpoint_hours: maximum lifetime of provisioned throughput, whatever expiry it was created with.
        alert_email: receives alarms, budget alerts and notices of finished jobs. Can also be set with the parameter
            `AlertEmail` of `cdk deploy`.
        monthly_budget_usd: monthly budget. An alert is sent when 80% or 100% is spent, and when 100% is forecast. A budget
            stops nothing.
        roles: principals that may assume a role of the stage. The policies are created in any case.
        network: private network for jobs.
        run_evaluation: whether runs can evaluate their models and promote the best one in the account, without a client. The
            stack then has a Lambda function with the SDK, whose packages are downloaded when the stack is synthesized.
        run_schedules: runs that are started regularly. The stack then has another Lambda function with the SDK.
        dashboard: whether to create a CloudWatch dashboard, which costs about $3 a month. Its address is the output `DashboardUrl`.
        permissions_boundary: name of an IAM policy of the account to set as the permissions boundary of every role.
        qualifier: qualifier of `cdk bootstrap`, if it is not the default.
    """

    name: Annotated[str, Field(pattern=f"^{STAGE_NAME.pattern}$")]
    regions: tuple[Region, ...] = Field(min_length=1)
    base_models: tuple[str, ...]
    account: AccountId | None = None
    data_prefix: str = Field(default="tunestack", pattern=_PREFIX, max_length=50)
    retain_data: bool = True
    extra_data_locations: tuple[DataLocation, ...] = Field(default=(), max_length=5)
    model_key: bool = False
    allow_provisioned_throughput: bool = True
    default_endpoint_hours: int = Field(default=4, ge=1, le=8760)
    max_endpoint_hours: int = Field(default=24, ge=1, le=8760)
    alert_email: Email | None = None
    monthly_budget_usd: int = Field(default=500, ge=1, le=10_000_000)
    roles: Roles = Roles()
    network: Network | None = None
    run_evaluation: bool = False
    run_schedules: tuple[RunSchedule, ...] = Field(default=(), max_length=20)
    dashboard: bool = False
    permissions_boundary: Annotated[str, Field(pattern=r"^[a-zA-Z0-9+=,.@_-]+$")] | None = None
    qualifier: Annotated[str, Field(pattern=r"^[a-z0-9]{1,10}$")] | None = None

    @property
    def datasets_prefix(self) -> str:
        """Key prefix of training data in the data bucket."""
        return datasets_prefix(self.data_prefix)

    @property
    def outputs_prefix(self) -> str:
        """Key prefix of job output in the data bucket."""
        return outputs_prefix(self.data_prefix)

    def get_base_models(self, region: str) -> tuple[str, ...]:
        """Return the catalog keys of the stage's base models that can be fine-tuned in a region."""
        return tuple(key for key in self.base_models if region in CATALOG[key].regions)

    def get_run_schedules(self, region: str) -> tuple[RunSchedule, ...]:
        """Return the schedules that start runs in a region."""
        return tuple(
            schedule
            for schedule in self.run_schedules
            if (schedule.region or self.regions[0]) == region
        )

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        problems = [*self._find_conflicts(), *self._find_unknown_models()]
        if problems:
            raise _stage_problem("; ".join(problems))
        return self

    def _find_conflicts(self) -> Iterator[str]:
        for name in ("regions", "base_models"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                yield f"{name}: duplicate values"
        if len({_get_partition(region) for region in self.regions}) > 1:
            yield "regions: use regions of one partition, an account belongs to exactly one"
        if self.default_endpoint_hours > self.max_endpoint_hours:
            yield (
                f"default_endpoint_hours {self.default_endpoint_hours} is greater than "
                f"max_endpoint_hours {self.max_endpoint_hours}"
            )
        yield from self._find_schedule_conflicts()
        if self.network is not None and len(self.regions) > 1:
            yield "network: use one region, a VPC belongs to exactly one"
        owners = {
            (location.bucket, location.owner or self.account)
            for location in self.extra_data_locations
        }
        if len(owners) > len({bucket for bucket, _ in owners}):
            yield "extra_data_locations: the same bucket is listed with two owners"

    def _find_schedule_conflicts(self) -> Iterator[str]:
        names = [schedule.name for schedule in self.run_schedules]
        if len(set(names)) < len(names):
            yield "run_schedules: duplicate names"
        locations = tuple(location.uri for location in self.extra_data_locations)
        for schedule in self.run_schedules:
            if schedule.region is not None and schedule.region not in self.regions:
                yield f"run_schedules: {schedule.region} is not in the regions of the stage: add it to the regions"
            if schedule.sweep is not None and not schedule.sweep.startswith(locations):
                yield (
                    f"run_schedules: {schedule.sweep} is in no location of extra_data_locations: add its location, or leave out "
                    "sweep to use the data bucket of the stage"
                )

    def _find_unknown_models(self) -> Iterator[str]:
        models = {model.key: model for model in CATALOG if model.provider == "bedrock"}
        active = [
            key
            for key, model in models.items()
            if model.lifecycle.state(model.seen) is LifecycleState.ACTIVE
        ]
        for key in self.base_models:
            if key not in models:
                yield f"unknown base model {key!r}: use {', '.join(active)}"
            elif not set(models[key].regions) & set(self.regions):
                regions = " or ".join(models[key].regions)
                yield (
                    f"base model {key!r} can be fine-tuned in {regions} only: add it to the regions"
                )


def _get_partition(region: str) -> str:
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(
        region[:6] if region.startswith("us-gov") else region[:2], "aws"
    )


def _stage_problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("stage", "{message}", {"message": message})


_PATTERN_HINTS = {
    "name": "use 1 to 20 lowercase letters, digits and hyphens, starting with a letter",
    "account": "use 12 digits",
    "owner": "use 12 digits",
    "regions": "use region names such as us-east-1",
    "expression": "use cron(0 2 * * ? *), with six fields, or rate(1 day)",
    "sweep": "use the s3:// location of a .toml file",
    "vpc_id": "use the ID of a VPC, such as vpc-0a1b2c3d4e5f60718",
    "subnet_ids": "use IDs of subnets, such as subnet-0a1b2c3d4e5f60718",
    "route_table_ids": "use IDs of route tables, such as rtb-0a1b2c3d4e5f60718",
    "tuners": "use ARNs of roles, users or account roots",
    "invokers": "use ARNs of roles, users or account roots",
    "viewers": "use ARNs of roles, users or account roots",
    "provider_arn": "use the ARN of an OpenID Connect provider",
    "audience": "use the 'aud' claim of the tokens, without wildcards",
    "key_arn": "use the ARN of a KMS key",
    "alert_email": "use one e-mail address",
    "permissions_boundary": "use the name of an IAM policy, not its ARN",
    "qualifier": "use 1 to 10 lowercase letters and digits",
    "data_prefix": "use at most 50 lowercase letters, digits and hyphens, separated by single slashes",
    "subjects": "use the 'sub' claim of the tokens, without a wildcard in the first four characters",
}


def _format_problem(problem: ErrorDetails) -> str:
    """Describe one error of pydantic without its regular expressions."""
    parts = [str(part) for part in problem["loc"]]
    path = ".".join(parts)
    value = repr(problem["input"])
    if len(value) >= 100:
        value = f"{value[:100]}..."
    match problem["type"]:
        case "stage" | "value_error":  # the second one of settings that are a part of others
            message = problem["msg"].removeprefix("Value error, ")
            return f"{path}: {message}" if path else message
        case "missing":
            return f"{path} is missing"
        case "extra_forbidden":
            return f"unknown setting {path!r}"
        case "too_short":
            return f"{path}: use at least one value"
        case "string_pattern_mismatch":
            hints = [_PATTERN_HINTS[part] for part in parts if part in _PATTERN_HINTS]
            return f"{path} {value}: {hints[-1] if hints else problem['msg'].lower()}"
    return f"{path} {value}: {problem['msg'].lower()}"
