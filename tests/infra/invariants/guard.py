"""Checks of the functions, above all of the endpoint guard: functions, invocations, alarms, log groups and schedules."""

import json
from pathlib import Path

from tests.infra.invariants.base import (
    DATA_BUCKET,
    EVALUATOR_FUNCTION,
    GUARD_DEAD_LETTERS,
    GUARD_FUNCTION,
    JOB_DEAD_LETTERS,
    START_DEAD_LETTERS,
    STARTER_FUNCTION,
    SWEEP_RULE,
    Checks,
)

HANDLER_CODE = (
    Path(__file__).parents[3] / "infra/src/tunestack_cdk/constructs/endpoint_guard_handler.py"
).read_text()
AT_LEAST, BELOW = "GreaterThanOrEqualToThreshold", "LessThanThreshold"


class GuardChecks(Checks):
    """The guard runs the code of this repository with the limits of the stage, and alarms when it does not run."""

    def check_lambda_function(self, name, properties, resource):
        if name in (EVALUATOR_FUNCTION, STARTER_FUNCTION):
            self.check_run_function(name, properties, resource)
            return
        self.check_properties(
            name,
            properties,
            Code={"ZipFile": HANDLER_CODE},
            Handler="index.handler",
            Runtime="python3.14",
            Architectures=["arm64"],
            Timeout=600,
            MemorySize=256,
            Role=f"arn:aws:iam::{self.account}:role/GuardRole87F67C2B",
            KmsKeyArn=self.operations_key_arn,
            DeadLetterConfig={"TargetArn": self.queue_arn(GUARD_DEAD_LETTERS)},
            LoggingConfig={"LogGroup": "GuardLog047B64CB"},
            ReservedConcurrentExecutions=None,
            Layers=None,
            Environment={
                "Variables": {
                    "STAGE": self.stage.name,
                    "STAGE_TAG": "tunestack:stage",
                    "EXPIRY_TAG": "tunestack:expires-at",
                    "DEFAULT_HOURS": str(self.stage.default_endpoint_hours),
                    "MAX_HOURS": str(self.stage.max_endpoint_hours),
                }
            },
        )

    def check_run_function(self, name, properties, resource):
        """Check a function with the SDK; its code is an asset."""
        handler, policy, role, log, dead_letters, disk = {
            EVALUATOR_FUNCTION: (
                "evaluate",
                "RunEvaluatorPolicy6AE58A0C",
                "RunEvaluatorRoleDEFAFD3E",
                "RunEvaluatorLog766AEDAA",
                None,
                None,
            ),
            STARTER_FUNCTION: (
                "start",
                "RunSchedulesStarterPolicy2A593407",
                "RunSchedulesStarterRoleC044F81A",
                "RunSchedulesStarterLog78CEE2F0",
                {"TargetArn": self.queue_arn(START_DEAD_LETTERS)},
                {"Size": 4096},
            ),
        }[name]
        self.check_equal(name, "code", sorted(properties.get("Code", {})), ["S3Bucket", "S3Key"])
        self.check_equal(name, "dependencies", resource.get("DependsOn"), [policy])
        self.check_properties(
            name,
            properties,
            Handler=f"tunestack.runs.function.{handler}",
            Runtime="python3.14",
            Architectures=["arm64"],
            Timeout=900,
            MemorySize=1024,
            EphemeralStorage=disk,
            Role=f"arn:aws:iam::{self.account}:role/{role}",
            KmsKeyArn=self.operations_key_arn,
            DeadLetterConfig=dead_letters,
            LoggingConfig={"LogGroup": log},
            ReservedConcurrentExecutions=None,
            Layers=None,
            Environment={"Variables": {"TUNESTACK_STAGE": self.stage.name}},
        )

    def check_lambda_eventinvokeconfig(self, name, properties, _):
        self.check_properties(
            name,
            properties,
            FunctionName=GUARD_FUNCTION,
            MaximumEventAgeInSeconds=3600,
            MaximumRetryAttempts=2,
            Qualifier="$LATEST",
        )

    def check_lambda_permission(self, name, properties, _):
        self.check_properties(
            name,
            properties,
            Action="lambda:InvokeFunction",
            FunctionName=self.function_arn,
            Principal="events.amazonaws.com",
            SourceArn=self.arn("events", f"rule/{SWEEP_RULE}"),
        )

    def check_cloudwatch_alarm(self, name, properties, _):
        metric, operator, periods, missing = {
            "GuardNoSweep": ("sweeps", BELOW, 3, "breaching"),
            "GuardFailed": ("failed", AT_LEAST, 3, "notBreaching"),
            "GuardForeign": ("foreign", AT_LEAST, 3, "notBreaching"),
            "GuardUnseen": ("unseen", AT_LEAST, 3, "notBreaching"),
            "GuardUndelivered": ("ApproximateNumberOfMessagesVisible", AT_LEAST, 1, "notBreaching"),
            "JobEventsUndelivered": (
                "ApproximateNumberOfMessagesVisible",
                AT_LEAST,
                1,
                "notBreaching",
            ),
            "RunSchedulesUndelivered": (
                "ApproximateNumberOfMessagesVisible",
                AT_LEAST,
                1,
                "notBreaching",
            ),
            "RunsFailed": ("ExecutionsFailed", AT_LEAST, 1, "notBreaching"),
            "RunEvaluatorFailed": ("Errors", AT_LEAST, 1, "notBreaching"),
        }[name[:-8]]
        if "Undelivered" in name:
            namespace, statistic = "AWS/SQS", "Maximum"
            queue = {
                "JobEvents": JOB_DEAD_LETTERS,
                "RunSchedules": START_DEAD_LETTERS,
                "Guard": GUARD_DEAD_LETTERS,
            }[name.partition("Undelivered")[0]]
            dimensions = [{"Name": "QueueName", "Value": queue}]
        elif name.startswith("RunEvaluator"):
            namespace, statistic = "AWS/Lambda", "Sum"
            dimensions = [{"Name": "FunctionName", "Value": EVALUATOR_FUNCTION}]
        elif name.startswith("Runs"):
            namespace, statistic = "AWS/States", "Sum"
            machine = self.arn("states", f"stateMachine:tunestack-{self.stage.name}")
            dimensions = [{"Name": "StateMachineArn", "Value": machine}]
        else:
            namespace, statistic = "Tunestack", "Sum"
            dimensions = [{"Name": "stage", "Value": self.stage.name}]
        self.check_properties(
            name,
            properties,
            ActionsEnabled=None,
            AlarmActions=[self.topic_arn],
            ComparisonOperator=operator,
            Dimensions=dimensions,
            EvaluationPeriods=periods,
            MetricName=metric,
            Namespace=namespace,
            Period=300,
            Statistic=statistic,
            Threshold=1,
            TreatMissingData=missing,
        )

    def check_cloudwatch_dashboard(self, name, properties, _):
        self.check_properties(name, properties, DashboardName=None)

    def check_logs_loggroup(self, name, properties, _):
        self.check_properties(
            name,
            properties,
            KmsKeyId=self.operations_key_arn,
            RetentionInDays=90,
            LogGroupName=None,
        )

    def check_scheduler_schedulegroup(self, name, properties, _):
        self.check_properties(name, properties, Name=None)

    def check_scheduler_schedule(self, name, properties, _):
        (schedule,) = [
            row
            for row in self.stage.get_run_schedules(self.region)
            if name.startswith(f"RunSchedules{row.name}")
        ]
        file = (
            f"s3://{DATA_BUCKET}/{self.stage.data_prefix}/datasets/schedules/{schedule.name}.toml"
        )
        self.check_properties(
            name,
            properties,
            Name=schedule.name,
            GroupName="RunSchedulesGroup37B3A98E",
            ScheduleExpression=schedule.expression,
            ScheduleExpressionTimezone=None,
            FlexibleTimeWindow={"Mode": "OFF"},
            State=None,
            StartDate=None,
            EndDate=None,
            KmsKeyArn=None,
            Target={
                "Arn": self.arn("lambda", f"function:{STARTER_FUNCTION}"),
                "RoleArn": f"arn:aws:iam::{self.account}:role/RunSchedulesRoleDFE1A77E",
                "DeadLetterConfig": {"Arn": self.queue_arn(START_DEAD_LETTERS)},
                "Input": json.dumps({"sweep": schedule.sweep or file}),
            },
        )
