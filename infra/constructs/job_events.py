"""What Bedrock says of jobs, to whoever waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.queues import dead_letters, queue

if TYPE_CHECKING:
    from infra.constructs.operations import Operations


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
        source, changes = ["aws.bedrock"], ["Model Customization Job State Change"]
        events.Rule(
            self,
            "Changes",
            description="Fine-tuning jobs: every change of state, for the SDK",
            event_pattern=events.EventPattern(source=source, detail_type=changes),
            targets=[targets.SqsQueue(self.queue, dead_letter_queue=dead)],
        )
        # A plain resource: CDK's own target would let EventBridge of any account use the topic and its key.
        ends = events.CfnRule(
            self,
            "Ends",
            description="Fine-tuning jobs that have ended, for people",
            event_pattern={
                "source": source,
                "detail-type": changes,
                "detail": {"jobStatus": ["Completed", "Failed", "Stopped"]},
            },
            targets=[
                events.CfnRule.TargetProperty(
                    arn=operations.topic.topic_arn,
                    id="Topic",
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead.queue_arn),
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={
                            name: f"$.detail.{name}" for name in ("jobArn", "jobName", "jobStatus")
                        },
                        input_template='"Fine-tuning job <jobName>: <jobStatus>. <jobArn>"',
                    ),
                )
            ],
        )
        dead.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TellOfFailures",
                actions=["sqs:SendMessage"],
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                resources=[dead.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": ends.attr_arn}},
            )
        )
