"""Events about customization jobs, for the SDK and for the alert address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from tunestack_cdk.constructs.queues import (
    create_dead_letter_alarm,
    create_dead_letter_queue,
    create_shared_queue,
)

if TYPE_CHECKING:
    from aws_cdk import aws_sqs as sqs

    from tunestack_cdk.constructs.operations import Operations

_UNDELIVERED = "Events about fine-tuning jobs could not be delivered. The dead-letter queue contains the events and the errors"
_PATTERN = {
    "source": ["aws.bedrock"],
    "detail-type": ["Model Customization Job State Change"],
}


class JobEvents(Construct):
    """A queue with every state change of a customization job, a notice to the topic when a job ends, and an alarm.

    Bedrock emits these events on a best-effort basis, so a client that waits for a job must poll as well (user guide,
    monitoring-eventbridge, read 2026-11-22).

    Attributes:
        queue: contains the events as EventBridge delivered them.
    """

    def __init__(self, scope: Construct, construct_id: str, *, operations: Operations) -> None:
        super().__init__(scope, construct_id)
        # Imported by its ARN: CDK would otherwise change the key policy and grant services of any account access.
        key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        self._dead_letters = create_dead_letter_queue(self, "DeadLetters", key=key)
        self.queue = create_shared_queue(self, "Queue", dead_letters=self._dead_letters, key=key)
        changes = self._create_queue_rule()
        ends = self._create_topic_rule(operations)
        _allow_rules_to_send(self.queue, [changes])
        _allow_rules_to_send(self._dead_letters, [changes, ends])
        create_dead_letter_alarm(
            self, queue=self._dead_letters, description=_UNDELIVERED, topic=operations.topic
        )

    # Both rules are L1 constructs: the targets of CDK would grant every rule of the account access to queue, topic and key.

    def _create_queue_rule(self) -> events.CfnRule:
        return events.CfnRule(
            self,
            "Changes",
            description="Every state change of a fine-tuning job, for the SDK",
            event_pattern=_PATTERN,
            targets=[
                events.CfnRule.TargetProperty(
                    arn=self.queue.queue_arn,
                    id="Queue",
                    dead_letter_config=self._get_dead_letter_config(),
                )
            ],
        )

    def _create_topic_rule(self, operations: Operations) -> events.CfnRule:
        names = ("jobArn", "jobName", "jobStatus")
        return events.CfnRule(
            self,
            "Ends",
            description="Finished fine-tuning jobs, for the alert address",
            event_pattern={
                **_PATTERN,
                "detail": {"jobStatus": ["Completed", "Failed", "Stopped"]},
            },
            targets=[
                events.CfnRule.TargetProperty(
                    arn=operations.topic.topic_arn,
                    id="Topic",
                    dead_letter_config=self._get_dead_letter_config(),
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={name: f"$.detail.{name}" for name in names},
                        input_template='"Fine-tuning job <jobName>: <jobStatus>. <jobArn>"',
                    ),
                )
            ],
        )

    def _get_dead_letter_config(self) -> events.CfnRule.DeadLetterConfigProperty:
        return events.CfnRule.DeadLetterConfigProperty(arn=self._dead_letters.queue_arn)


def _allow_rules_to_send(queue: sqs.Queue, rules: list[events.CfnRule]) -> None:
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            sid="LetRulesSend",
            actions=["sqs:SendMessage"],
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": [rule.attr_arn for rule in rules]}},
        )
    )
