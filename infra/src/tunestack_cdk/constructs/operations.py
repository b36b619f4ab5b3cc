"""How people hear of what happens: a topic, and the key of what is no training data: notices, queues, logs."""

from __future__ import annotations

from aws_cdk import Aws, CfnCondition, CfnParameter, Fn, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct


class Operations(Construct):
    """A topic that alarms, the budget and finished jobs are told to, and the key of topic, queues and logs.

    Attributes:
        topic: whoever subscribes hears of it; the alert address is, if there is one.
        key: encrypts the topic, the queues and the logs.
        has_address: whether there is an alert address.
        address: the alert address.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, alert_email: str | None, retain: bool
    ) -> None:
        super().__init__(scope, construct_id)
        parameter = CfnParameter(
            self,
            "AlertEmail",
            type="String",
            default=alert_email or "",
            description="Who hears of alarms, the budget and finished jobs; nobody if empty",
            allowed_pattern=r"^$|^[^@\s,]+@[^@\s,]+$",
            constraint_description="one address, or nothing",
        )
        # Its name is what people type.
        parameter.override_logical_id("AlertEmail")
        self.address = parameter.value_as_string
        self.has_address = CfnCondition(
            self, "HasAddress", expression=Fn.condition_not(Fn.condition_equals(self.address, ""))
        )
        self.key = kms.Key(
            self,
            "Key",
            description="Notices, queues and logs of fine-tuning",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY,
        )
        self.topic = sns.Topic(
            self,
            "Topic",
            display_name="Tunestack",
            master_key=self.key,
            enforce_ssl=True,
        )
        source = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        tellers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"]
        principals = [iam.ServicePrincipal(teller) for teller in tellers]
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetServicesTell",
                actions=["sns:Publish"],
                principals=principals,
                resources=[self.topic.topic_arn],
                conditions=source,
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetServicesTell",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                principals=principals,
                resources=["*"],
                conditions=source,
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetLogsEncrypt",
                actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}")],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        # CloudFormation names them after the stack.
                        "kms:EncryptionContext:aws:logs:arn": f"arn:{Aws.PARTITION}:logs:"
                        f"{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:{Aws.STACK_NAME}-*"
                    }
                },
            )
        )
        email = sns.CfnSubscription(
            self,
            "Email",
            topic_arn=self.topic.topic_arn,
            protocol="email",
            endpoint=self.address,
        )
        email.cfn_options.condition = self.has_address

    def log_group(self, scope: Construct, construct_id: str) -> logs.LogGroup:
        """Make an encrypted log group, kept for three months."""
        return logs.LogGroup(
            scope,
            construct_id,
            encryption_key=self.key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
