"""The role that Bedrock assumes to read training data and write job output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from tunestack_cdk.constructs.arns import customization_job_arns
from tunestack_cdk.constructs.conditions import called_via_service, resource_owned_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_cdk import aws_kms as kms

    from tunestack_cdk.constructs.data_store import DataStore
    from tunestack_cdk.constructs.network import JobNetwork
    from tunestack_cdk.stage import DataLocation, Stage

MODEL_KEY_ACTIONS = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")
"""The actions that encrypt a model with a KMS key through Bedrock.

The user guide (encryption-custom-job, read 2026-11-28) requires them in one place of the caller, in another of the service
role of the job, so both have them.
"""


class JobRole(Construct):
    """Reads the datasets and writes the output of customization jobs of this account and region, and nothing else.

    Source: user guide, model-customization-iam-role and custom-model-job-access-security (read 2026-11-22). The permissions
    are narrower than there: limited to the prefixes of the stage and to buckets of the expected owner. That Bedrock needs no
    more has not been confirmed by a job in a real account.

    Attributes:
        role: the role to create jobs with.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        data: DataStore,
        network: JobNetwork | None,
        model_key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        statements = list(_data_statements(stage, data))
        for number, location in enumerate(stage.extra_data_locations):
            statements += _extra_location_statements(location, number)
        if network is not None:
            statements += network.job_statements()
        if model_key is not None:
            statements.append(_model_key_statement(model_key))
        self.role = iam.Role(
            self,
            "Role",
            description="Assumed by Amazon Bedrock for the fine-tuning jobs of this account",
            # Both conditions prevent a confused deputy: Bedrock could otherwise use this role for a job of another account.
            assumed_by=iam.ServicePrincipal(
                "bedrock.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnEquals": {"aws:SourceArn": customization_job_arns()},
                },
            ),
        )
        iam.ManagedPolicy(
            self,
            "Data",
            description="Read training data and write the output of fine-tuning jobs",
            statements=statements,
            roles=[self.role],
        )


def _data_statements(stage: Stage, data: DataStore) -> Iterator[iam.PolicyStatement]:
    bucket = data.bucket.bucket_arn
    datasets, outputs = stage.datasets_prefix, stage.outputs_prefix
    yield iam.PolicyStatement(
        sid="ListData",
        actions=["s3:ListBucket"],
        resources=[bucket],
        conditions={
            **resource_owned_by(),
            "StringLike": {"s3:prefix": [f"{datasets}*", f"{outputs}*"]},
        },
    )
    yield iam.PolicyStatement(
        sid="ReadData",
        actions=["s3:GetObject"],
        resources=[f"{bucket}/{datasets}*", f"{bucket}/{outputs}*"],
        conditions=resource_owned_by(),
    )
    yield iam.PolicyStatement(
        sid="WriteOutput",
        actions=["s3:PutObject"],
        resources=[f"{bucket}/{outputs}*"],
        conditions=resource_owned_by(),
    )
    yield iam.PolicyStatement(
        sid="UseKeyThroughS3",
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=[data.key.key_arn],
        conditions=called_via_service("s3"),
    )


def _extra_location_statements(
    location: DataLocation, number: int
) -> Iterator[iam.PolicyStatement]:
    yield iam.PolicyStatement(
        sid=f"ListExtra{number}",
        actions=["s3:ListBucket"],
        resources=[_bucket_arn(location)],
        conditions={
            **resource_owned_by(location.owner or Aws.ACCOUNT_ID),
            "StringLike": {"s3:prefix": f"{location.prefix}*"},
        },
    )
    yield from read_location(location)


def read_location(location: DataLocation) -> Iterator[iam.PolicyStatement]:
    """Allow reading an extra location while its bucket belongs to the account that the stage names."""
    yield iam.PolicyStatement(
        actions=["s3:GetObject"],
        resources=[f"{_bucket_arn(location)}/{location.prefix}*"],
        conditions=resource_owned_by(location.owner or Aws.ACCOUNT_ID),
    )
    if location.key_arn is not None:
        yield iam.PolicyStatement(
            actions=["kms:Decrypt"],
            resources=[location.key_arn],
            conditions=called_via_service("s3"),
        )


def _bucket_arn(location: DataLocation) -> str:
    return f"arn:{Aws.PARTITION}:s3:::{location.bucket}"


def _model_key_statement(key: kms.IKey) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="UseModelKeyThroughBedrock",
        actions=list(MODEL_KEY_ACTIONS),
        resources=[key.key_arn],
        conditions=called_via_service("bedrock"),
    )
