"""What the specifications of all permissions share: names of resources, conditions, and statements of several roles."""

import re

from tunestack.catalog import CATALOG


def allow(actions, resources, condition=None):
    return {
        "Effect": "Allow",
        "Action": actions.split(),
        "Resource": resources if isinstance(resources, list) else [resources],
        "Condition": condition or {},
    }


class SpecificationBase:
    """The names in one stage and region."""

    def __init__(self, stage, region, *, account="111122223333", partition="aws"):
        self.stage, self.region, self.account, self.partition = stage, region, account, partition
        self.url_suffix = {"aws-cn": "amazonaws.com.cn"}.get(partition, "amazonaws.com")
        self.bucket = f"arn:{partition}:s3:::DataBucketE6B0FAA8"
        self.owned = {"StringEquals": {"aws:ResourceAccount": account}}
        self.has_no_other_stage_tag = {
            "StringEqualsIfExists": {"aws:ResourceTag/tunestack:stage": stage.name}
        }
        self.has_stage_tag = {"StringEquals": {"aws:ResourceTag/tunestack:stage": stage.name}}
        self.sets_stage_tag = {"StringEquals": {"aws:RequestTag/tunestack:stage": stage.name}}
        self.data_key = self.arn("kms", "key/DataKey5F086070")
        self.operations_key = self.arn("kms", "key/OperationsKeyD0717C64")
        self.jobs = self.arn("bedrock", "model-customization-job/*")
        self.models = self.arn("bedrock", "custom-model/*")
        self.deployments = self.arn("bedrock", "custom-model-deployment/*")
        self.throughputs = self.arn("bedrock", "provisioned-model/*")

    def arn(self, service, rest, *, account=None):
        account = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{self.region}:{account}:{rest}"

    def role_arn(self, name):
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    def called_via(self, service):
        return {"StringEquals": {"kms:ViaService": f"{service}.{self.region}.{self.url_suffix}"}}

    def object_arns(self, *folders):
        return [f"{self.bucket}/{self.stage.data_prefix}/{folder}/*" for folder in folders]

    def list_condition(self, *folders):
        prefixes = [f"{self.stage.data_prefix}/{folder}/*" for folder in folders]
        return {**self.owned, "StringLike": {"s3:prefix": prefixes}}

    def read_deployment(self):
        return allow(
            "ssm:GetParameter", self.arn("ssm", f"parameter/tunestack/{self.stage.name}/deployment")
        )

    def invoked_base_models(self, families):
        """Source: user guide, inference-profiles-prereq (read 2026-11-29): the profile, and the model in each of its regions."""
        names = [arn.rpartition("/")[2] for arn in families]
        models = [f"arn:{self.partition}:bedrock:*::foundation-model/{name}" for name in names]
        return models + [self.arn("bedrock", f"inference-profile/*.{name}") for name in names]

    def read_bedrock(self, *, jobs):
        """The rows combine operations and resources of several kinds: an operation ignores other kinds."""
        resources = [
            self.deployments,
            self.throughputs,
            *([self.jobs, self.models] if jobs else []),
        ]
        get_actions = (
            "bedrock:GetCustomModel bedrock:GetModelCustomizationJob bedrock:ListTagsForResource"
            if jobs
            else ""
        )
        list_actions = (
            "bedrock:ListCustomModels bedrock:ListFoundationModels bedrock:ListModelCustomizationJobs "
            # Public prices; the service authorization reference lists no resource types.
            "pricing:GetProducts"
            if jobs
            else ""
        )
        return [
            allow(
                f"bedrock:GetCustomModelDeployment bedrock:GetProvisionedModelThroughput {get_actions}",
                resources,
            ),
            allow(
                "bedrock:ListCustomModelDeployments bedrock:ListProvisionedModelThroughputs "
                + list_actions,
                "*",
            ),
        ]

    def read_metrics(self):
        """Source: iam-data 0.21.202609261: the only resource type is a dataset of OpenTelemetry metrics, not those of services."""
        return allow("cloudwatch:GetMetricData", "*")

    def use_model_key(self, actions):
        if not self.stage.model_key:
            return []
        return [allow(actions, self.arn("kms", "key/ModelKey797AAF76"), self.called_via("bedrock"))]

    @property
    def foundation(self):
        return f"arn:{self.partition}:bedrock:{self.region}::foundation-model"

    def base_models(self):
        return [
            # The id with and without its context length, such as `:128k`.
            f"{self.foundation}/{re.sub(r':[0-9]+k$', '', CATALOG[key].customization_id)}*"
            for key in self.stage.base_models
            if self.region in CATALOG[key].regions
        ]

    def families(self):
        foundation = self.foundation
        return sorted(
            {
                f"{foundation}/{model.removeprefix(foundation + '/').split('-')[0]}*"
                for model in self.base_models()
            }
        )
