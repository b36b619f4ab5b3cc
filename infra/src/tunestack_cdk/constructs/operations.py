"""Alerts, and the KMS key for everything that is not training data: notices, queues and logs."""

from __future__ import annotations

from aws_cdk import Aws, CfnCondition, CfnParameter, Fn, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from tunestack_cdk.constructs.arns import regional_arn


class Operations(Construct):
    """A topic for alarms, budget alerts and finished jobs, and a KMS key for topic, queues and logs.

    Attributes:
        topic: the topic. The alert address is subscribed to it, if there is one.
        key: encrypts the topic, the queues and the logs.
        alert_email: value of the stack parameter `AlertEmail`; may be empty.
        has_alert_email: condition that is true if `alert_email` is not empty.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, alert_email: str | None, retain: bool
    ) -> None:
        super().__init__(scope, construct_id)
        self.alert_email = self._create_parameter(alert_email)
        self.has_alert_email = CfnCondition(
            self,
            "HasAddress",
            expression=Fn.condition_not(Fn.condition_equals(self.alert_email, "")),
        )
        self.key = kms.Key(
            self,
            "Key",
            description="Notices, queues and logs of fine-tuning",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY,
        )
        self.topic = sns.Topic(
            self, "Topic", display_name="Tunestack", master_key=self.key, enforce_ssl=True
        )
        self._allow_publishers()
        self._allow_log_encryption()
        self._subscribe_alert_email()

    def create_log_group(self, scope: Construct, construct_id: str) -> logs.LogGroup:
        """Create an encrypted log group that keeps its events for three months."""
        return logs.LogGroup(
            scope,
            construct_id,
            encryption_key=self.key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _create_parameter(self, default: str | None) -> str:
        parameter = CfnParameter(
            self,
            "AlertEmail",
            type="String",
            default=default or "",
            description="Address for alarms, budget alerts and finished jobs; empty for none",
            allowed_pattern=r"^$|^[^@\s,]+@[^@\s,]+$",
            constraint_description="one email address, or empty",
        )
        # Users type this name in `cdk deploy --parameters`.
        parameter.override_logical_id("AlertEmail")
        return parameter.value_as_string

    def _allow_publishers(self) -> None:
        """Let alarms and event rules publish to the topic, which is encrypted.

        EventBridge does not support conditions in the policy of a topic, or in the policy of the KMS key of an encrypted
        target: with `aws:SourceAccount`, no event would be delivered (EventBridge user guide, eb-use-resource-based; SNS
        developer guide, sns-key-management; read 2026-11-28).
        """
        same_account = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        for name, service, conditions in (
            ("Alarms", "cloudwatch.amazonaws.com", same_account),
            ("EventRules", "events.amazonaws.com", None),
        ):
            principals = [iam.ServicePrincipal(service)]
            self.topic.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Allow{name}ToPublish",
                    actions=["sns:Publish"],
                    principals=principals,
                    resources=[self.topic.topic_arn],
                    conditions=conditions,
                )
            )
            self.key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Allow{name}ToEncrypt",
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    principals=principals,
                    resources=["*"],
                    conditions=conditions,
                )
            )

    def _allow_log_encryption(self) -> None:
        # CloudFormation names the log groups after the stack.
        log_groups = regional_arn("logs", f"log-group:{Aws.STACK_NAME}-*")
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowLogsToEncrypt",
                # These are the documented actions (CloudWatch Logs user guide, encrypt-log-data-kms, read 2026-11-28).
                actions=[
                    "kms:Decrypt*",
                    "kms:Describe*",
                    "kms:Encrypt*",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}")],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
            )
        )

    def _subscribe_alert_email(self) -> None:
        subscription = sns.CfnSubscription(
            self,
            "Email",
            topic_arn=self.topic.topic_arn,
            protocol="email",
            endpoint=self.alert_email,
        )
        subscription.cfn_options.condition = self.has_alert_email
