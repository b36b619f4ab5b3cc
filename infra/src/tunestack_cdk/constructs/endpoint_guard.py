"""What ends endpoints whose time is over, and says when it can't."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack_cdk.constructs.conditions import of_stage, through
from tunestack_cdk.constructs.queues import dead_letters

if TYPE_CHECKING:
    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Endpoints

SWEEP = Duration.minutes(5)
_COUNTED = {
    "Failed": "The endpoint guard can't end an endpoint, which may be billed: its log says which and why",
    "Foreign": "An endpoint is billed by the hour and carries no stage's tag: nothing ends it. The guard's log names it",
    "Unseen": "There are more endpoints than the guard can look at in one go",
}
"""Alarms on what the guard counts, by the counts' names."""
_CODE = Path(__file__).with_name("endpoint_guard_handler.py")


class EndpointGuard(Construct):
    """The guard's function, whatever invokes it, and alarms on it.

    Attributes:
        function: what schedules invoke.
        schedule_group: where the SDK puts one schedule for each endpoint.
        scheduler_role: what those schedules take on: it may invoke the guard and nothing else.
        dead_letters: invocations that failed for good.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        endpoints: Endpoints,
        operations: Operations,
    ) -> None:
        super().__init__(scope, construct_id)
        # By its ARN: the key's own policy says which services may use it, and CDK would let them from any account.
        key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        self.dead_letters = dead_letters(self, "DeadLetters", key=key)
        group = scheduler.CfnScheduleGroup(self, "Schedules")
        # Its name is not known before it is made, and CloudFormation's own is as good.
        self.schedule_group = group.ref
        log = operations.log_group(self, "Log")
        role = iam.Role(
            self,
            "Role",
            description="Of the endpoint guard: looks at endpoints, and ends those of its stage",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Ends endpoints whose time is over, stage {stage}",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            # In the template, so that this needs no asset, and whoever reads the template sees what runs.
            code=lambda_.Code.from_inline(_CODE.read_text("utf-8")),
            handler="index.handler",
            # By its ARN: with the role itself, CDK would add a dependency that is there already.
            role=iam.Role.from_role_arn(self, "GivenRole", role.role_arn, mutable=False),
            timeout=Duration.minutes(10),
            memory_size=256,
            log_group=log,
            environment_encryption=key,
            environment={
                "STAGE": stage,
                "STAGE_TAG": STAGE_TAG,
                "EXPIRY_TAG": EXPIRES_AT_TAG,
                "DEFAULT_HOURS": str(endpoints.default_hours),
                "MAX_HOURS": str(endpoints.max_hours),
            },
        )
        self.function.configure_async_invoke(retry_attempts=2, max_event_age=Duration.hours(1))
        bedrock = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        kinds = [f"{bedrock}:custom-model-deployment/*", f"{bedrock}:provisioned-model/*"]
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Look at endpoints, and end those of the stage",
            roles=[role],
            statements=[
                iam.PolicyStatement(
                    # List has no resource to name.
                    sid="List",
                    actions=[
                        "bedrock:ListCustomModelDeployments",
                        "bedrock:ListProvisionedModelThroughputs",
                    ],
                    resources=["*"],
                ),
                iam.PolicyStatement(
                    sid="Look",
                    actions=[
                        "bedrock:GetCustomModelDeployment",
                        "bedrock:GetProvisionedModelThroughput",
                        "bedrock:ListTagsForResource",
                    ],
                    resources=kinds,
                ),
                iam.PolicyStatement(
                    sid="End",
                    actions=[
                        "bedrock:DeleteCustomModelDeployment",
                        "bedrock:DeleteProvisionedModelThroughput",
                    ],
                    resources=kinds,
                    conditions=of_stage(stage),
                ),
                iam.PolicyStatement(
                    sid="TellOfFailures",
                    actions=["sqs:SendMessage"],
                    resources=[self.dead_letters.queue_arn],
                ),
                iam.PolicyStatement(
                    sid="UseKeyThroughSqs",
                    actions=["kms:GenerateDataKey"],
                    resources=[key.key_arn],
                    conditions=through("sqs"),
                ),
                iam.PolicyStatement(
                    # Lambda decrypts the function's settings as the function; SQS, too, asks for it.
                    sid="DecryptSettings",
                    actions=["kms:Decrypt"],
                    resources=[key.key_arn],
                ),
                iam.PolicyStatement(
                    sid="Log",
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[log.log_group_arn],
                ),
            ],
        )
        # Lambda refuses a function whose role may not write to its dead-letter queue.
        self.function.node.add_dependency(policy)
        function = cast("lambda_.CfnFunction", self.function.node.default_child)
        # CDK's own way to say so would add an inline policy.
        function.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(
            target_arn=self.dead_letters.queue_arn
        )
        self.scheduler_role = self._scheduler_role(key)
        rule = events.Rule(
            self,
            "Sweep",
            description="Looks at all endpoints, whether a schedule was armed for them or not",
            schedule=events.Schedule.rate(SWEEP),
        )
        rule.add_target(
            targets.LambdaFunction(
                self.function,
                event=events.RuleTargetInput.from_object({}),
                dead_letter_queue=self.dead_letters,
                max_event_age=SWEEP,
            )
        )
        self.alarms = self._alarms(stage)
        for alarm in self.alarms:
            alarm.add_alarm_action(actions.SnsAction(operations.topic))

    def _scheduler_role(self, key: kms.IKey) -> iam.Role:
        group = (
            f"arn:{Aws.PARTITION}:scheduler:{Aws.REGION}:{Aws.ACCOUNT_ID}"
            f":schedule-group/{self.schedule_group}"
        )
        role = iam.Role(
            self,
            "SchedulerRole",
            description="Taken on by the schedules that end endpoints",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": Aws.ACCOUNT_ID,
                        "aws:SourceArn": group,
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
                iam.PolicyStatement(
                    sid="TellOfFailures",
                    actions=["sqs:SendMessage"],
                    resources=[self.dead_letters.queue_arn],
                ),
                iam.PolicyStatement(
                    sid="UseKeyThroughSqs",
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[key.key_arn],
                    conditions=through("sqs"),
                ),
            ],
        )
        return role

    def _alarms(self, stage: str) -> list[cloudwatch.Alarm]:
        """Watch the guard itself."""

        def counted(name: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="Tunestack",
                metric_name=name,
                dimensions_map={"stage": stage},
                statistic="Sum",
                period=SWEEP,
            )

        none_is_fine = cloudwatch.TreatMissingData.NOT_BREACHING
        return [
            cloudwatch.Alarm(
                self,
                "NoSweep",
                alarm_description="The endpoint guard has not looked for 15 minutes: endpoints may run on. See its log",
                metric=counted("sweeps"),
                comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                threshold=1,
                evaluation_periods=3,
                treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
            ),
            *(
                cloudwatch.Alarm(
                    self,
                    name,
                    alarm_description=words,
                    metric=counted(name.lower()),
                    threshold=1,
                    evaluation_periods=3,
                    treat_missing_data=none_is_fine,
                )
                for name, words in _COUNTED.items()
            ),
            cloudwatch.Alarm(
                self,
                "Undelivered",
                alarm_description="The endpoint guard was not invoked, or failed: the queue holds what for",
                metric=self.dead_letters.metric_approximate_number_of_messages_visible(
                    period=SWEEP, statistic="Maximum"
                ),
                threshold=1,
                evaluation_periods=1,
                treat_missing_data=none_is_fine,
            ),
        ]
