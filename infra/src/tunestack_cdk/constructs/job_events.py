"""What Bedrock says of jobs, to whoever waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from tunestack_cdk.constructs.queues import dead_letters, queue

if TYPE_CHECKING:
    from tunestack_cdk.constructs.operations import Operations


class JobEvents(Construct):
    """A queue of every change of a customization job's state, and a notice to people when one has ended.

    Bedrock sends its events as well as it can, and no more: whoever waits has to look too (user guide,
    monitoring-eventbridge, read 2026-11-22).

    Attributes:
        queue: holds the events, as EventBridge wrote them.
    """

    def __init__(self, scope: Construct, construct_id: str, *, operations: Operations) -> None:
        super().__init__(scope, construct_id)
        # By its ARN: the key's own policy says which services may use it, and CDK would let them from any account.
        key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        dead = dead_letters(self, "DeadLetters", key=key)
        self.queue = queue(self, "Queue", dead=dead, key=key)
        pattern = {
            "source": ["aws.bedrock"],
            "detail-type": ["Model Customization Job State Change"],
        }
        give_up = events.CfnRule.DeadLetterConfigProperty(arn=dead.queue_arn)
        # Plain resources: CDK's own targets would let EventBridge use queues, topic and key for any rule of the account.
        changes = events.CfnRule(
            self,
            "Changes",
            description="Fine-tuning jobs: every change of state, for the SDK",
            event_pattern=pattern,
            targets=[
                events.CfnRule.TargetProperty(
                    arn=self.queue.queue_arn, id="Queue", dead_letter_config=give_up
                )
            ],
        )
        ends = events.CfnRule(
            self,
            "Ends",
            description="Fine-tuning jobs that have ended, for people",
            event_pattern={
                **pattern,
                "detail": {"jobStatus": ["Completed", "Failed", "Stopped"]},
            },
            targets=[
                events.CfnRule.TargetProperty(
                    arn=operations.topic.topic_arn,
                    id="Topic",
                    dead_letter_config=give_up,
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={
                            name: f"$.detail.{name}" for name in ("jobArn", "jobName", "jobStatus")
                        },
                        input_template='"Fine-tuning job <jobName>: <jobStatus>. <jobArn>"',
                    ),
                )
            ],
        )
        for receiver, rules in ((self.queue, [changes]), (dead, [changes, ends])):
            receiver.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="LetRulesSend",
                    actions=["sqs:SendMessage"],
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    resources=[receiver.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": [rule.attr_arn for rule in rules]}},
                )
            )
