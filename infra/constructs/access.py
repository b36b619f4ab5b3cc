"""Who may do what: managed policies to attach to people and applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.conditions import in_own_account, through_s3
from infra.constructs.data_store import DataStore
from infra.constructs.job_role import JobRole
from tunestack.catalog import CATALOG

if TYPE_CHECKING:
    from collections.abc import Sequence


class Access(Construct):
    """The *tuner* policy: submit, track and cancel jobs, start, call and stop endpoints; exactly `contract.ACTIONS`.

    Attributes:
        tuner: the managed policy.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStore,
        job_role: JobRole,
        datasets_prefix: str,
        outputs_prefix: str,
        parameter_name: str,
        base_models: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        bedrock = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        foundation = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}::foundation-model"
        base = [f"{foundation}/{CATALOG[key].customization_id}" for key in base_models]
        jobs, models = f"{bedrock}:model-customization-job/*", f"{bedrock}:custom-model/*"
        deployments = f"{bedrock}:custom-model-deployment/*"
        throughputs = f"{bedrock}:provisioned-model/*"
        bucket = data.bucket.bucket_arn
        own = in_own_account()
        self.tuner = iam.ManagedPolicy(
            self,
            "Tuner",
            description="Fine-tune with Tunestack: submit, track, cancel; start, call, stop",
            statements=[
                iam.PolicyStatement(
                    sid="SubmitJobs",
                    actions=["bedrock:CreateModelCustomizationJob"],
                    resources=[*base, models, jobs],
                ),
                iam.PolicyStatement(
                    sid="FollowJobs",
                    actions=[
                        "bedrock:GetModelCustomizationJob",
                        "bedrock:StopModelCustomizationJob",
                    ],
                    resources=[jobs],
                ),
                iam.PolicyStatement(
                    sid="DeployOnDemand",
                    actions=["bedrock:CreateCustomModelDeployment"],
                    resources=[models],
                ),
                iam.PolicyStatement(
                    sid="RunDeployments",
                    actions=[
                        "bedrock:GetCustomModelDeployment",
                        "bedrock:DeleteCustomModelDeployment",
                    ],
                    resources=[deployments],
                ),
                iam.PolicyStatement(
                    sid="BuyThroughput",
                    actions=["bedrock:CreateProvisionedModelThroughput"],
                    resources=[models],
                ),
                iam.PolicyStatement(
                    sid="RunThroughput",
                    actions=[
                        "bedrock:GetProvisionedModelThroughput",
                        "bedrock:DeleteProvisionedModelThroughput",
                    ],
                    resources=[throughputs],
                ),
                iam.PolicyStatement(
                    sid="Invoke",
                    actions=["bedrock:InvokeModel"],
                    resources=[deployments, throughputs],
                ),
                iam.PolicyStatement(
                    sid="Tag",
                    actions=["bedrock:TagResource"],
                    resources=[jobs, models, deployments, throughputs],
                ),
                iam.PolicyStatement(
                    # List has no resource to name.
                    sid="List",
                    actions=[
                        "bedrock:ListCustomModelDeployments",
                        "bedrock:ListFoundationModels",
                        "bedrock:ListModelCustomizationJobs",
                        "bedrock:ListProvisionedModelThroughputs",
                    ],
                    resources=["*"],
                ),
                iam.PolicyStatement(
                    sid="GiveJobsTheirRole",
                    actions=["iam:PassRole"],
                    resources=[job_role.role.role_arn],
                    conditions={"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}},
                ),
                iam.PolicyStatement(
                    sid="ListOutput",
                    actions=["s3:ListBucket"],
                    resources=[bucket],
                    conditions={**own, "StringLike": {"s3:prefix": [f"{outputs_prefix}*"]}},
                ),
                iam.PolicyStatement(
                    sid="ReadData",
                    actions=["s3:GetObject"],
                    resources=[f"{bucket}/{datasets_prefix}*", f"{bucket}/{outputs_prefix}*"],
                    conditions=own,
                ),
                iam.PolicyStatement(
                    sid="WriteData",
                    actions=["s3:PutObject"],
                    resources=[f"{bucket}/{datasets_prefix}*"],
                    conditions=own,
                ),
                iam.PolicyStatement(
                    sid="UseKeyThroughS3",
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[data.key.key_arn],
                    conditions=through_s3(),
                ),
                iam.PolicyStatement(
                    sid="FindDeployment",
                    actions=["ssm:GetParameter"],
                    resources=[
                        f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}:{Aws.ACCOUNT_ID}:parameter{parameter_name}"
                    ],
                ),
            ],
        )
