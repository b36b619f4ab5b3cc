"""The role that Bedrock takes on to read training data and write job output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from tunestack_cdk.constructs.conditions import in_own_account, through

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunestack_cdk.constructs.data_store import DataStore
    from tunestack_cdk.constructs.network import JobNetwork
    from tunestack_cdk.stage import DataLocation


class JobRole(Construct):
    """Reads the datasets and writes the outputs of this account's customization jobs in this region; nothing else.

    Source: user guide, model-customization-iam-role and custom-model-job-access-security (read 2026-11-22), narrowed to the
    prefixes and to buckets of the account; that Bedrock needs no more is unconfirmed by a job in a real account.

    Attributes:
        role: what jobs are created with.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStore,
        datasets: str,
        outputs: str,
        extra_data: Sequence[DataLocation],
        network: JobNetwork | None,
    ) -> None:
        super().__init__(scope, construct_id)
        own = in_own_account()
        bucket = data.bucket.bucket_arn
        statements = [
            iam.PolicyStatement(
                sid="ListData",
                actions=["s3:ListBucket"],
                resources=[bucket],
                conditions={**own, "StringLike": {"s3:prefix": [f"{datasets}*", f"{outputs}*"]}},
            ),
            iam.PolicyStatement(
                sid="ReadData",
                actions=["s3:GetObject"],
                resources=[f"{bucket}/{datasets}*", f"{bucket}/{outputs}*"],
                conditions=own,
            ),
            iam.PolicyStatement(
                sid="WriteOutput",
                actions=["s3:PutObject"],
                resources=[f"{bucket}/{outputs}*"],
                conditions=own,
            ),
            iam.PolicyStatement(
                sid="UseKeyThroughS3",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[data.key.key_arn],
                conditions=through("s3"),
            ),
        ]
        for number, location in enumerate(extra_data):
            statements += _reading(location, number)
        if network is not None:
            statements += network.job_statements()
        jobs = (
            f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}:{Aws.ACCOUNT_ID}:model-customization-job/*"
        )
        self.role = iam.Role(
            self,
            "Role",
            description="Taken on by Amazon Bedrock for the fine-tuning jobs of this account",
            # Without both conditions Bedrock could be made to use this role for a stranger's job.
            assumed_by=iam.ServicePrincipal(
                "bedrock.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnEquals": {"aws:SourceArn": jobs},
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


def _reading(location: DataLocation, number: int) -> Iterator[iam.PolicyStatement]:
    """Let jobs read a further place, if it still belongs to whom the stage says."""
    owner = {"StringEquals": {"aws:ResourceAccount": location.account or Aws.ACCOUNT_ID}}
    bucket = f"arn:{Aws.PARTITION}:s3:::{location.bucket}"
    yield iam.PolicyStatement(
        sid=f"ListExtra{number}",
        actions=["s3:ListBucket"],
        resources=[bucket],
        conditions={**owner, "StringLike": {"s3:prefix": f"{location.prefix}*"}},
    )
    yield iam.PolicyStatement(
        sid=f"ReadExtra{number}",
        actions=["s3:GetObject"],
        resources=[f"{bucket}/{location.prefix}*"],
        conditions=owner,
    )
    if location.key_arn is not None:
        yield iam.PolicyStatement(
            sid=f"DecryptExtra{number}",
            actions=["kms:Decrypt"],
            resources=[location.key_arn],
            conditions=through("s3"),
        )
