"""The role that Bedrock takes on to read training data and write job output."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.conditions import in_own_account, through_s3
from infra.constructs.data_store import DataStore


class JobRole(Construct):
    """Reads the datasets and writes the outputs of this account's customization jobs in this region; nothing else.

    Source: user guide, model-customization-iam-role (read 2026-11-22), narrowed to the prefixes and to buckets of this
    account; that Bedrock needs no more is unconfirmed by a job in a real account.

    Attributes:
        role: what jobs are created with.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStore,
        datasets_prefix: str,
        outputs_prefix: str,
    ) -> None:
        super().__init__(scope, construct_id)
        bucket = data.bucket.bucket_arn
        own = in_own_account()
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
            inline_policies={
                "Data": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="ListData",
                            actions=["s3:ListBucket"],
                            resources=[bucket],
                            conditions={
                                **own,
                                "StringLike": {
                                    "s3:prefix": [f"{datasets_prefix}*", f"{outputs_prefix}*"]
                                },
                            },
                        ),
                        iam.PolicyStatement(
                            sid="ReadData",
                            actions=["s3:GetObject"],
                            resources=[
                                f"{bucket}/{datasets_prefix}*",
                                f"{bucket}/{outputs_prefix}*",
                            ],
                            conditions=own,
                        ),
                        iam.PolicyStatement(
                            sid="WriteOutput",
                            actions=["s3:PutObject"],
                            resources=[f"{bucket}/{outputs_prefix}*"],
                            conditions=own,
                        ),
                        iam.PolicyStatement(
                            sid="UseKeyThroughS3",
                            actions=["kms:Decrypt", "kms:GenerateDataKey"],
                            resources=[data.key.key_arn],
                            conditions=through_s3(),
                        ),
                    ]
                )
            },
        )
