"""The endpoint guard: a Lambda function that deletes expired endpoints, with its role and the rule that invokes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from aws_cdk import Aws, Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack_cdk.constructs.arns import endpoint_arns, regional_arn
from tunestack_cdk.constructs.conditions import called_via_service, resource_has_no_other_stage_tag
from tunestack_cdk.constructs.endpoint_guard_alarms import create_guard_alarms
from tunestack_cdk.constructs.queues import create_dead_letter_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Stage

SWEEP_INTERVAL = Duration.minutes(5)
_CODE = Path(__file__).with_name("endpoint_guard_handler.py")


class EndpointGuard(Construct):
    """The function of the guard, everything that invokes it, and its alarms.

    Attributes:
        function: the function that schedules invoke.
        schedule_group: name of the group in which the SDK creates one schedule per endpoint.
        scheduler_role: role of these schedules. It may invoke the guard and nothing else.
        dead_letters: queue of invocations that failed after all retries.
        alarms: alarms on the guard.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, operations: Operations
    ) -> None:
        super().__init__(scope, construct_id)
        # Imported by its ARN: CDK would otherwise change the key policy and grant services of any account access.
        self._key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        self.dead_letters = create_dead_letter_queue(self, "DeadLetters", key=self._key)
        # CloudFormation generates the name of the group.
        self.schedule_group = scheduler.CfnScheduleGroup(self, "Schedules").ref
        self.function = self._create_function(stage, operations)
        self.scheduler_role = self._create_scheduler_role()
        self._create_sweep_rule()
        self.alarms = create_guard_alarms(
            self,
            stage=stage.name,
            sweep_interval=SWEEP_INTERVAL,
            dead_letters=self.dead_letters,
            topic=operations.topic,
        )

    def _create_function(self, stage: Stage, operations: Operations) -> lambda_.Function:
        log_group = operations.create_log_group(self, "Log")
        role = iam.Role(
            self,
            "Role",
            description="Endpoint guard: reads all endpoints and deletes those of its stage",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        function = lambda_.Function(
            self,
            "Function",
            description=f"Deletes expired endpoints of stage {stage.name}",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            # Inline: the stack needs no asset, and the template shows the code that runs.
            code=lambda_.Code.from_inline(_CODE.read_text("utf-8")),
            handler="index.handler",
            # Imported by its ARN: CDK would otherwise add a dependency on the role that exists already.
            role=iam.Role.from_role_arn(self, "GivenRole", role.role_arn, mutable=False),
            timeout=Duration.minutes(10),
            memory_size=256,
            log_group=log_group,
            environment_encryption=self._key,
            environment={
                "STAGE": stage.name,
                "STAGE_TAG": STAGE_TAG,
                "EXPIRY_TAG": EXPIRES_AT_TAG,
                "DEFAULT_HOURS": str(stage.default_endpoint_hours),
                "MAX_HOURS": str(stage.max_endpoint_hours),
            },
        )
        function.configure_async_invoke(retry_attempts=2, max_event_age=Duration.hours(1))
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            # CloudFormation replaces a policy if its description changes.
            description="Look at endpoints, and end those of the stage",
            roles=[role],
            statements=[
                *_endpoint_statements(stage.name),
                *self._function_statements(log_group.log_group_arn),
            ],
        )
        # Lambda rejects a function whose role may not send messages to its dead-letter queue.
        function.node.add_dependency(policy)
        resource = cast("lambda_.CfnFunction", function.node.default_child)
        # Not the property `dead_letter_queue`: CDK would add an inline policy.
        resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(
            target_arn=self.dead_letters.queue_arn
        )
        return function

    def _function_statements(self, log_group_arn: str) -> Iterator[iam.PolicyStatement]:
        yield self._dead_letter_statement()
        yield iam.PolicyStatement(
            sid="UseKeyThroughSqs",
            actions=["kms:GenerateDataKey"],
            resources=[self._key.key_arn],
            conditions=called_via_service("sqs"),
        )
        yield iam.PolicyStatement(
            # Lambda decrypts the environment variables with the role of the function; SQS needs the permission, too.
            sid="DecryptSettings",
            actions=["kms:Decrypt"],
            resources=[self._key.key_arn],
        )
        yield iam.PolicyStatement(
            sid="Log",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_group_arn],
        )

    def _create_scheduler_role(self) -> iam.Role:
        schedule_group = regional_arn("scheduler", f"schedule-group/{self.schedule_group}")
        role = iam.Role(
            self,
            "SchedulerRole",
            description="Assumed by the schedules that delete endpoints",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": Aws.ACCOUNT_ID,
                        "aws:SourceArn": schedule_group,
                    }
                },
            ),
        )
        iam.ManagedPolicy(
            self,
            "SchedulerPolicy",
            description="Invoke the endpoint guard",
            roles=[role],
            statements=[
                iam.PolicyStatement(
                    sid="Invoke",
                    actions=["lambda:InvokeFunction"],
                    resources=[self.function.function_arn],
                ),
                self._dead_letter_statement(),
                iam.PolicyStatement(
                    sid="UseKeyThroughSqs",
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[self._key.key_arn],
                    conditions=called_via_service("sqs"),
                ),
            ],
        )
        return role

    def _dead_letter_statement(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="TellOfFailures",
            actions=["sqs:SendMessage"],
            resources=[self.dead_letters.queue_arn],
        )

    def _create_sweep_rule(self) -> None:
        rule = events.Rule(
            self,
            "Sweep",
            description="Sweeps all endpoints, with or without a schedule",
            schedule=events.Schedule.rate(SWEEP_INTERVAL),
        )
        rule.add_target(
            targets.LambdaFunction(
                self.function,
                event=events.RuleTargetInput.from_object({}),
                dead_letter_queue=self.dead_letters,
                max_event_age=SWEEP_INTERVAL,
            )
        )


def _endpoint_statements(stage: str) -> Iterator[iam.PolicyStatement]:
    yield iam.PolicyStatement(
        # The List actions do not support resource-level permissions.
        sid="List",
        actions=[
            "bedrock:ListCustomModelDeployments",
            "bedrock:ListProvisionedModelThroughputs",
        ],
        resources=["*"],
    )
    yield iam.PolicyStatement(
        sid="Look",
        actions=[
            "bedrock:GetCustomModelDeployment",
            "bedrock:GetProvisionedModelThroughput",
            "bedrock:ListTagsForResource",
        ],
        resources=endpoint_arns(),
    )
    yield iam.PolicyStatement(
        sid="End",
        actions=[
            "bedrock:DeleteCustomModelDeployment",
            "bedrock:DeleteProvisionedModelThroughput",
        ],
        resources=endpoint_arns(),
        conditions=resource_has_no_other_stage_tag(stage),
    )
