"""Checks of queues, topic, subscription, budget and event rules."""

from tests.infra.invariants.base import (
    CHANGES_RULE,
    ENDS_RULE,
    GUARD_DEAD_LETTERS,
    HAS_ALERT_EMAIL,
    JOB_DEAD_LETTERS,
    JOB_QUEUE,
    START_DEAD_LETTERS,
    SWEEP_RULE,
    Checks,
)


class MessagingChecks(Checks):
    """Messages are encrypted, and only the expected services and rules send them."""

    def check_sqs_queue(self, name, properties, _):
        is_dead_letter_queue = "DeadLetters" in name
        redrive = {"deadLetterTargetArn": self.queue_arn(JOB_DEAD_LETTERS), "maxReceiveCount": 1000}
        self.check_properties(
            name,
            properties,
            KmsMasterKeyId=self.operations_key_arn,
            QueueName=None,
            MessageRetentionPeriod=(14 if is_dead_letter_queue else 4) * 86_400,
            RedrivePolicy=None if is_dead_letter_queue else redrive,
        )

    def check_sqs_queuepolicy(self, name, properties, _):
        # `Ref` of a queue is its URL, for which the resolver returns its name.
        (queue,) = properties.get("Queues") or [""]
        rules = {
            GUARD_DEAD_LETTERS: SWEEP_RULE,
            JOB_DEAD_LETTERS: [CHANGES_RULE, ENDS_RULE],
            JOB_QUEUE: [CHANGES_RULE],
        }.get(queue, "no rule")
        rule_arns = (
            [self.arn("events", f"rule/{rule}") for rule in rules]
            if isinstance(rules, list)
            else self.arn("events", f"rule/{rules}")
        )
        statements = [
            {
                "Effect": "Deny",
                "Action": "sqs:*",
                "Principal": {"AWS": "*"},
                "Resource": self.queue_arn(queue),
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Effect": "Allow",
                "Action": "sqs:SendMessage",
                "Principal": {"Service": "events.amazonaws.com"},
                "Resource": self.queue_arn(queue),
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arns}},
            },
        ]
        if queue == START_DEAD_LETTERS:  # functions and schedules send with their roles
            del statements[1]
        self.check_statements(name, properties, statements)

    def check_sns_topic(self, name, properties, _):
        self.check_properties(
            name, properties, KmsMasterKeyId=self.operations_key_arn, TopicName=None
        )

    def check_sns_topicpolicy(self, name, properties, _):
        self.check_properties(name, properties, Topics=[self.topic_arn])
        self.check_statements(
            name,
            properties,
            [
                {
                    "Effect": "Deny",
                    "Action": "sns:Publish",
                    "Principal": "*",
                    "Resource": self.topic_arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Action": "sns:Publish",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Resource": self.topic_arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
                },
                {
                    # EventBridge supports no conditions in the policy of a topic (EventBridge user guide,
                    # eb-use-resource-based, read 2026-11-28).
                    "Effect": "Allow",
                    "Action": "sns:Publish",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Resource": self.topic_arn,
                },
            ],
        )

    def check_sns_subscription(self, name, properties, resource):
        self.check_equal(name, "Condition", resource.get("Condition"), HAS_ALERT_EMAIL)
        self.check_properties(
            name,
            properties,
            Protocol="email",
            Endpoint=self.stage.alert_email or "",
            TopicArn=self.topic_arn,
        )

    def check_budgets_budget(self, name, properties, resource):
        self.check_equal(name, "Condition", resource.get("Condition"), HAS_ALERT_EMAIL)
        self.check_properties(
            name,
            properties.get("Budget", {}),
            BudgetType="COST",
            TimeUnit="MONTHLY",
            BudgetLimit={"Amount": self.stage.monthly_budget_usd, "Unit": "USD"},
            CostFilters={"TagKeyValue": [f"user:tunestack:stage${self.stage.name}"]},
        )
        notifications = [
            (row["Notification"], row.get("Subscribers", []))
            for row in properties.get("NotificationsWithSubscribers", [])
        ]
        expected = [
            (
                {
                    "ComparisonOperator": "GREATER_THAN",
                    "NotificationType": kind,
                    "Threshold": percent,
                    "ThresholdType": "PERCENTAGE",
                },
                [{"Address": self.stage.alert_email or "", "SubscriptionType": "EMAIL"}],
            )
            for kind, percent in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
        ]
        self.check_equal(name, "notifications", notifications, expected)

    def check_events_rule(self, name, properties, _):
        changes = {
            "detail-type": ["Model Customization Job State Change"],
            "source": ["aws.bedrock"],
        }
        ends = changes | {"detail": {"jobStatus": ["Completed", "Failed", "Stopped"]}}
        pattern, schedule, target_arn, dead_letters = {
            SWEEP_RULE: (None, "rate(5 minutes)", self.function_arn, GUARD_DEAD_LETTERS),
            CHANGES_RULE: (changes, None, self.queue_arn(JOB_QUEUE), JOB_DEAD_LETTERS),
            ENDS_RULE: (ends, None, self.topic_arn, JOB_DEAD_LETTERS),
        }[name]
        self.check_equal(name, "State", properties.get("State", "ENABLED"), "ENABLED")
        self.check_properties(name, properties, EventPattern=pattern, ScheduleExpression=schedule)
        targets = [
            (target.get("Arn"), target.get("DeadLetterConfig"), target.get("Input"))
            for target in properties.get("Targets", [])
        ]
        event = "{}" if schedule else None
        expected = [(target_arn, {"Arn": self.queue_arn(dead_letters)}, event)]
        self.check_equal(name, "targets", targets, expected)
        for target in properties.get("Targets", []):
            self.check_equal(name, "id of the target", bool(target.get("Id")), True)
            if schedule:
                self.check_properties(name, target, RetryPolicy={"MaximumEventAgeInSeconds": 300})
            if target_arn == self.topic_arn:
                self.check_notice(name, target)

    def check_notice(self, name, target):
        keys = ("jobArn", "jobName", "jobStatus")
        self.check_properties(
            name,
            target,
            InputTransformer={
                "InputPathsMap": {key: f"$.detail.{key}" for key in keys},
                "InputTemplate": '"Fine-tuning job <jobName>: <jobStatus>. <jobArn>"',
            },
        )
