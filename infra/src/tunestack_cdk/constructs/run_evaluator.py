"""The function that evaluates the models of runs and promotes the best ones, with its role and its alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from tunestack.deployment import STAGE
from tunestack_cdk.constructs.sdk_bundle import build_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Stage

_FAILED = "The evaluation of a run failed, or is repeated. The log of the function shows the error"
_HANDLER = "tunestack.runs.function.handler"


class RunEvaluator(Construct):
    """A function with the SDK, which the state machine of runs invokes until the models are evaluated.

    Attributes:
        function: the function.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        operations: Operations,
        statements: Sequence[iam.PolicyStatement],
        code: Path | None,
    ) -> None:
        """Create the function.

        Args:
            scope: the parent.
            construct_id: the ID.
            stage: the stage.
            operations: the topic of the alarm, and the key of the logs.
            statements: the permissions to evaluate and promote models.
            code: the folder or archive with the code; by default, it is built from the installed SDK.
        """
        super().__init__(scope, construct_id)
        # Imported by its ARN: CDK would otherwise change the key policy and grant services of any account access.
        key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        log_group = operations.create_log_group(self, "Log")
        role = iam.Role(
            self,
            "Role",
            description="Evaluates the models of runs, and promotes the best ones",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Evaluates and promotes the models of runs in stage {stage.name}",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(code or build_bundle())),
            handler=_HANDLER,
            # Imported by its ARN: CDK would otherwise add a policy.
            role=iam.Role.from_role_arn(self, "GivenRole", role.role_arn, mutable=False),
            # The longest that Lambda allows.
            timeout=Duration.minutes(15),
            # It needs 160 MB, and the CPU share of this size: the confidence intervals are computed here.
            memory_size=1024,
            log_group=log_group,
            environment_encryption=key,
            environment={STAGE: stage.name},
        )
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Evaluate the models of runs, and promote the best ones",
            roles=[role],
            statements=[
                *statements,
                # Lambda decrypts the environment variables with the role of the function.
                iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key.key_arn]),
                iam.PolicyStatement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[log_group.log_group_arn],
                ),
            ],
        )
        self.function.node.add_dependency(policy)
        alarm = cloudwatch.Alarm(
            self,
            "Failed",
            alarm_description=_FAILED,
            metric=self.function.metric_errors(period=Duration.minutes(5), statistic="Sum"),
            threshold=1,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(operations.topic))
