"""One stage in one region: the pieces, and what the SDK is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import (
    Aws,
    CfnOutput,
    DefaultStackSynthesizer,
    Environment,
    RemovalPolicy,
    Stack,
    Tags,
)
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from tunestack.deployment import STAGE_TAG, Deployment, parameter_name
from tunestack_cdk.constructs.access import Access, Granted
from tunestack_cdk.constructs.cost import Dashboard, MonthlyBudget, has_budgets
from tunestack_cdk.constructs.data_store import DataStore
from tunestack_cdk.constructs.endpoint_guard import EndpointGuard
from tunestack_cdk.constructs.job_events import JobEvents
from tunestack_cdk.constructs.job_role import JobRole
from tunestack_cdk.constructs.network import JobNetwork
from tunestack_cdk.constructs.operations import Operations

if TYPE_CHECKING:
    from tunestack_cdk.stage import Stage


class Tunestack(Construct):
    """Everything that fine-tuning needs in one region of one account; for a team's own CDK app.

    Attributes:
        deployment: what is published: as an SSM parameter, as outputs, and through them as environment variables.
        access: the policies to attach to whoever fine-tunes, calls endpoints, or looks.
        data: the bucket and its key.
        job_role: what jobs are created with.
        operations: the topic that people hear of what happens by.
        guard: what ends endpoints.
        job_events: what Bedrock says of jobs.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, region: str) -> None:
        """Make everything, for one of the stage's regions."""
        super().__init__(scope, construct_id)
        self.operations = Operations(
            self, "Operations", alert_email=stage.alert_email, retain=stage.retain_data
        )
        self.data = DataStore(self, "Data", retain=stage.retain_data)
        network = None
        if stage.network is not None:
            network = JobNetwork(self, "Network", network=stage.network)
        # Its name tells AmazonBedrockFullAccess, which may pass only roles called so, that it may.
        self.job_role = JobRole(
            self,
            "AmazonBedrockJob",
            data=self.data,
            datasets=stage.datasets,
            outputs=stage.outputs,
            extra_data=stage.extra_data,
            network=network,
        )
        self.guard = EndpointGuard(
            self,
            "Guard",
            stage=stage.name,
            endpoints=stage.endpoints,
            operations=self.operations,
        )
        self.job_events = JobEvents(self, "JobEvents", operations=self.operations)
        model_key = self._model_key(retain=stage.retain_data) if stage.model_key else None
        self.access = Access(
            self,
            "Access",
            granted=Granted(
                stage=stage,
                region=region,
                data=self.data,
                job_role=self.job_role,
                guard=self.guard,
                job_events=self.job_events,
                operations=self.operations,
                model_key=model_key,
            ),
        )
        # It is the account's, not the region's.
        if region == stage.regions[0] and has_budgets(region):
            MonthlyBudget(
                self,
                "Cost",
                stage=stage.name,
                usd=stage.monthly_budget_usd,
                operations=self.operations,
            )
        if stage.dashboard:
            Dashboard(self, "Overview", stage=stage.name, guard=self.guard)
        bucket = self.data.bucket.bucket_name
        self.deployment = Deployment(
            stage=stage.name,
            region=region,
            account=Aws.ACCOUNT_ID,
            data_bucket=bucket,
            data_key_arn=self.data.key.key_arn,
            data_prefix=stage.data_prefix,
            data_locations=(
                f"s3://{bucket}/{stage.datasets}",
                *(location.uri for location in stage.extra_data),
            ),
            data_owners=(
                Aws.ACCOUNT_ID,
                *(location.account or Aws.ACCOUNT_ID for location in stage.extra_data),
            ),
            job_role_arn=self.job_role.role.role_arn,
            base_models=stage.base_models_in(region),
            model_key_arn=None if model_key is None else model_key.key_arn,
            subnet_ids=() if network is None else tuple(network.subnet_ids),
            security_group_ids=() if network is None else (network.security_group_id,),
            guard_arn=self.guard.function.function_arn,
            schedule_group=self.guard.schedule_group,
            scheduler_role_arn=self.guard.scheduler_role.role_arn,
            dead_letters_arn=self.guard.dead_letters.queue_arn,
            default_endpoint_hours=stage.endpoints.default_hours,
            max_endpoint_hours=stage.endpoints.max_hours,
            event_queue_url=self.job_events.queue.queue_url,
        )
        ssm.StringParameter(
            self,
            "Deployment",
            parameter_name=parameter_name(stage.name),
            description="What Tunestack's SDK reads",
            string_value=self.deployment.to_json(),
        )
        Tags.of(self).add(STAGE_TAG, stage.name)

    def _model_key(self, *, retain: bool) -> kms.Key:
        return kms.Key(
            self,
            "ModelKey",
            description="Models tuned with Tunestack: without it, none of them answers any more",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY,
        )


class TunestackStack(Stack):
    """A stack of nothing else, with what was deployed as its outputs.

    Attributes:
        tunestack: what it holds.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, region: str, **kwargs: Any
    ) -> None:
        """Make everything, for one of the stage's regions."""
        super().__init__(
            scope,
            construct_id,
            description=f"Tunestack: fine-tuning on Amazon Bedrock, stage {stage.name}",
            env=Environment(account=stage.account, region=region),
            termination_protection=stage.retain_data,
            synthesizer=DefaultStackSynthesizer(qualifier=stage.qualifier),
            **kwargs,
        )
        self.add_metadata("tunestack:region", region)
        if stage.permissions_boundary is not None:
            boundary = iam.ManagedPolicy.from_managed_policy_name(
                self, "Boundary", stage.permissions_boundary
            )
            iam.PermissionsBoundary.of(self).apply(boundary)
        self.tunestack = Tunestack(self, "Default", stage=stage, region=region)
        for name, value in self.tunestack.deployment.environment().items():
            CfnOutput(self, _output_id(name), value=value, description=f"export {name}")
        for name, policy in self.tunestack.access.policies.items():
            CfnOutput(
                self,
                f"{name.title()}PolicyArn",
                value=policy.managed_policy_arn,
                description=f"Attach it to {_WHO[name]}",
            )
        for name, role in self.tunestack.access.roles.items():
            CfnOutput(
                self,
                f"{name.title()}RoleArn",
                value=role.role_arn,
                description=f"For {_WHO[name]}, where the stage names them",
            )


_WHO = {
    "tuner": "whoever fine-tunes",
    "invoker": "whoever calls what was tuned",
    "viewer": "whoever looks on",
    "ci": "whatever fine-tunes in CI",
}


def _output_id(environment_name: str) -> str:
    # CloudFormation takes letters and digits only.
    return environment_name.title().replace("_", "")
