"""Schedules that start runs: a function with the SDK, what invokes it at the times of the stage, and an alarm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_cdk import Aws, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from tunestack.deployment import schedules_prefix
from tunestack_cdk.constructs.arns import regional_arn
from tunestack_cdk.constructs.conditions import called_via_service
from tunestack_cdk.constructs.queues import create_dead_letter_alarm, create_dead_letter_queue
from tunestack_cdk.constructs.sdk_function import SdkFunction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunestack_cdk.constructs.data_store import DataStore
    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import RunSchedule, Stage

_UNDELIVERED = "A scheduled run was not started. The log of the function shows the error"


class RunSchedules(Construct):
    """Starts runs at the times that a stage names.

    Attributes:
        function: the function that starts a run.
        dead_letters: the queue of starts that failed after all retries.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        schedules: Sequence[RunSchedule],
        data: DataStore,
        operations: Operations,
        statements: Sequence[iam.PolicyStatement],
        code: Path | None,
    ) -> None:
        """Create the schedules.

        Args:
            scope: the parent.
            construct_id: the ID.
            stage: the stage.
            schedules: when to start which runs.
            data: the bucket with the sweep files.
            operations: the topic of the alarm, and the key of the logs.
            statements: the permissions to start runs.
            code: the folder or archive with the code; by default, it is built from the installed SDK.
        """
        super().__init__(scope, construct_id)
        self._key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        self.dead_letters = create_dead_letter_queue(self, "DeadLetters", key=self._key)
        create_dead_letter_alarm(
            self, queue=self.dead_letters, description=_UNDELIVERED, topic=operations.topic
        )
        self.function = SdkFunction(
            self,
            "Starter",
            stage=stage,
            operations=operations,
            handler="start",
            description="Starts the runs of schedules",
            statements=statements,
            code=code,
            # The data of a job is converted there: at most 1 GB for training, and 1 GB for validation.
            disk=Size.gibibytes(4),
            dead_letters=self.dead_letters,
        ).function
        group = scheduler.CfnScheduleGroup(self, "Group").ref
        role = self._create_role(group)
        for schedule in schedules:
            key = f"{schedules_prefix(stage.data_prefix)}{schedule.name}.toml"
            scheduler.CfnSchedule(
                self,
                schedule.name,
                name=schedule.name,
                group_name=group,
                description=f"Starts the run {schedule.name}",
                schedule_expression=schedule.expression,
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                target=scheduler.CfnSchedule.TargetProperty(
                    arn=self.function.function_arn,
                    role_arn=role.role_arn,
                    input=json.dumps(
                        {"sweep": schedule.sweep or f"s3://{data.bucket.bucket_name}/{key}"}
                    ),
                    dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                        arn=self.dead_letters.queue_arn
                    ),
                ),
            )

    def _create_role(self, group: str) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            description="Assumed by the schedules that start runs",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": Aws.ACCOUNT_ID,
                        "aws:SourceArn": regional_arn("scheduler", f"schedule-group/{group}"),
                    }
                },
            ),
        )
        iam.ManagedPolicy(
            self,
            "Policy",
            description="Start the runs of schedules",
            roles=[role],
            statements=[
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
                ),
                iam.PolicyStatement(
                    actions=["sqs:SendMessage"], resources=[self.dead_letters.queue_arn]
                ),
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[self._key.key_arn],
                    conditions=called_via_service("sqs"),
                ),
            ],
        )
        return role
