"""Alarms on the endpoint guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions

from tunestack_cdk.constructs.queues import create_dead_letter_alarm

if TYPE_CHECKING:
    from aws_cdk import Duration
    from aws_cdk import aws_sns as sns
    from aws_cdk import aws_sqs as sqs
    from constructs import Construct

_COUNT_ALARMS = {
    "Failed": "The endpoint guard can't delete an endpoint, which may be billed. Its log names the endpoint and the error",
    "Foreign": "An endpoint that is billed by the hour has no stage tag, so nothing deletes it. The guard's log names it",
    "Unseen": "There are more endpoints than the endpoint guard can process in one sweep",
}
"""Descriptions of the alarms on the outcomes of a sweep. The name of the metric is the alarm's in lowercase."""
_NO_SWEEP = (
    "The endpoint guard has not run for 15 minutes, so endpoints may not expire. See its log"
)
_UNDELIVERED = (
    "The endpoint guard was not invoked or failed. Its dead-letter queue contains the events"
)


def create_guard_alarms(
    scope: Construct,
    *,
    stage: str,
    sweep_interval: Duration,
    dead_letters: sqs.IQueue,
    topic: sns.ITopic,
) -> list[cloudwatch.Alarm]:
    """Create the alarms on the metrics and on the dead-letter queue of the guard; each notifies the topic."""

    def metric(name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="Tunestack",
            metric_name=name,
            dimensions_map={"stage": stage},
            statistic="Sum",
            period=sweep_interval,
        )

    alarms = [
        cloudwatch.Alarm(
            scope,
            "NoSweep",
            alarm_description=_NO_SWEEP,
            metric=metric("sweeps"),
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
            evaluation_periods=3,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        ),
        *(
            cloudwatch.Alarm(
                scope,
                name,
                alarm_description=description,
                metric=metric(name.lower()),
                threshold=1,
                evaluation_periods=3,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            for name, description in _COUNT_ALARMS.items()
        ),
    ]
    for alarm in alarms:
        alarm.add_alarm_action(actions.SnsAction(topic))
    undelivered = create_dead_letter_alarm(
        scope, queue=dead_letters, description=_UNDELIVERED, topic=topic
    )
    return [*alarms, undelivered]
