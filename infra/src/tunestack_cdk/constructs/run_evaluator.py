"""The function that evaluates the models of runs and promotes the best ones, with its alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions

from tunestack_cdk.constructs.sdk_function import SdkFunction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aws_cdk import aws_iam as iam
    from constructs import Construct

    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Stage

_FAILED = "The evaluation of a run failed, or is repeated. The log of the function shows the error"


class RunEvaluator(SdkFunction):
    """The function that the state machine of runs invokes until the models are evaluated."""

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
        super().__init__(
            scope,
            construct_id,
            stage=stage,
            operations=operations,
            handler="evaluate",
            description="Evaluates the models of runs, and promotes the best ones",
            statements=statements,
            code=code,
        )
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
