"""The statements of the policies *tuner*, *invoker* and *viewer*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

from tunestack.catalog import CATALOG
from tunestack.deployment import EXPIRES_AT_TAG, evaluations_prefix, parameter_name
from tunestack_cdk.constructs.arns import customization_job_arns, endpoint_arns, regional_arn
from tunestack_cdk.constructs.conditions import (
    called_via_service,
    passed_to_service,
    request_sets_stage_tag,
    resource_has_no_other_stage_tag,
    resource_has_stage_tag,
    resource_owned_by,
)
from tunestack_cdk.constructs.job_role import MODEL_KEY_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_cdk import aws_kms as kms

    from tunestack_cdk.constructs.data_store import DataStore
    from tunestack_cdk.constructs.endpoint_guard import EndpointGuard
    from tunestack_cdk.constructs.job_events import JobEvents
    from tunestack_cdk.constructs.job_role import JobRole
    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Stage


INVOKE = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
"""The actions that invoke a model."""


@dataclass(frozen=True, kw_only=True)
class AccessResources:
    """The resources that the policies grant access to."""

    stage: Stage
    region: str
    data: DataStore
    job_role: JobRole
    guard: EndpointGuard
    job_events: JobEvents
    operations: Operations
    model_key: kms.IKey | None


class AccessStatements:
    """Builds the statements. They have no Sid: a policy is limited to 6,144 characters."""

    def __init__(self, resources: AccessResources) -> None:
        """Build statements about the given resources."""
        self._resources = resources
        self._stage = resources.stage.name
        self._jobs = customization_job_arns()
        self._models = regional_arn("bedrock", "custom-model/*")
        self._endpoints = endpoint_arns()
        # Custom models and their deployments in one pattern, because of the size of the policy.
        self._models_and_endpoints = [
            regional_arn("bedrock", "custom-model*"),
            regional_arn("bedrock", "provisioned-model/*"),
        ]
        self._bucket = resources.data.bucket.bucket_arn

    def tuner(self) -> Iterator[iam.PolicyStatement]:
        """Submit, follow and cancel jobs; start, invoke, update and delete endpoints."""
        yield self._create_jobs()
        yield from self._read_bedrock(jobs=True)
        yield self._read_metrics()
        yield iam.PolicyStatement(
            actions=[
                "bedrock:DeleteCustomModelDeployment",
                "bedrock:DeleteProvisionedModelThroughput",
                *INVOKE,
                "bedrock:StopModelCustomizationJob",
                "bedrock:UpdateCustomModelDeployment",
                "bedrock:UpdateProvisionedModelThroughput",
            ],
            # An update is also authorized on the new model of the endpoint. Base models are invoked to compare fine-tuned
            # models with them; they have no tags. In one statement, because of the size of the policy.
            resources=[self._jobs, *self._models_and_endpoints, *self._invoked_base_models()],
            conditions=resource_has_no_other_stage_tag(self._stage),
        )
        yield iam.PolicyStatement(
            actions=["bedrock:DeleteCustomModel"],
            resources=[self._models],
            conditions=resource_has_stage_tag(self._stage),
        )
        yield from self._create_endpoints()
        yield iam.PolicyStatement(
            actions=["bedrock:TagResource"],
            resources=[self._jobs, *self._models_and_endpoints],
            conditions={
                **request_sets_stage_tag(self._stage),
                **resource_has_no_other_stage_tag(self._stage),
            },
        )
        yield from self._pass_roles()
        yield from self._access_data(write=True)
        yield from self._schedule_expiry()
        yield from self._read_job_events()
        yield from self._use_model_key(MODEL_KEY_ACTIONS)
        yield self._read_deployment()

    def invoker(self) -> Iterator[iam.PolicyStatement]:
        """Read and invoke endpoints."""
        yield from self._read_bedrock(jobs=False)
        # How the prompts of a model are written is a tag.
        yield iam.PolicyStatement(actions=["bedrock:ListTagsForResource"], resources=[self._models])
        yield self._invoke_endpoints()
        yield from self._use_model_key(["kms:Decrypt"])
        yield self._read_deployment()

    def viewer(self) -> Iterator[iam.PolicyStatement]:
        """Read jobs, models, endpoints, their metrics and job output."""
        yield from self._read_bedrock(jobs=True)
        yield self._read_metrics()
        yield from self._access_data(write=False)
        yield self._read_deployment()

    def _create_jobs(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=["bedrock:CreateModelCustomizationJob"],
            resources=[*self._base_model_arns(), self._models, self._jobs],
        )

    def _base_model_arns(self) -> list[str]:
        """Return the base models of the stage, with and without the context length in their ids (`...-v1:0:128k`)."""
        return [
            _foundation_model_arn(":".join(identifier.split(":")[:2]))
            for identifier in self._base_model_ids()
        ]

    def _base_family_arns(self) -> list[str]:
        """Return the families of the base models: their ids would exceed the size of a policy a second time."""
        return [
            _foundation_model_arn(family)
            for family in sorted(
                {identifier.split("-")[0] for identifier in self._base_model_ids()}
            )
        ]

    def _base_model_ids(self) -> list[str]:
        stage = self._resources.stage
        return [
            CATALOG[key].customization_id for key in stage.get_base_models(self._resources.region)
        ]

    def _create_endpoints(self) -> Iterator[iam.PolicyStatement]:
        """Create endpoints with the tag of the stage.

        The service authorization reference lists the custom model as the resource of both actions, and the foundation model
        for provisioned throughput (read 2026-11-28). It is incomplete for Bedrock, so the created resources are listed too.
        """
        actions = ["bedrock:CreateCustomModelDeployment"]
        resources = list(self._models_and_endpoints)
        if self._resources.stage.allow_provisioned_throughput:
            actions.append("bedrock:CreateProvisionedModelThroughput")
            resources += self._base_family_arns()
        yield iam.PolicyStatement(
            actions=actions,
            resources=resources,
            conditions=request_sets_stage_tag(self._stage),
        )
        yield iam.PolicyStatement(
            # A Deny statement: no other policy of the principal can allow provisioned throughput without an expiry.
            effect=iam.Effect.DENY,
            actions=["bedrock:CreateProvisionedModelThroughput"],
            resources=["*"],
            conditions={"Null": {f"aws:RequestTag/{EXPIRES_AT_TAG}": "true"}},
        )

    def _read_bedrock(self, *, jobs: bool) -> Iterator[iam.PolicyStatement]:
        """Read endpoints; if requested, jobs and models, and the price list for cost estimates."""
        get = ["bedrock:GetCustomModelDeployment", "bedrock:GetProvisionedModelThroughput"]
        list_ = ["bedrock:ListCustomModelDeployments", "bedrock:ListProvisionedModelThroughputs"]
        resources = list(self._endpoints)
        if jobs:
            get += [
                "bedrock:GetCustomModel",
                "bedrock:GetModelCustomizationJob",
                # The expiry of an endpoint is a tag.
                "bedrock:ListTagsForResource",
            ]
            list_ += [
                "bedrock:ListCustomModels",
                "bedrock:ListFoundationModels",
                "bedrock:ListModelCustomizationJobs",
                "pricing:GetProducts",
            ]
            resources += [self._jobs, self._models]
        yield iam.PolicyStatement(actions=get, resources=resources)
        # The List actions and the Price List API do not support resource-level permissions.
        yield iam.PolicyStatement(actions=list_, resources=["*"])

    def _read_metrics(self) -> iam.PolicyStatement:
        """Read the metrics of endpoints.

        The only resource type of the action is a dataset of OpenTelemetry metrics (iam-data 0.21.202609261), and Bedrock's
        metrics are in none: the action reads all metrics of the account in the region.
        """
        return iam.PolicyStatement(actions=["cloudwatch:GetMetricData"], resources=["*"])

    def _invoke_endpoints(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=list(INVOKE),
            resources=self._endpoints,
            conditions=resource_has_no_other_stage_tag(self._stage),
        )

    def _invoked_base_models(self) -> Iterator[str]:
        """Return the families of the stage's base models.

        An inference profile is authorized on the profile in this region and on the model in each of its regions (user guide,
        inference-profiles-prereq, read 2026-11-29).
        """
        for family in self._base_family_arns():
            yield _in_all_regions(family)
            yield _profile_arn(family)

    def _pass_roles(self) -> Iterator[iam.PolicyStatement]:
        for role, service in (
            (self._resources.job_role.role, "bedrock"),
            (self._resources.guard.scheduler_role, "scheduler"),
        ):
            yield pass_role(role, service)

    def _access_data(self, *, write: bool) -> Iterator[iam.PolicyStatement]:
        """Read job output, and read and write training data and evaluations if requested."""
        datasets = self._resources.stage.datasets_prefix
        outputs = self._resources.stage.outputs_prefix
        yield iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[self._bucket],
            conditions={**resource_owned_by(), "StringLike": {"s3:prefix": [f"{outputs}*"]}},
        )
        if write:
            yield iam.PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject"],
                resources=[
                    f"{self._bucket}/{datasets}*",
                    # Evaluations are stored beside the output of the jobs; that output is read-only.
                    f"{self._bucket}/{evaluations_prefix(self._resources.stage.data_prefix)}*",
                ],
                conditions=resource_owned_by(),
            )
        yield iam.PolicyStatement(
            actions=["s3:GetObject"],
            resources=[f"{self._bucket}/{outputs}*"],
            conditions=resource_owned_by(),
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"] if write else ["kms:Decrypt"],
            resources=[self._resources.data.key.key_arn],
            conditions=called_via_service("s3"),
        )

    def _schedule_expiry(self) -> Iterator[iam.PolicyStatement]:
        group = self._resources.guard.schedule_group
        yield iam.PolicyStatement(
            actions=[
                "scheduler:CreateSchedule",
                "scheduler:GetSchedule",
                "scheduler:UpdateSchedule",
            ],
            resources=[regional_arn("scheduler", f"schedule/{group}/*")],
        )

    def _read_job_events(self) -> Iterator[iam.PolicyStatement]:
        yield iam.PolicyStatement(
            actions=["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            resources=[self._resources.job_events.queue.queue_arn],
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt"],
            resources=[self._resources.operations.key.key_arn],
            conditions=called_via_service("sqs"),
        )

    def _use_model_key(self, actions: Sequence[str]) -> Iterator[iam.PolicyStatement]:
        """Let Bedrock use the key of the models for the caller (user guide, encryption-custom-job, read 2026-11-22)."""
        if self._resources.model_key is not None:
            yield iam.PolicyStatement(
                actions=list(actions),
                resources=[self._resources.model_key.key_arn],
                conditions=called_via_service("bedrock"),
            )

    def _read_deployment(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=["ssm:GetParameter"],
            resources=[regional_arn("ssm", f"parameter{parameter_name(self._stage)}")],
        )


def pass_role(role: iam.IRole, service: str) -> iam.PolicyStatement:
    """Let a principal pass a role to a service."""
    return iam.PolicyStatement(
        actions=["iam:PassRole"],
        resources=[role.role_arn],
        conditions=passed_to_service(service),
    )


def _foundation_model_arn(prefix: str) -> str:
    return f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}::foundation-model/{prefix}*"


def _in_all_regions(foundation_model_arn: str) -> str:
    return foundation_model_arn.replace(Aws.REGION, "*")


def _profile_arn(foundation_model_arn: str) -> str:
    """Return the inference profiles of all geographies: `us.amazon.nova*`, `global.amazon.nova*`."""
    family = foundation_model_arn.rpartition("/")[2]
    return regional_arn("bedrock", f"inference-profile/*.{family}")
