"""A Lambda function with the SDK, its role and its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from tunestack.deployment import STAGE
from tunestack_cdk.constructs.conditions import called_via_service
from tunestack_cdk.constructs.sdk_bundle import build_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from aws_cdk import aws_sqs as sqs

    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Stage


class SdkFunction(Construct):
    """A function of `tunestack.runs.function`.

    Attributes:
        function: the function.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        operations: Operations,
        handler: str,
        description: str,
        statements: Sequence[iam.PolicyStatement],
        code: Path | None,
        disk: Size | None = None,
        dead_letters: sqs.IQueue | None = None,
    ) -> None:
        """Create the function.

        Args:
            scope: the parent.
            construct_id: the ID.
            stage: the stage.
            operations: the key of the logs.
            handler: the name of the function in the module.
            description: what it does.
            statements: its permissions.
            code: the folder or archive with the code; by default, it is built from the installed SDK.
            disk: the size of its temporary files, if they need more than 512 MB.
            dead_letters: the queue of asynchronous invocations that failed, if there are such.
        """
        super().__init__(scope, construct_id)
        # Imported by its ARN: CDK would otherwise change the key policy and grant services of any account access.
        key = kms.Key.from_key_arn(self, "Key", operations.key.key_arn)
        log_group = operations.create_log_group(self, "Log")
        role = iam.Role(
            self,
            "Role",
            description=description,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"{description} (stage {stage.name})",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(code or build_bundle())),
            handler=f"tunestack.runs.function.{handler}",
            # Imported by its ARN: CDK would otherwise add a policy.
            role=iam.Role.from_role_arn(self, "GivenRole", role.role_arn, mutable=False),
            # The longest that Lambda allows.
            timeout=Duration.minutes(15),
            # It needs 160 MB, and the CPU share of this size: data is converted, and confidence intervals are computed.
            memory_size=1024,
            ephemeral_storage_size=disk,
            log_group=log_group,
            environment_encryption=key,
            environment={STAGE: stage.name},
        )
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            description=description,
            roles=[role],
            statements=[
                *statements,
                # Lambda decrypts the environment variables with the role of the function.
                iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key.key_arn]),
                iam.PolicyStatement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[log_group.log_group_arn],
                ),
                *([] if dead_letters is None else _send_dead_letters(dead_letters, key)),
            ],
        )
        # Lambda rejects a function whose role may not send messages to its dead-letter queue.
        self.function.node.add_dependency(policy)
        if dead_letters is not None:
            resource = cast("lambda_.CfnFunction", self.function.node.default_child)
            # Not the property `dead_letter_queue`: CDK would add an inline policy.
            resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(
                target_arn=dead_letters.queue_arn
            )


def _send_dead_letters(queue: sqs.IQueue, key: kms.IKey) -> Iterator[iam.PolicyStatement]:
    yield iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn])
    # SQS needs `kms:Decrypt`, too, which the function has.
    yield iam.PolicyStatement(
        actions=["kms:GenerateDataKey"],
        resources=[key.key_arn],
        conditions=called_via_service("sqs"),
    )
