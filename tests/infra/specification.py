"""What every role may do, written down apart from the code that grants it: a line for each action.

The source of a line is what the operation needs, not what the stack says; see docs/infrastructure.md.
"""

from tunestack.catalog import CATALOG


def row(actions, resources, condition=None, effect="Allow"):
    return {
        "Effect": effect,
        "Action": actions.split(),
        "Resource": resources if isinstance(resources, list) else [resources],
        "Condition": condition or {},
    }


class Specification:
    """What is specified for one stage, in one region."""

    def __init__(self, stage, region, *, account="111122223333", partition="aws"):
        self.stage, self.region, self.account, self.partition = stage, region, account, partition
        self.suffix = {"aws-cn": "amazonaws.com.cn"}.get(partition, "amazonaws.com")
        self.bucket = f"arn:{partition}:s3:::DataBucketE6B0FAA8"
        self.own = {"StringEquals": {"aws:ResourceAccount": account}}
        self.tagged = {"StringEqualsIfExists": {"aws:ResourceTag/tunestack:stage": stage.name}}
        self.own_tag = {"StringEquals": {"aws:ResourceTag/tunestack:stage": stage.name}}
        self.tags = {"StringEquals": {"aws:RequestTag/tunestack:stage": stage.name}}
        self.data_key = self.arn("kms", "key/DataKey5F086070")
        self.operations_key = self.arn("kms", "key/OperationsKeyD0717C64")
        self.jobs = self.arn("bedrock", "model-customization-job/*")
        self.models = self.arn("bedrock", "custom-model/*")
        self.deployments = self.arn("bedrock", "custom-model-deployment/*")
        self.throughputs = self.arn("bedrock", "provisioned-model/*")

    def arn(self, service, rest, *, account=None):
        account = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{self.region}:{account}:{rest}"

    def role(self, name):
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    def through(self, service):
        return {"StringEquals": {"kms:ViaService": f"{service}.{self.region}.{self.suffix}"}}

    def below(self, *folders):
        return [f"{self.bucket}/{self.stage.data_prefix}/{folder}/*" for folder in folders]

    def listing(self, *folders):
        prefixes = [f"{self.stage.data_prefix}/{folder}/*" for folder in folders]
        return {**self.own, "StringLike": {"s3:prefix": prefixes}}

    def roles(self):
        """By the beginning of the logical id."""
        found = {
            "AmazonBedrockJobRole": self.job(),
            "GuardRole": self.guard(),
            "GuardSchedulerRole": self.scheduler(),
            "AccessTuner": self.tuner(),
            "AccessInvoker": self.invoker(),
            "AccessViewer": self.viewer(),
        }
        roles = self.stage.roles
        if roles.tuners:
            found["AccessTunerRole"] = self.tuner()
        if roles.ci is not None:
            found["AccessCiRole"] = self.tuner()
        if roles.invokers:
            found["AccessInvokerRole"] = self.invoker()
        if roles.viewers:
            found["AccessViewerRole"] = self.viewer()
        return found

    def job(self):
        rows = [
            row("s3:ListBucket", self.bucket, self.listing("datasets", "outputs")),
            row("s3:GetObject", self.below("datasets", "outputs"), self.own),
            row("s3:PutObject", self.below("outputs"), self.own),
            row("kms:Decrypt", self.data_key, self.through("s3")),
            row("kms:GenerateDataKey", self.data_key, self.through("s3")),
        ]
        for place in self.stage.extra_data:
            owner = {"StringEquals": {"aws:ResourceAccount": place.account or self.account}}
            bucket = f"arn:{self.partition}:s3:::{place.bucket}"
            prefix = {"StringLike": {"s3:prefix": f"{place.prefix}*"}}
            rows.append(row("s3:ListBucket", bucket, {**owner, **prefix}))
            rows.append(row("s3:GetObject", f"{bucket}/{place.prefix}*", owner))
            if place.key_arn:
                rows.append(row("kms:Decrypt", place.key_arn, self.through("s3")))
        return rows + (self.interfaces() if self.stage.network else [])

    def interfaces(self):
        """User guide, custom-model-job-access-security."""
        interfaces = self.arn("ec2", "network-interface/*")
        subnets = [self.arn("ec2", f"subnet/{name}") for name in self.stage.network.subnet_ids]
        of_job = {"aws:ResourceTag/BedrockModelCustomizationJobArn": self.jobs}
        used = {"ArnEquals": {"ec2:Subnet": subnets, **of_job}}
        return [
            row(
                "ec2:DescribeDhcpOptions ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups "
                "ec2:DescribeSubnets ec2:DescribeVpcs",
                "*",
            ),
            row(
                "ec2:CreateNetworkInterface",
                interfaces,
                {
                    "StringEquals": {"aws:RequestTag/BedrockManaged": "true"},
                    "ArnEquals": {"aws:RequestTag/BedrockModelCustomizationJobArn": self.jobs},
                },
            ),
            row("ec2:CreateNetworkInterface", subnets),
            row(
                "ec2:CreateNetworkInterface", self.arn("ec2", "security-group/NetworkJobsEE1435FB")
            ),
            row("ec2:CreateNetworkInterfacePermission", interfaces, used),
            row("ec2:DeleteNetworkInterface", interfaces, used),
            row("ec2:DeleteNetworkInterfacePermission", interfaces, used),
            row(
                "ec2:CreateTags",
                interfaces,
                {"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}},
            ),
        ]

    def guard(self):
        kinds = [self.deployments, self.throughputs]
        return [
            row("bedrock:ListCustomModelDeployments", "*"),
            row("bedrock:ListProvisionedModelThroughputs", "*"),
            row("bedrock:GetCustomModelDeployment", kinds),
            row("bedrock:GetProvisionedModelThroughput", kinds),
            row("bedrock:ListTagsForResource", kinds),
            row("bedrock:DeleteCustomModelDeployment", kinds, self.tagged),
            row("bedrock:DeleteProvisionedModelThroughput", kinds, self.tagged),
            row("sqs:SendMessage", self.arn("sqs", "GuardDeadLetters4D72EFE5")),
            row("kms:GenerateDataKey", self.operations_key, self.through("sqs")),
            row("kms:Decrypt", self.operations_key),
            row(
                "logs:CreateLogStream logs:PutLogEvents",
                self.arn("logs", "log-group:GuardLog047B64CB:*"),
            ),
        ]

    def scheduler(self):
        return [
            row("lambda:InvokeFunction", self.arn("lambda", "function:GuardFunction9CCE20FB")),
            row("sqs:SendMessage", self.arn("sqs", "GuardDeadLetters4D72EFE5")),
            row("kms:Decrypt", self.operations_key, self.through("sqs")),
            row("kms:GenerateDataKey", self.operations_key, self.through("sqs")),
        ]

    def finding(self):
        return row(
            "ssm:GetParameter", self.arn("ssm", f"parameter/tunestack/{self.stage.name}/deployment")
        )

    def invoking(self):
        kinds = [self.deployments, self.throughputs]
        return row("bedrock:InvokeModel bedrock:InvokeModelWithResponseStream", kinds, self.tagged)

    def seeing(self, *, jobs):
        """Get of another kind's ARN is nothing: an operation takes its own."""
        kinds = [self.deployments, self.throughputs, *([self.jobs, self.models] if jobs else [])]
        more = (
            "bedrock:GetCustomModel bedrock:GetModelCustomizationJob bedrock:ListTagsForResource"
            if jobs
            else ""
        )
        listed = (
            "bedrock:ListCustomModels bedrock:ListFoundationModels bedrock:ListModelCustomizationJobs"
            if jobs
            else ""
        )
        return [
            row(
                f"bedrock:GetCustomModelDeployment bedrock:GetProvisionedModelThroughput {more}",
                kinds,
            ),
            row(
                "bedrock:ListCustomModelDeployments bedrock:ListProvisionedModelThroughputs "
                + listed,
                "*",
            ),
        ]

    def with_model_key(self, actions):
        if not self.stage.model_key:
            return []
        return [row(actions, self.arn("kms", "key/ModelKey797AAF76"), self.through("bedrock"))]

    def tuner(self):
        foundation = f"arn:{self.partition}:bedrock:{self.region}::foundation-model"
        base = [
            f"{foundation}/{CATALOG[key].customization_id}"
            for key in self.stage.base_models
            if self.region in CATALOG[key].regions
        ]
        kinds = [self.jobs, self.deployments, self.throughputs]
        # An operation on another kind of thing than its own is nothing.
        changed = [*kinds, self.models]
        schedules = self.arn("scheduler", "schedule/GuardSchedulesE7822186/*")
        pass_job = {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
        pass_schedule = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        rows = [
            row("bedrock:CreateModelCustomizationJob", [*base, self.models, self.jobs]),
            *self.seeing(jobs=True),
            # A model cannot be restored: without the stage's own tag, nobody deletes it.
            row("bedrock:DeleteCustomModel", self.models, self.own_tag),
            row("bedrock:StopModelCustomizationJob", changed, self.tagged),
            row("bedrock:DeleteCustomModelDeployment", changed, self.tagged),
            row("bedrock:DeleteProvisionedModelThroughput", changed, self.tagged),
            row("bedrock:UpdateCustomModelDeployment", changed, self.tagged),
            row("bedrock:UpdateProvisionedModelThroughput", changed, self.tagged),
            row("bedrock:CreateCustomModelDeployment", self.models, self.tags),
            row("bedrock:TagResource", [*kinds, self.models], {**self.tags, **self.tagged}),
            self.invoking(),
            row("iam:PassRole", self.role("AmazonBedrockJobRole83283ADC"), pass_job),
            row("iam:PassRole", self.role("GuardSchedulerRole993ADB63"), pass_schedule),
            row("s3:ListBucket", self.bucket, self.listing("outputs")),
            row("s3:GetObject", self.below("datasets", "outputs"), self.own),
            row("s3:PutObject", self.below("datasets"), self.own),
            row("kms:Decrypt kms:GenerateDataKey", self.data_key, self.through("s3")),
            row("scheduler:CreateSchedule", schedules),
            row("scheduler:GetSchedule", schedules),
            row("scheduler:UpdateSchedule", schedules),
            row("sqs:DeleteMessage", self.arn("sqs", "JobEventsQueueD1562793")),
            row("sqs:ReceiveMessage", self.arn("sqs", "JobEventsQueueD1562793")),
            row("kms:Decrypt", self.operations_key, self.through("sqs")),
            *self.with_model_key("kms:CreateGrant kms:Decrypt kms:DescribeKey kms:GenerateDataKey"),
            self.finding(),
        ]
        if self.stage.endpoints.provisioned:
            # Never without an end.
            ends = {**self.tags, "Null": {"aws:RequestTag/tunestack:expires-at": "false"}}
            rows.append(row("bedrock:CreateProvisionedModelThroughput", self.models, ends))
        return rows

    def invoker(self):
        return [
            *self.seeing(jobs=False),
            self.invoking(),
            *self.with_model_key("kms:Decrypt"),
            self.finding(),
        ]

    def viewer(self):
        return [
            *self.seeing(jobs=True),
            row("s3:ListBucket", self.bucket, self.listing("outputs")),
            row("s3:GetObject", self.below("outputs"), self.own),
            row("kms:Decrypt", self.data_key, self.through("s3")),
            self.finding(),
        ]

    def trusts(self):
        """Who may take on which role, by the beginning of its logical id."""
        own = {"aws:SourceAccount": self.account}
        group = self.arn("scheduler", "schedule-group/GuardSchedulesE7822186")
        found = {
            "AmazonBedrockJobRole": [
                trust(
                    {"Service": "bedrock.amazonaws.com"},
                    {"StringEquals": own, "ArnEquals": {"aws:SourceArn": self.jobs}},
                )
            ],
            "GuardRole": [trust({"Service": "lambda.amazonaws.com"})],
            "GuardSchedulerRole": [
                trust(
                    {"Service": "scheduler.amazonaws.com"},
                    {"StringEquals": {**own, "aws:SourceArn": group}},
                )
            ],
        }
        roles = self.stage.roles
        for name, principals in (
            ("AccessTunerRole", roles.tuners),
            ("AccessInvokerRole", roles.invokers),
            ("AccessViewerRole", roles.viewers),
        ):
            if principals:
                found[name] = [trust({"AWS": principal}) for principal in principals]
        if roles.ci is not None:
            issuer = roles.ci.provider_arn.partition(":oidc-provider/")[2]
            found["AccessCiRole"] = [
                trust(
                    {"Federated": roles.ci.provider_arn},
                    {
                        "StringEquals": {f"{issuer}:aud": roles.ci.audience},
                        "StringLike": {f"{issuer}:sub": list(roles.ci.subjects)},
                    },
                    action="sts:AssumeRoleWithWebIdentity",
                )
            ]
        return found


def trust(principal, condition=None, action="sts:AssumeRole"):
    return {
        "Effect": "Allow",
        "Action": [action],
        "Principal": principal,
        "Condition": condition or {},
    }
