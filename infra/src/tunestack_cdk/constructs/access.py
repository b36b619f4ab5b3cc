"""Who may do what: managed policies to attach to people and applications, and roles for those who are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from tunestack.catalog import CATALOG
from tunestack.deployment import EXPIRES_AT_TAG, parameter_name
from tunestack_cdk.constructs.conditions import (
    for_stage,
    in_own_account,
    of_stage,
    only_of_stage,
    through,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_cdk import aws_kms as kms

    from tunestack_cdk.constructs.data_store import DataStore
    from tunestack_cdk.constructs.endpoint_guard import EndpointGuard
    from tunestack_cdk.constructs.job_events import JobEvents
    from tunestack_cdk.constructs.job_role import JobRole
    from tunestack_cdk.constructs.operations import Operations
    from tunestack_cdk.stage import Oidc, Stage

_SESSION = Duration.hours(1)


@dataclass(frozen=True, kw_only=True)
class Granted:
    """What permissions are about."""

    stage: Stage
    region: str
    data: DataStore
    job_role: JobRole
    guard: EndpointGuard
    job_events: JobEvents
    operations: Operations
    model_key: kms.IKey | None


class Access(Construct):
    """The policies *tuner*, *invoker* and *viewer*, exactly `contract.ACTIONS`, and a role for each where the stage names who may take it on.

    Attributes:
        policies: by their names.
        roles: by their names, those that there are.
    """

    def __init__(self, scope: Construct, construct_id: str, *, granted: Granted) -> None:
        super().__init__(scope, construct_id)
        stage = granted.stage
        rights = _Rights(granted)
        self.policies = {
            name: iam.ManagedPolicy(
                self, name.title(), description=what, statements=list(statements)
            )
            for name, what, statements in (
                (
                    "tuner",
                    "Fine-tune with Tunestack: submit, track, cancel; start, call, stop",
                    rights.tuner(),
                ),
                ("invoker", "Call what was tuned with Tunestack", rights.invoker()),
                ("viewer", "See jobs, endpoints and losses of Tunestack", rights.viewer()),
            )
        }
        self.roles: dict[str, iam.Role] = {}
        for name, principals in (
            ("tuner", stage.roles.tuners),
            ("invoker", stage.roles.invokers),
            ("viewer", stage.roles.viewers),
        ):
            if principals:
                trusted = [iam.ArnPrincipal(principal) for principal in principals]
                self._role(name, name, iam.CompositePrincipal(*trusted))
        if stage.roles.ci is not None:
            self._role("ci", "tuner", _federated(stage.roles.ci))

    def _role(self, name: str, policy: str, principal: iam.IPrincipal) -> None:
        self.roles[name] = iam.Role(
            self,
            f"{name.title()}Role",
            description=f"Tunestack's {policy}, for those whom the stage names",
            assumed_by=principal,
            managed_policies=[self.policies[policy]],
            max_session_duration=_SESSION,
        )


def _federated(ci: Oidc) -> iam.WebIdentityPrincipal:
    issuer = ci.provider_arn.split(":oidc-provider/", 1)[1]
    return iam.WebIdentityPrincipal(
        ci.provider_arn,
        conditions={
            "StringEquals": {f"{issuer}:aud": ci.audience},
            "StringLike": {f"{issuer}:sub": list(ci.subjects)},
        },
    )


class _Rights:
    """The statements of the policies; without names, which would not leave room for what they say."""

    def __init__(self, granted: Granted) -> None:
        self._granted = granted
        self._stage = granted.stage.name
        bedrock = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        self._jobs = f"{bedrock}:model-customization-job/*"
        self._models = f"{bedrock}:custom-model/*"
        self._deployments = f"{bedrock}:custom-model-deployment/*"
        self._throughputs = f"{bedrock}:provisioned-model/*"
        self._bucket = granted.data.bucket.bucket_arn

    def tuner(self) -> Iterator[iam.PolicyStatement]:
        granted = self._granted
        foundation = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}::foundation-model"
        base = [
            f"{foundation}/{CATALOG[key].customization_id}"
            for key in granted.stage.base_models_in(granted.region)
        ]
        yield iam.PolicyStatement(
            actions=["bedrock:CreateModelCustomizationJob"],
            resources=[*base, self._models, self._jobs],
        )
        yield from self._seeing(jobs=True)
        yield iam.PolicyStatement(
            actions=[
                "bedrock:DeleteCustomModelDeployment",
                "bedrock:DeleteProvisionedModelThroughput",
                "bedrock:StopModelCustomizationJob",
                "bedrock:UpdateCustomModelDeployment",
                "bedrock:UpdateProvisionedModelThroughput",
            ],
            # The model that an endpoint is pointed to is asked for as well.
            resources=[self._jobs, self._models, self._deployments, self._throughputs],
            conditions=of_stage(self._stage),
        )
        yield iam.PolicyStatement(
            actions=["bedrock:DeleteCustomModel"],
            resources=[self._models],
            conditions=only_of_stage(self._stage),
        )
        serving = ["bedrock:CreateCustomModelDeployment"]
        if granted.stage.endpoints.provisioned:
            serving.append("bedrock:CreateProvisionedModelThroughput")
        yield iam.PolicyStatement(
            actions=serving,
            resources=[self._models],
            conditions=for_stage(self._stage),
        )
        yield iam.PolicyStatement(
            # Denied rather than not allowed: no other policy can make up for it.
            sid="NoEndpointWithoutEnd",
            effect=iam.Effect.DENY,
            actions=["bedrock:CreateProvisionedModelThroughput"],
            resources=["*"],
            conditions={"Null": {f"aws:RequestTag/{EXPIRES_AT_TAG}": "true"}},
        )
        yield iam.PolicyStatement(
            actions=["bedrock:TagResource"],
            resources=[self._jobs, self._models, self._deployments, self._throughputs],
            conditions={**for_stage(self._stage), **of_stage(self._stage)},
        )
        yield from self._invoking()
        yield from self._passing()
        yield from self._reading(write=True)
        schedules = f"arn:{Aws.PARTITION}:scheduler:{Aws.REGION}:{Aws.ACCOUNT_ID}:schedule"
        yield iam.PolicyStatement(
            actions=[
                "scheduler:CreateSchedule",
                "scheduler:GetSchedule",
                "scheduler:UpdateSchedule",
            ],
            resources=[f"{schedules}/{granted.guard.schedule_group}/*"],
        )
        yield iam.PolicyStatement(
            actions=["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            resources=[granted.job_events.queue.queue_arn],
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt"],
            resources=[granted.operations.key.key_arn],
            conditions=through("sqs"),
        )
        yield from self._using_model_key(
            ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
        )
        yield from self._finding()

    def invoker(self) -> Iterator[iam.PolicyStatement]:
        yield from self._seeing(jobs=False)
        yield from self._invoking()
        yield from self._using_model_key(["kms:Decrypt"])
        yield from self._finding()

    def viewer(self) -> Iterator[iam.PolicyStatement]:
        yield from self._seeing(jobs=True)
        yield from self._reading(write=False)
        yield from self._finding()

    def _seeing(self, *, jobs: bool) -> Iterator[iam.PolicyStatement]:
        get = ["bedrock:GetCustomModelDeployment", "bedrock:GetProvisionedModelThroughput"]
        listed = ["bedrock:ListCustomModelDeployments", "bedrock:ListProvisionedModelThroughputs"]
        resources = [self._deployments, self._throughputs]
        if jobs:
            get += [
                "bedrock:GetCustomModel",
                "bedrock:GetModelCustomizationJob",
                # The end of an endpoint is in its tags.
                "bedrock:ListTagsForResource",
            ]
            listed += [
                "bedrock:ListCustomModels",
                "bedrock:ListFoundationModels",
                "bedrock:ListModelCustomizationJobs",
            ]
            resources += [self._jobs, self._models]
        yield iam.PolicyStatement(actions=get, resources=resources)
        # List has no resource to name.
        yield iam.PolicyStatement(actions=listed, resources=["*"])

    def _invoking(self) -> Iterator[iam.PolicyStatement]:
        yield iam.PolicyStatement(
            actions=["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
            resources=[self._deployments, self._throughputs],
            conditions=of_stage(self._stage),
        )

    def _passing(self) -> Iterator[iam.PolicyStatement]:
        for role, service in (
            (self._granted.job_role.role, "bedrock"),
            (self._granted.guard.scheduler_role, "scheduler"),
        ):
            yield iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}},
            )

    def _reading(self, *, write: bool) -> Iterator[iam.PolicyStatement]:
        own = in_own_account()
        datasets, outputs = self._granted.stage.datasets, self._granted.stage.outputs
        yield iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[self._bucket],
            conditions={**own, "StringLike": {"s3:prefix": [f"{outputs}*"]}},
        )
        if write:
            yield iam.PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject"],
                resources=[f"{self._bucket}/{datasets}*"],
                conditions=own,
            )
        yield iam.PolicyStatement(
            actions=["s3:GetObject"], resources=[f"{self._bucket}/{outputs}*"], conditions=own
        )
        yield iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"] if write else ["kms:Decrypt"],
            resources=[self._granted.data.key.key_arn],
            conditions=through("s3"),
        )

    def _using_model_key(self, actions: Sequence[str]) -> Iterator[iam.PolicyStatement]:
        """Let Bedrock use the key of tuned models for the caller (user guide, encryption-custom-job, read 2026-11-22)."""
        if self._granted.model_key is not None:
            yield iam.PolicyStatement(
                actions=list(actions),
                resources=[self._granted.model_key.key_arn],
                conditions=through("bedrock"),
            )

    def _finding(self) -> Iterator[iam.PolicyStatement]:
        name = parameter_name(self._stage)
        yield iam.PolicyStatement(
            actions=["ssm:GetParameter"],
            resources=[f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}:{Aws.ACCOUNT_ID}:parameter{name}"],
        )
