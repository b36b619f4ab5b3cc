"""The state machine of runs, its role and its alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from tunestack.deployment import runs_prefix
from tunestack_cdk.constructs.arns import customization_job_arns, regional_arn
from tunestack_cdk.constructs.conditions import called_via_service, resource_owned_by
from tunestack_cdk.constructs.run_definition import create_definition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunestack_cdk.constructs.data_store import DataStore
    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.constructs.run_evaluator import RunEvaluator
    from tunestack_cdk.stage import Stage

_FAILED = "A run could not submit its jobs. The execution of the state machine shows the error"
# Source: developer guide, cw-logs. CloudWatch Logs supports no resources for the delivery of logs.
_LOG_DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
]


class Runs(Construct):
    """A state machine that submits many jobs and waits for them, without a client.

    It is free while no run is started. A job of 97 minutes costs 155 state transitions, $0.004, one of a day $0.015.

    Attributes:
        state_machine_arn: the ARN of the state machine.
        execution_arns: the ARNs of its executions, with those of their jobs.
        map_run_arns: the ARNs of the maps over their jobs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        data: DataStore,
        operations: Operations,
        job_statements: Sequence[iam.PolicyStatement],
        evaluator: RunEvaluator | None = None,
    ) -> None:
        """Create the state machine.

        Args:
            scope: the parent.
            construct_id: the ID.
            stage: the stage.
            data: the bucket with the files of the runs.
            operations: the topic of the alarm, and the key of the logs.
            job_statements: the permissions to create jobs.
            evaluator: the function that evaluates the models, or `None`.
        """
        super().__init__(scope, construct_id)
        # The role needs the ARN of the state machine, which needs the role: so the name is fixed, as that of the parameter
        # with the deployment is.
        name = f"tunestack-{stage.name}"
        self.state_machine_arn = regional_arn("states", f"stateMachine:{name}")
        self.execution_arns = [
            regional_arn("states", f"execution:{name}:*"),
            regional_arn("states", f"execution:{name}/*"),
        ]
        self.map_run_arns = regional_arn("states", f"mapRun:{name}/*")
        evaluator_arn = None if evaluator is None else evaluator.function.function_arn
        role = iam.Role(
            self,
            "Role",
            description="Assumed by Step Functions to submit the jobs of runs",
            assumed_by=iam.ServicePrincipal(
                "states.amazonaws.com",
                # Source: developer guide, procedure-create-iam-role.
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnEquals": {"aws:SourceArn": self.state_machine_arn},
                },
            ),
        )
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Submit the jobs of runs, and follow them",
            roles=[role],
            statements=[*job_statements, *self._statements(stage, data, evaluator_arn)],
        )
        log_group = operations.create_log_group(self, "Log")
        machine = stepfunctions.CfnStateMachine(
            self,
            "StateMachine",
            state_machine_name=name,
            state_machine_type="STANDARD",
            role_arn=role.role_arn,
            definition=create_definition(data.bucket.bucket_name, evaluator_arn),
            logging_configuration=stepfunctions.CfnStateMachine.LoggingConfigurationProperty(
                level="ALL",
                # Without the requests, which have the locations of training data.
                include_execution_data=False,
                destinations=[
                    stepfunctions.CfnStateMachine.LogDestinationProperty(
                        cloud_watch_logs_log_group=stepfunctions.CfnStateMachine.CloudWatchLogsLogGroupProperty(
                            log_group_arn=log_group.log_group_arn
                        )
                    )
                ],
            ),
        )
        # Step Functions refuses a state machine whose role may not deliver its logs.
        machine.node.add_dependency(policy)
        self._create_alarm(operations)

    def _statements(
        self, stage: Stage, data: DataStore, evaluator_arn: str | None
    ) -> Iterator[iam.PolicyStatement]:
        yield iam.PolicyStatement(
            actions=["bedrock:GetModelCustomizationJob"], resources=[customization_job_arns()]
        )
        yield iam.PolicyStatement(
            actions=["s3:GetObject"],
            resources=[f"{data.bucket.bucket_arn}/{runs_prefix(stage.data_prefix)}*"],
            conditions=resource_owned_by(),
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt"],
            resources=[data.key.key_arn],
            conditions=called_via_service("s3"),
        )
        # Source: developer guide, iam-policies-eg-dist-map.
        yield iam.PolicyStatement(
            actions=["states:StartExecution"], resources=[self.state_machine_arn]
        )
        yield iam.PolicyStatement(
            actions=["states:DescribeExecution", "states:StopExecution"],
            resources=self.execution_arns,
        )
        yield iam.PolicyStatement(actions=_LOG_DELIVERY, resources=["*"])
        if evaluator_arn is not None:
            yield iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[evaluator_arn])

    def _create_alarm(self, operations: Operations) -> None:
        alarm = cloudwatch.Alarm(
            self,
            "Failed",
            alarm_description=_FAILED,
            metric=cloudwatch.Metric(
                namespace="AWS/States",
                metric_name="ExecutionsFailed",
                dimensions_map={"StateMachineArn": self.state_machine_arn},
                statistic="Sum",
                period=Duration.minutes(5),
            ),
            threshold=1,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(operations.topic))
