"""The statements of the roles that runs use, and of the policy *runner*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam

from tunestack.deployment import evaluations_prefix, runs_prefix
from tunestack_cdk.constructs.access_statements import INVOKE, AccessStatements, pass_role
from tunestack_cdk.constructs.conditions import (
    called_via_service,
    request_sets_stage_tag,
    resource_has_no_other_stage_tag,
    resource_owned_by,
)
from tunestack_cdk.constructs.job_role import MODEL_KEY_ACTIONS, read_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack_cdk.constructs.runs import Runs


class RunStatements(AccessStatements):
    """Builds the statements of runs, of parts of those of users."""

    def job_creator(self) -> Iterator[iam.PolicyStatement]:
        """Create jobs, as tuners may."""
        yield self._create_jobs()
        yield iam.PolicyStatement(
            actions=["bedrock:TagResource"],
            resources=[self._jobs, self._models],
            conditions={
                **request_sets_stage_tag(self._stage),
                **resource_has_no_other_stage_tag(self._stage),
            },
        )
        yield pass_role(self._resources.job_role.role, "bedrock")
        yield from self._use_model_key(MODEL_KEY_ACTIONS)

    def runner(self, runs: Runs) -> Iterator[iam.PolicyStatement]:
        """Start, follow and cancel runs; for tuners. Another policy, because of the size of the policy *tuner*."""
        yield iam.PolicyStatement(
            actions=["states:ListExecutions", "states:StartExecution"],
            resources=[runs.state_machine_arn],
        )
        yield iam.PolicyStatement(
            actions=["states:DescribeExecution", "states:ListMapRuns", "states:StopExecution"],
            resources=runs.execution_arns,
        )
        yield iam.PolicyStatement(
            actions=["states:DescribeMapRun", "states:ListExecutions"],
            resources=[runs.map_run_arns],
        )

    def starter(self, runs: Runs) -> Iterator[iam.PolicyStatement]:
        """Start the runs of schedules: read data, and upload it. No jobs, and no endpoints.

        Of the extra locations, which users may not read, only those with a sweep file.
        """
        stage = self._resources.stage
        sweeps = [row.sweep or "" for row in stage.get_run_schedules(self._resources.region)]
        yield from self._read_bedrock(jobs=True)
        yield iam.PolicyStatement(
            actions=["s3:GetObject", "s3:PutObject"],
            resources=[f"{self._bucket}/{stage.datasets_prefix}*"],
            conditions=resource_owned_by(),
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[self._resources.data.key.key_arn],
            conditions=called_via_service("s3"),
        )
        for location in stage.extra_data_locations:
            if any(sweep.startswith(location.uri) for sweep in sweeps):
                yield from read_location(location)
        yield iam.PolicyStatement(
            actions=["states:StartExecution"], resources=[runs.state_machine_arn]
        )
        yield iam.PolicyStatement(
            actions=["states:DescribeExecution"], resources=runs.execution_arns
        )
        yield self._read_deployment()

    def evaluator(self) -> Iterator[iam.PolicyStatement]:
        """Evaluate the models of runs, and promote the best one: as tuners may, on demand only, and without jobs."""
        yield from self._read_bedrock(jobs=True)
        yield iam.PolicyStatement(
            actions=[
                "bedrock:DeleteCustomModelDeployment",
                *INVOKE,
                "bedrock:UpdateCustomModelDeployment",
            ],
            resources=[*self._models_and_endpoints, *self._invoked_base_models()],
            conditions=resource_has_no_other_stage_tag(self._stage),
        )
        yield iam.PolicyStatement(
            actions=["bedrock:CreateCustomModelDeployment"],
            resources=list(self._models_and_endpoints),
            conditions=request_sets_stage_tag(self._stage),
        )
        yield iam.PolicyStatement(
            actions=["bedrock:TagResource"],
            resources=list(self._models_and_endpoints),
            conditions={
                **request_sets_stage_tag(self._stage),
                **resource_has_no_other_stage_tag(self._stage),
            },
        )
        yield pass_role(self._resources.guard.scheduler_role, "scheduler")
        yield from self._schedule_expiry()
        prefix = self._resources.stage.data_prefix
        evaluations = evaluations_prefix(prefix)
        yield iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[self._bucket],
            conditions={**resource_owned_by(), "StringLike": {"s3:prefix": [f"{evaluations}*"]}},
        )
        yield iam.PolicyStatement(
            actions=["s3:GetObject"],
            resources=[f"{self._bucket}/{runs_prefix(prefix)}*"],
            conditions=resource_owned_by(),
        )
        yield iam.PolicyStatement(
            actions=["s3:GetObject", "s3:PutObject"],
            resources=[f"{self._bucket}/{evaluations}*"],
            conditions=resource_owned_by(),
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[self._resources.data.key.key_arn],
            conditions=called_via_service("s3"),
        )
        yield from self._use_model_key(MODEL_KEY_ACTIONS)
        yield self._read_deployment()
