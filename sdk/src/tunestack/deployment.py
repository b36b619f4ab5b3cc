"""What the stacks and the SDK agree on: the deployment, its names, and the permissions it grants.

Both sides build the same `Deployment`: the stacks from CDK tokens, the SDK from JSON or the environment.
No parameter or environment name is written anywhere else, and tests hold the stack's policy to `ACTIONS`.
Standard library only, so that the stacks can import it.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tunestack import settings
from tunestack.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION = 1
"""Of the deployment document; raised for a breaking change only, new fields have defaults."""

DEFAULT_STAGE = "dev"

S3_BUCKET = "DSPY_BEDROCK_S3_BUCKET"
ROLE_ARN = "DSPY_BEDROCK_ROLE_ARN"
REGION = "AWS_REGION"
DEFAULT_REGION = "AWS_DEFAULT_REGION"
"""boto3 reads only this one; most other tools read `AWS_REGION`."""
STAGE = "TUNESTACK_STAGE"
DEPLOYMENT = "TUNESTACK_DEPLOYMENT"
"""The whole document; the others alone are enough for everything that needs no more."""

STAGE_TAG = "tunestack:stage"
"""The tag of everything that belongs to a stage: what the stack makes, and jobs, models and endpoints."""
EXPIRES_AT_TAG = "tunestack:expires-at"
"""The tag that says until when an endpoint may live, in ISO 8601; without it, none is made that is billed by the hour."""

_SEE_ENDPOINTS = (
    "bedrock:GetCustomModelDeployment",
    "bedrock:GetProvisionedModelThroughput",
    "bedrock:ListCustomModelDeployments",
    "bedrock:ListProvisionedModelThroughputs",
)
_INVOKE = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
_SEE_JOBS = (
    "bedrock:GetCustomModel",
    "bedrock:GetModelCustomizationJob",
    "bedrock:ListCustomModels",
    "bedrock:ListModelCustomizationJobs",
)
_FIND = ("ssm:GetParameter",)

ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tuner": tuple(
            sorted(
                (
                    *_SEE_ENDPOINTS,
                    *_INVOKE,
                    *_SEE_JOBS,
                    *_FIND,
                    "bedrock:CreateCustomModelDeployment",
                    "bedrock:CreateModelCustomizationJob",
                    "bedrock:CreateProvisionedModelThroughput",
                    "bedrock:DeleteCustomModel",
                    "bedrock:DeleteCustomModelDeployment",
                    "bedrock:DeleteProvisionedModelThroughput",
                    "bedrock:ListFoundationModels",
                    "bedrock:ListTagsForResource",
                    "bedrock:StopModelCustomizationJob",
                    "bedrock:TagResource",
                    "bedrock:UpdateCustomModelDeployment",
                    "bedrock:UpdateProvisionedModelThroughput",
                    "iam:PassRole",
                    "kms:Decrypt",
                    "kms:GenerateDataKey",
                    "s3:GetObject",
                    "s3:ListBucket",
                    "s3:PutObject",
                    "scheduler:CreateSchedule",
                    "scheduler:GetSchedule",
                    "scheduler:UpdateSchedule",
                    "sqs:DeleteMessage",
                    "sqs:ReceiveMessage",
                )
            )
        ),
        "invoker": tuple(sorted((*_SEE_ENDPOINTS, *_INVOKE, *_FIND))),
        "viewer": tuple(
            sorted(
                (
                    *_SEE_ENDPOINTS,
                    *_SEE_JOBS,
                    *_FIND,
                    "bedrock:ListFoundationModels",
                    "bedrock:ListTagsForResource",
                    "kms:Decrypt",
                    "s3:GetObject",
                    "s3:ListBucket",
                )
            )
        ),
    }
)
"""The IAM actions that the SDK needs, by the policy that grants them."""

MODEL_KEY_ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tuner": ("kms:CreateGrant", "kms:DescribeKey"),
        "invoker": ("kms:Decrypt",),
        "viewer": (),
    }
)
"""Those that are needed beside, where the stage has a key for its tuned models."""

STAGE_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


def parameter_name(stage: str) -> str:
    """Name the SSM parameter that holds the deployment of a stage, one in each of its regions."""
    if not STAGE_NAME.fullmatch(stage):
        raise DeploymentError(
            f"stage {stage!r} is no stage name: "
            "use 1 to 20 lower-case letters, digits and hyphens, a letter first"
        )
    return f"/tunestack/{stage}/deployment"


def datasets_prefix(data_prefix: str) -> str:
    """Tell where the SDK puts training data, as a key prefix of the data bucket."""
    return f"{data_prefix}/datasets/"


def outputs_prefix(data_prefix: str) -> str:
    """Tell where jobs write their output, as a key prefix of the data bucket."""
    return f"{data_prefix}/outputs/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What `cdk deploy` made in one region, and all that the SDK knows of it."""

    region: str
    account: str
    data_bucket: str
    """Training data and job output; in the job's region, as Bedrock demands."""
    job_role_arn: str
    """The role that Bedrock takes on to read the one and write the other."""
    stage: str | None = None
    data_prefix: str = "tunestack"
    data_key_arn: str | None = None
    """The KMS key of the bucket; `None` when not known."""
    data_locations: tuple[str, ...] = ()
    """The `s3://bucket/prefix/` locations that the job role may read; empty when not known."""
    data_owners: tuple[str, ...] = ()
    """Whose bucket each of these is, by account; empty when not known."""
    base_models: tuple[str, ...] = ()
    """The catalog keys that the stage allows; empty when not known."""
    model_key_arn: str | None = None
    """The KMS key that tuned models are encrypted with; `None` for AWS's own."""
    subnet_ids: tuple[str, ...] = ()
    """Where jobs run, if not in AWS's own network."""
    security_group_ids: tuple[str, ...] = ()
    guard_arn: str | None = None
    """The function that ends endpoints whose time is over; `None` where there is none."""
    schedule_group: str | None = None
    """Where its schedules are."""
    scheduler_role_arn: str | None = None
    """What they invoke it by."""
    dead_letters_arn: str | None = None
    """Where an invocation goes that fails for good."""
    default_endpoint_hours: int = 4
    """How long an endpoint lives that is billed by the hour, if nobody says."""
    max_endpoint_hours: int = 24
    """How long it lives at most."""
    event_queue_url: str | None = None
    """The queue of what Bedrock says of jobs; `None` where there is none."""
    version: int = VERSION

    @property
    def datasets_prefix(self) -> str:
        """Where the SDK puts training data, as a key prefix of the data bucket."""
        return datasets_prefix(self.data_prefix)

    @property
    def outputs_prefix(self) -> str:
        """Where jobs write their output, as a key prefix of the data bucket."""
        return outputs_prefix(self.data_prefix)

    def owner(self, bucket: str) -> str:
        """Tell which account must own a bucket: this one, unless the stage has a location there that is another's."""
        for location, owner in zip(self.data_locations, self.data_owners, strict=False):
            if location.startswith(f"s3://{bucket}/"):
                return owner
        return self.account

    def to_json(self) -> str:
        """Write the document that the SSM parameter holds."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def environment(self) -> dict[str, str]:
        """Name and value of every environment variable that stands for this deployment."""
        stage = {} if self.stage is None else {STAGE: self.stage}
        return {
            S3_BUCKET: self.data_bucket,
            ROLE_ARN: self.job_role_arn,
            REGION: self.region,
            DEFAULT_REGION: self.region,
            **stage,
            DEPLOYMENT: self.to_json(),
        }

    @classmethod
    def from_json(cls, text: str, *, origin: str) -> Deployment:
        """Read the document.

        Args:
            text: what `to_json` wrote; fields that this version does not know are ignored.
            origin: where the text comes from, for the error.

        Raises:
            DeploymentError: not a deployment document, or one of another version.
        """
        again = "run `cdk deploy` again"
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DeploymentError(f"{origin} holds no deployment document: {again}") from error
        if not isinstance(document, dict):
            raise DeploymentError(f"{origin} holds no deployment document: {again}")
        if (version := document.get("version")) != VERSION or version is True:
            raise DeploymentError(
                f"{origin} has version {version!r}, this SDK reads version {VERSION}: "
                "upgrade whichever is older (`pip install -U tunestack`, or `cdk deploy`)"
            )
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in document:
                continue
            value = document[field.name]
            if not _fits(value, str(field.type)):
                raise DeploymentError(
                    f"{origin} has {field.name}={value!r}, expected {field.type}: {again}"
                )
            values[field.name] = tuple(value) if isinstance(value, list) else value
        try:
            return cls(**values)
        except TypeError as error:
            raise DeploymentError(
                f"{origin} is incomplete ({error}): run `cdk deploy` again"
            ) from error

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, region: str | None = None
    ) -> Deployment | None:
        """Read the deployment from environment variables; `None` when they do not name one.

        `TUNESTACK_DEPLOYMENT` alone is enough, and so are the bucket, the role and a region.
        The account is the one in the role's ARN.

        Args:
            environment: the variables.
            region: where the bucket is, if no variable says so.

        Raises:
            DeploymentError: half of the variables, an invalid bucket or role, or variables that contradict each other.
            ConfigError: an invalid region.
        """
        given = {
            name: value
            for name in (S3_BUCKET, ROLE_ARN, DEPLOYMENT)
            if (value := settings.read(environment, name))
        }
        if not given:
            return None
        if bucket := given.get(S3_BUCKET):
            given[S3_BUCKET] = settings.bucket_name(S3_BUCKET, bucket)
        if text := given.get(DEPLOYMENT):
            deployment = cls.from_json(text, origin=DEPLOYMENT)
            for name, value in deployment.environment().items():
                if name in (S3_BUCKET, ROLE_ARN) and given.get(name, value) != value:
                    raise DeploymentError(
                        f"{name}={given[name]!r} contradicts {DEPLOYMENT}, which says {value!r}: "
                        "unset one of the two"
                    )
            return deployment
        for name, other in ((S3_BUCKET, ROLE_ARN), (ROLE_ARN, S3_BUCKET)):
            if name not in given:
                raise DeploymentError(
                    f"{other} is set and {name} is not: "
                    'set both, or neither (`eval "$(tunestack env)"` sets them)'
                )
        account = settings.role_account(ROLE_ARN, given[ROLE_ARN])
        region = region_from(environment) or region
        if not region:
            raise DeploymentError(
                f"{S3_BUCKET} is set and {REGION} is not: set it to the region of the bucket"
            )
        return cls(
            region=region,
            account=account,
            data_bucket=given[S3_BUCKET],
            job_role_arn=given[ROLE_ARN],
            stage=settings.read(environment, STAGE),
        )


def region_from(environment: Mapping[str, str]) -> str | None:
    """Return the region of the environment: `AWS_REGION`, then `AWS_DEFAULT_REGION`.

    Raises:
        ConfigError: the first of them that is set is not a region.
    """
    for name in (REGION, DEFAULT_REGION):
        if environment.get(name):
            return settings.region_code(name, environment[name])
    return None


def _fits(value: object, kind: str) -> bool:
    """Tell whether a value of the document is of the type that its field is declared with."""
    if kind.startswith("tuple"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "int":
        return isinstance(value, int)
    return isinstance(value, str) or (value is None and "None" in kind)


def _dotenv_line(name: str, value: str) -> str:
    # python-dotenv reads these two escapes in single quotes.
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


_ENVIRONMENT_LINES: Mapping[str, Callable[[str, str], str]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "dotenv": _dotenv_line,
    "powershell": lambda name, value: f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'",
}
ENVIRONMENT_FORMATS = (*_ENVIRONMENT_LINES, "json")


def format_environment(variables: Mapping[str, str], output_format: str) -> str:
    """Return environment variables as a script or a document.

    Args:
        variables: values by name.
        output_format: one of `ENVIRONMENT_FORMATS`.
    """
    if output_format == "json":
        return json.dumps(variables, indent=2)
    line = _ENVIRONMENT_LINES[output_format]
    return "\n".join(line(name, value) for name, value in variables.items())
