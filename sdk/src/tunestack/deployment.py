"""The contract between the stacks and the SDK: the deployment, its names, and the permissions that the SDK needs.

Both sides build the same `Deployment`: the stacks from CDK tokens, the SDK from JSON or the environment. Names of
parameters and environment variables are written here only, and tests compare the policies of the stack with `ACTIONS`.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunestack import settings
from tunestack.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION = 1
"""The version of the deployment document; it changes with breaking changes only, new fields have defaults."""

DEFAULT_STAGE = "dev"

S3_BUCKET = "DSPY_BEDROCK_S3_BUCKET"
ROLE_ARN = "DSPY_BEDROCK_ROLE_ARN"
REGION = "AWS_REGION"
DEFAULT_REGION = "AWS_DEFAULT_REGION"
"""boto3 reads only this one; most other tools read `AWS_REGION`."""
STAGE = "TUNESTACK_STAGE"
DEPLOYMENT = "TUNESTACK_DEPLOYMENT"
"""The whole document; bucket, role and region are enough for jobs and on-demand endpoints."""

STAGE_TAG = "tunestack:stage"
"""The tag of everything that belongs to a stage: resources of the stack, jobs, models and endpoints."""
EXPIRES_AT_TAG = "tunestack:expires-at"
"""The tag with the end of an endpoint, in ISO 8601; the tuner policy denies provisioned throughput without it."""

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
_SEE_PRICES = ("pricing:GetProducts",)
_SEE_METRICS = ("cloudwatch:GetMetricData",)

ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tuner": tuple(
            sorted(
                (
                    *_SEE_ENDPOINTS,
                    *_INVOKE,
                    *_SEE_JOBS,
                    *_SEE_PRICES,
                    *_SEE_METRICS,
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
        "runner": (
            "states:DescribeExecution",
            "states:DescribeMapRun",
            "states:ListExecutions",
            "states:ListMapRuns",
            "states:StartExecution",
            "states:StopExecution",
        ),
        "invoker": tuple(
            sorted((*_SEE_ENDPOINTS, *_INVOKE, *_FIND, "bedrock:ListTagsForResource"))
        ),
        "viewer": tuple(
            sorted(
                (
                    *_SEE_ENDPOINTS,
                    *_SEE_JOBS,
                    *_SEE_PRICES,
                    *_SEE_METRICS,
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
"""The additional actions if the stage has a key for its custom models."""

STAGE_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


def parameter_name(stage: str) -> str:
    """Return the name of the SSM parameter with the deployment of a stage; there is one in each of its regions."""
    if not STAGE_NAME.fullmatch(stage):
        raise DeploymentError(
            f"invalid stage {stage!r}: use 1 to 20 lower-case letters, digits and hyphens, starting with a letter"
        )
    return f"/tunestack/{stage}/deployment"


def datasets_prefix(data_prefix: str) -> str:
    """Return the key prefix of training data in the data bucket."""
    return f"{data_prefix}/datasets/"


def runs_prefix(data_prefix: str) -> str:
    """Return the key prefix of the jobs of runs in the data bucket, which is part of the training data: tuners write there."""
    return f"{datasets_prefix(data_prefix)}runs/"


def schedules_prefix(data_prefix: str) -> str:
    """Return the key prefix of the sweep files of schedules in the data bucket, which is part of the training data."""
    return f"{datasets_prefix(data_prefix)}schedules/"


def outputs_prefix(data_prefix: str) -> str:
    """Return the key prefix of job output in the data bucket."""
    return f"{data_prefix}/outputs/"


def evaluations_prefix(data_prefix: str) -> str:
    """Return the key prefix of evaluations and promotions in the data bucket, which is part of the job output."""
    return f"{outputs_prefix(data_prefix)}evaluations/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A deployed stage in one region.

    `None`, and an empty tuple, mean unknown if not said otherwise: environment variables may name only bucket and role.
    """

    region: str
    account: str
    data_bucket: str
    """The bucket of training data and job output; Bedrock requires it in the region of the job."""
    job_role_arn: str
    """The role that Bedrock assumes to read training data and write output."""
    stage: str | None = None
    data_prefix: str = "tunestack"
    data_key_arn: str | None = None
    """The KMS key of the bucket."""
    data_locations: tuple[str, ...] = ()
    """The `s3://bucket/prefix/` locations that the job role may read."""
    data_owners: tuple[str, ...] = ()
    """The account that owns the bucket of each location."""
    base_models: tuple[str, ...] = ()
    """The catalog keys of the base models that the stage allows."""
    model_key_arn: str | None = None
    """The KMS key of custom models; `None` for AWS's own."""
    subnet_ids: tuple[str, ...] = ()
    """The subnets that jobs run in; empty for AWS's own network."""
    security_group_ids: tuple[str, ...] = ()
    guard_arn: str | None = None
    """The Lambda function that deletes endpoints at their end; `None` if none is deployed."""
    schedule_group: str | None = None
    """The EventBridge Scheduler group of its schedules."""
    scheduler_role_arn: str | None = None
    """The role by which schedules invoke it."""
    dead_letters_arn: str | None = None
    """The queue of failed invocations."""
    default_endpoint_hours: int = 4
    """The default lifetime of provisioned throughput."""
    max_endpoint_hours: int = 24
    """The longest lifetime of provisioned throughput."""
    event_queue_url: str | None = None
    """The SQS queue of Bedrock's job events; `None` if none is deployed."""
    state_machine_arn: str | None = None
    """The Step Functions state machine of runs; `None` if none is deployed."""
    run_evaluation: bool = False
    """Whether runs can evaluate and promote their models in the account."""
    version: int = VERSION

    @property
    def datasets_prefix(self) -> str:
        """The key prefix of training data in the data bucket."""
        return datasets_prefix(self.data_prefix)

    @property
    def outputs_prefix(self) -> str:
        """The key prefix of job output in the data bucket."""
        return outputs_prefix(self.data_prefix)

    def owner(self, bucket: str) -> str:
        """Return the account that must own a bucket: that of the deployment, or of the stage's location in the bucket."""
        for location, owner in zip(self.data_locations, self.data_owners, strict=False):
            if location.startswith(f"s3://{bucket}/"):
                return owner
        return self.account

    def to_json(self) -> str:
        """Return the document for the SSM parameter."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def environment(self) -> dict[str, str]:
        """Return the environment variables of this deployment."""
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
        import msgspec  # noqa: PLC0415 - takes longer to load than all of this

        again = "run `cdk deploy` again"
        try:
            document = msgspec.json.decode(text)
        except (ValueError, RecursionError) as error:
            raise DeploymentError(f"{origin} is not a deployment document: {again}") from error
        if not isinstance(document, dict):
            raise DeploymentError(f"{origin} is not a deployment document: {again}")
        if (version := document.get("version")) != VERSION or version is True:
            raise DeploymentError(
                f"{origin} has version {version!r}, this SDK reads version {VERSION}: "
                "upgrade the older one (`pip install -U tunestack`, or `cdk deploy`)"
            )
        try:
            return msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            raise DeploymentError(f"{origin} is invalid ({error}): {again}") from error

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, region: str | None = None
    ) -> Deployment | None:
        """Read the deployment from environment variables; `None` if they do not name one.

        `TUNESTACK_DEPLOYMENT` alone is enough, and so are the bucket, the role and a region.
        The account is the one in the role's ARN.

        Args:
            environment: the variables.
            region: the region of the bucket, if no variable names it.

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
