"""One stage in one region: the pieces, and what the SDK is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Aws, CfnOutput, Environment, Stack, Tags
from aws_cdk import aws_ssm as ssm

from infra.constructs.access import Access
from infra.constructs.data_store import DataStore
from infra.constructs.job_role import JobRole
from tunestack.contract import Deployment, datasets_prefix, outputs_prefix, parameter_name

if TYPE_CHECKING:
    from constructs import Construct

    from infra.stages import Stage


class TunestackStack(Stack):
    """Everything that fine-tuning needs in one region of one account.

    Attributes:
        deployment: what is published: as an SSM parameter, as outputs, and through them as environment variables.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, region: str, **kwargs: Any
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Tunestack: fine-tuning on Amazon Bedrock, stage {stage.name}",
            env=Environment(account=stage.account, region=region),
            **kwargs,
        )
        self.add_metadata("tunestack:region", region)
        data = DataStore(self, "Data", retain=stage.retain_data)
        datasets = datasets_prefix(stage.data_prefix)
        outputs = outputs_prefix(stage.data_prefix)
        # Its name tells AmazonBedrockFullAccess, which may pass only roles called so, that it may.
        job_role = JobRole(
            self,
            "AmazonBedrockJob",
            data=data,
            datasets_prefix=datasets,
            outputs_prefix=outputs,
        )
        self.deployment = Deployment(
            stage=stage.name,
            region=region,
            account=Aws.ACCOUNT_ID,
            data_bucket=data.bucket.bucket_name,
            data_key_arn=data.key.key_arn,
            data_prefix=stage.data_prefix,
            data_locations=(f"s3://{data.bucket.bucket_name}/{datasets}",),
            job_role_arn=job_role.role.role_arn,
            base_models=stage.base_models_in(region),
        )
        ssm.StringParameter(
            self,
            "Deployment",
            parameter_name=parameter_name(stage.name),
            description="What Tunestack's SDK reads",
            string_value=self.deployment.to_json(),
        )
        access = Access(
            self,
            "Access",
            data=data,
            job_role=job_role,
            datasets_prefix=datasets,
            outputs_prefix=outputs,
            parameter_name=parameter_name(stage.name),
            base_models=self.deployment.base_models,
        )
        for name, value in self.deployment.environment().items():
            CfnOutput(self, _output_id(name), value=value, description=f"export {name}")
        CfnOutput(
            self,
            "TunerPolicyArn",
            value=access.tuner.managed_policy_arn,
            description="Attach it to whoever fine-tunes",
        )
        Tags.of(self).add("tunestack:stage", stage.name)


def _output_id(environment_name: str) -> str:
    # CloudFormation takes letters and digits only.
    return environment_name.title().replace("_", "")
