"""A stage in one region, as a construct and as a stack."""

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
from tunestack_cdk.constructs.access import Access
from tunestack_cdk.constructs.access_statements import AccessResources
from tunestack_cdk.constructs.cost import Dashboard, MonthlyBudget, supports_budgets
from tunestack_cdk.constructs.data_store import DataStore
from tunestack_cdk.constructs.endpoint_guard import EndpointGuard
from tunestack_cdk.constructs.job_events import JobEvents
from tunestack_cdk.constructs.job_role import JobRole
from tunestack_cdk.constructs.network import JobNetwork
from tunestack_cdk.constructs.operations import Operations
from tunestack_cdk.constructs.run_evaluator import RunEvaluator
from tunestack_cdk.constructs.run_schedules import RunSchedules
from tunestack_cdk.constructs.run_statements import RunStatements
from tunestack_cdk.constructs.runs import Runs

if TYPE_CHECKING:
    from pathlib import Path

    from tunestack_cdk.constructs.access import Identity
    from tunestack_cdk.stage import Stage


class Tunestack(Construct):
    """All resources for fine-tuning in one region of an account, for a CDK app of your own.

    ```python
    tunestack = Tunestack(my_stack, "Tunestack", stage=stage, region="us-east-1")
    tunestack.grant_tune(my_role)
    ```

    Attributes:
        deployment: the description of the deployment that the SDK reads. It is published as an SSM parameter.
        access: the managed policies and roles for users.
        data: the data bucket and its KMS key.
        job_role: the role that jobs are created with.
        operations: the topic for alerts.
        guard: the function that deletes expired endpoints.
        job_events: the queue with the events of jobs.
        runs: the state machine that submits many jobs.
        run_evaluator: the function that evaluates the models of runs, or `None`.
        run_schedules: the schedules that start runs, or `None`.
        network: the private network of jobs, or `None`.
        model_key: the KMS key of fine-tuned models, or `None` for an AWS owned key.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        region: str,
        function_code: Path | None = None,
    ) -> None:
        """Create the resources of a stage in one of its regions.

        Args:
            scope: the parent.
            construct_id: the ID.
            stage: the stage.
            region: the region.
            function_code: the folder or archive with the code of the functions for `run_evaluation` and `run_schedules`; by
                default, it is built from the installed SDK.
        """
        super().__init__(scope, construct_id)
        self.operations = Operations(
            self, "Operations", alert_email=stage.alert_email, retain=stage.retain_data
        )
        self.data = DataStore(self, "Data", retain=stage.retain_data)
        self.network = self._create_network(stage)
        self.model_key = self._create_model_key(stage)
        # The construct ID becomes part of the role name: the AWS managed policy AmazonBedrockFullAccess may pass only roles
        # with names that contain it.
        self.job_role = JobRole(
            self,
            "AmazonBedrockJob",
            stage=stage,
            data=self.data,
            network=self.network,
            model_key=self.model_key,
        )
        self.guard = EndpointGuard(self, "Guard", stage=stage, operations=self.operations)
        self.job_events = JobEvents(self, "JobEvents", operations=self.operations)
        resources = self._collect_access_resources(stage, region)
        statements = RunStatements(resources)
        self.run_evaluator = None
        if stage.run_evaluation:
            self.run_evaluator = RunEvaluator(
                self,
                "RunEvaluator",
                stage=stage,
                operations=self.operations,
                statements=list(statements.evaluator()),
                code=function_code,
            )
        self.runs = Runs(
            self,
            "Runs",
            stage=stage,
            data=self.data,
            operations=self.operations,
            job_statements=list(statements.job_creator()),
            evaluator=self.run_evaluator,
        )
        self.run_schedules = None
        if schedules := stage.get_run_schedules(region):
            self.run_schedules = RunSchedules(
                self,
                "RunSchedules",
                stage=stage,
                schedules=schedules,
                data=self.data,
                operations=self.operations,
                statements=list(statements.starter(self.runs)),
                code=function_code,
            )
        self.access = Access(self, "Access", resources=resources, runs=self.runs)
        self._create_cost_resources(stage, region)
        self.deployment = self._describe_deployment(stage, region)
        ssm.StringParameter(
            self,
            "Deployment",
            parameter_name=parameter_name(stage.name),
            description="Deployment description for the Tunestack SDK",
            string_value=self.deployment.to_json(),
        )
        Tags.of(self).add(STAGE_TAG, stage.name)

    def grant_tune(self, identity: Identity) -> None:
        """Let a role, user or group submit and cancel jobs, and start, invoke and delete endpoints, and start runs (policies *tuner* and *runner*).

        The identity can be part of any stack of the app, or imported.
        """
        self.access.grant("tuner", identity)

    def grant_invoke(self, identity: Identity) -> None:
        """Let a role, user or group invoke endpoints (policy *invoker*)."""
        self.access.grant("invoker", identity)

    def grant_view(self, identity: Identity) -> None:
        """Let a role, user or group read jobs, models, endpoints and job output (policy *viewer*)."""
        self.access.grant("viewer", identity)

    def _create_network(self, stage: Stage) -> JobNetwork | None:
        if stage.network is None:
            return None
        return JobNetwork(self, "Network", network=stage.network)

    def _create_model_key(self, stage: Stage) -> kms.Key | None:
        if not stage.model_key:
            return None
        return kms.Key(
            self,
            "ModelKey",
            description="Models fine-tuned with Tunestack: they are unusable without this key",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN if stage.retain_data else RemovalPolicy.DESTROY,
        )

    def _collect_access_resources(self, stage: Stage, region: str) -> AccessResources:
        return AccessResources(
            stage=stage,
            region=region,
            data=self.data,
            job_role=self.job_role,
            guard=self.guard,
            job_events=self.job_events,
            operations=self.operations,
            model_key=self.model_key,
        )

    def _create_cost_resources(self, stage: Stage, region: str) -> None:
        # A budget applies to the whole account, so one region creates it.
        if region == stage.regions[0] and supports_budgets(region):
            MonthlyBudget(
                self,
                "Cost",
                stage=stage.name,
                usd=stage.monthly_budget_usd,
                operations=self.operations,
            )
        self.dashboard = (
            Dashboard(self, "Overview", stage=stage.name, guard=self.guard).dashboard
            if stage.dashboard
            else None
        )

    def _describe_deployment(self, stage: Stage, region: str) -> Deployment:
        bucket = self.data.bucket.bucket_name
        locations = stage.extra_data_locations
        return Deployment(
            stage=stage.name,
            region=region,
            account=Aws.ACCOUNT_ID,
            data_bucket=bucket,
            data_key_arn=self.data.key.key_arn,
            data_prefix=stage.data_prefix,
            data_locations=(
                f"s3://{bucket}/{stage.datasets_prefix}",
                *(location.uri for location in locations),
            ),
            data_owners=(
                Aws.ACCOUNT_ID,
                *(location.owner or Aws.ACCOUNT_ID for location in locations),
            ),
            job_role_arn=self.job_role.role.role_arn,
            base_models=stage.get_base_models(region),
            model_key_arn=None if self.model_key is None else self.model_key.key_arn,
            subnet_ids=() if self.network is None else tuple(self.network.subnet_ids),
            security_group_ids=() if self.network is None else (self.network.security_group_id,),
            guard_arn=self.guard.function.function_arn,
            schedule_group=self.guard.schedule_group,
            scheduler_role_arn=self.guard.scheduler_role.role_arn,
            dead_letters_arn=self.guard.dead_letters.queue_arn,
            default_endpoint_hours=stage.default_endpoint_hours,
            max_endpoint_hours=stage.max_endpoint_hours,
            event_queue_url=self.job_events.queue.queue_url,
            state_machine_arn=self.runs.state_machine_arn,
            run_evaluation=stage.run_evaluation,
        )


class TunestackStack(Stack):
    """A stack with the `Tunestack` construct, and with outputs that describe the deployment.

    ```python
    app = App()
    TunestackStack(app, "Tunestack-dev-us-east-1", stage=stage, region="us-east-1")
    app.synth()
    ```

    Attributes:
        tunestack: the construct.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        region: str,
        function_code: Path | None = None,
        **kwargs: Any,
    ) -> None:
        """Create the stack of a stage in one of its regions; see `Tunestack`. `kwargs` are passed to `Stack`."""
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
        self.tunestack = Tunestack(
            self, "Default", stage=stage, region=region, function_code=function_code
        )
        self._create_outputs(region)

    def _create_outputs(self, region: str) -> None:
        for name, value in self.tunestack.deployment.environment().items():
            # Output IDs may contain letters and digits only.
            output_id = name.title().replace("_", "")
            CfnOutput(self, output_id, value=value, description=f"export {name}")
        for name, policy in self.tunestack.access.policies.items():
            CfnOutput(
                self,
                f"{name.title()}PolicyArn",
                value=policy.managed_policy_arn,
                description=f"Attach this policy to {_USERS[name]}",
            )
        for name, role in self.tunestack.access.roles.items():
            CfnOutput(
                self,
                f"{name.title()}RoleArn",
                value=role.role_arn,
                description=f"Role for {_USERS[name]}, if the stage lists them",
            )
        if self.tunestack.dashboard is not None:
            is_gov = region.startswith("us-gov-")
            console = "console.amazonaws-us-gov.com" if is_gov else "console.aws.amazon.com"
            name = self.tunestack.dashboard.dashboard_name
            CfnOutput(
                self,
                "DashboardUrl",
                value=f"https://{region}.{console}/cloudwatch/home?region={region}#dashboards/dashboard/{name}",
                description="The dashboard of the stage",
            )


_USERS = {
    "tuner": "users that fine-tune models",
    "runner": "the same users, for runs",
    "invoker": "applications that invoke fine-tuned models",
    "viewer": "users with read access",
    "ci": "CI jobs that fine-tune models",
}
