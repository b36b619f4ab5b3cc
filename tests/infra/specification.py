"""The permissions of every role, specified independently of the code that grants them: one row for each action.

The source of a row is the need of the operation, not the code of the stack. See docs/infrastructure.md.
"""

from tests.infra.run_specification import RunSpecification
from tests.infra.specification_base import allow


class Specification(RunSpecification):
    """The specified permissions and trust policies for one stage in one region."""

    def permissions(self):
        """Return the statements of each role and policy, by logical ID without its hash."""
        statements = {
            "AmazonBedrockJobRole": self.job(),
            "GuardRole": self.guard(),
            "GuardSchedulerRole": self.scheduler(),
            "RunsRole": self.runs(),
            "AccessTuner": self.tuner(),
            "AccessRunner": self.runner(),
            "AccessInvoker": self.invoker(),
            "AccessViewer": self.viewer(),
        }
        if self.stage.run_evaluation:
            statements["RunEvaluatorRole"] = self.evaluator()
        if self.stage.get_run_schedules(self.region):
            statements["RunSchedulesStarterRole"] = self.starter()
            statements["RunSchedulesRole"] = self.run_scheduler()
        roles = self.stage.roles
        if roles.tuners:
            statements["AccessTunerRole"] = [*self.tuner(), *self.runner()]
        if roles.ci is not None:
            statements["AccessCiRole"] = [*self.tuner(), *self.runner()]
        if roles.invokers:
            statements["AccessInvokerRole"] = self.invoker()
        if roles.viewers:
            statements["AccessViewerRole"] = self.viewer()
        return statements

    def job(self):
        rows = [
            allow("s3:ListBucket", self.bucket, self.list_condition("datasets", "outputs")),
            allow("s3:GetObject", self.object_arns("datasets", "outputs"), self.owned),
            allow("s3:PutObject", self.object_arns("outputs"), self.owned),
            allow("kms:Decrypt", self.data_key, self.called_via("s3")),
            allow("kms:GenerateDataKey", self.data_key, self.called_via("s3")),
        ]
        for location in self.stage.extra_data_locations:
            owner = {"StringEquals": {"aws:ResourceAccount": location.owner or self.account}}
            bucket = f"arn:{self.partition}:s3:::{location.bucket}"
            prefix = {"StringLike": {"s3:prefix": f"{location.prefix}*"}}
            rows.append(allow("s3:ListBucket", bucket, {**owner, **prefix}))
            rows.append(allow("s3:GetObject", f"{bucket}/{location.prefix}*", owner))
            if location.key_arn:
                rows.append(allow("kms:Decrypt", location.key_arn, self.called_via("s3")))
        # Source: user guide, encryption-custom-job (read 2026-11-28), which says both of the caller and of the service role
        # that it needs these.
        rows += self.use_model_key(
            "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:GenerateDataKey"
        )
        return rows + (self.network_interfaces() if self.stage.network else [])

    def network_interfaces(self):
        """Source: user guide, custom-model-job-access-security."""
        interfaces = self.arn("ec2", "network-interface/*")
        subnets = [self.arn("ec2", f"subnet/{name}") for name in self.stage.network.subnet_ids]
        job_tag = {"aws:ResourceTag/BedrockModelCustomizationJobArn": self.jobs}
        is_job_interface = {"ArnEquals": {"ec2:Subnet": subnets, **job_tag}}
        return [
            allow(
                "ec2:DescribeDhcpOptions ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups "
                "ec2:DescribeSubnets ec2:DescribeVpcs",
                "*",
            ),
            allow(
                "ec2:CreateNetworkInterface",
                interfaces,
                {
                    "StringEquals": {"aws:RequestTag/BedrockManaged": "true"},
                    "ArnEquals": {"aws:RequestTag/BedrockModelCustomizationJobArn": self.jobs},
                },
            ),
            allow("ec2:CreateNetworkInterface", subnets),
            allow(
                "ec2:CreateNetworkInterface", self.arn("ec2", "security-group/NetworkJobsEE1435FB")
            ),
            allow("ec2:CreateNetworkInterfacePermission", interfaces, is_job_interface),
            allow("ec2:DeleteNetworkInterface", interfaces, is_job_interface),
            allow("ec2:DeleteNetworkInterfacePermission", interfaces, is_job_interface),
            allow(
                "ec2:CreateTags",
                interfaces,
                {"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}},
            ),
        ]

    def guard(self):
        resources = [self.deployments, self.throughputs]
        return [
            allow("bedrock:ListCustomModelDeployments", "*"),
            allow("bedrock:ListProvisionedModelThroughputs", "*"),
            allow("bedrock:GetCustomModelDeployment", resources),
            allow("bedrock:GetProvisionedModelThroughput", resources),
            allow("bedrock:ListTagsForResource", resources),
            allow("bedrock:DeleteCustomModelDeployment", resources, self.has_no_other_stage_tag),
            allow(
                "bedrock:DeleteProvisionedModelThroughput", resources, self.has_no_other_stage_tag
            ),
            allow("sqs:SendMessage", self.arn("sqs", "GuardDeadLetters4D72EFE5")),
            allow("kms:GenerateDataKey", self.operations_key, self.called_via("sqs")),
            allow("kms:Decrypt", self.operations_key),
            allow(
                "logs:CreateLogStream logs:PutLogEvents",
                self.arn("logs", "log-group:GuardLog047B64CB:*"),
            ),
        ]

    def scheduler(self):
        return [
            allow("lambda:InvokeFunction", self.arn("lambda", "function:GuardFunction9CCE20FB")),
            allow("sqs:SendMessage", self.arn("sqs", "GuardDeadLetters4D72EFE5")),
            allow("kms:Decrypt", self.operations_key, self.called_via("sqs")),
            allow("kms:GenerateDataKey", self.operations_key, self.called_via("sqs")),
        ]

    def invoke_endpoints(self):
        resources = [self.deployments, self.throughputs]
        return allow(
            "bedrock:InvokeModel bedrock:InvokeModelWithResponseStream",
            resources,
            self.has_no_other_stage_tag,
        )

    def tuner(self):
        base, families = self.base_models(), self.families()
        # An operation ignores resources of other kinds.
        models_and_deployments = self.arn("bedrock", "custom-model*")
        served = [models_and_deployments, self.throughputs]
        changed = [self.jobs, *served]
        used = [*changed, *self.invoked_base_models(families)]
        schedules = self.arn("scheduler", "schedule/GuardSchedulesE7822186/*")
        to_bedrock = {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
        to_scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        rows = [
            allow("bedrock:CreateModelCustomizationJob", [*base, self.models, self.jobs]),
            *self.read_bedrock(jobs=True),
            self.read_metrics(),
            # A deleted model can't be restored, so the tag of the stage is required.
            allow("bedrock:DeleteCustomModel", self.models, self.has_stage_tag),
            allow("bedrock:StopModelCustomizationJob", used, self.has_no_other_stage_tag),
            allow("bedrock:DeleteCustomModelDeployment", used, self.has_no_other_stage_tag),
            allow("bedrock:DeleteProvisionedModelThroughput", used, self.has_no_other_stage_tag),
            allow("bedrock:UpdateCustomModelDeployment", used, self.has_no_other_stage_tag),
            allow("bedrock:UpdateProvisionedModelThroughput", used, self.has_no_other_stage_tag),
            # Source: the service authorization reference requires the custom model, and lists no created resource; it is
            # known to be incomplete for Bedrock (read 2026-11-28). An operation ignores resources of other kinds.
            allow(
                "bedrock:CreateCustomModelDeployment",
                [*served, *(families if self.stage.allow_provisioned_throughput else [])],
                self.sets_stage_tag,
            ),
            allow(
                "bedrock:TagResource",
                changed,
                {**self.sets_stage_tag, **self.has_no_other_stage_tag},
            ),
            # An operation ignores resources of other kinds.
            allow(
                "bedrock:InvokeModel bedrock:InvokeModelWithResponseStream",
                used,
                self.has_no_other_stage_tag,
            ),
            allow("iam:PassRole", self.role_arn("AmazonBedrockJobRole83283ADC"), to_bedrock),
            allow("iam:PassRole", self.role_arn("GuardSchedulerRole993ADB63"), to_scheduler),
            allow("s3:ListBucket", self.bucket, self.list_condition("outputs")),
            allow("s3:GetObject", self.object_arns("datasets", "outputs"), self.owned),
            allow("s3:PutObject", self.object_arns("datasets", "outputs/evaluations"), self.owned),
            allow("kms:Decrypt kms:GenerateDataKey", self.data_key, self.called_via("s3")),
            allow("scheduler:CreateSchedule", schedules),
            allow("scheduler:GetSchedule", schedules),
            allow("scheduler:UpdateSchedule", schedules),
            allow("sqs:DeleteMessage", self.arn("sqs", "JobEventsQueueD1562793")),
            allow("sqs:ReceiveMessage", self.arn("sqs", "JobEventsQueueD1562793")),
            allow("kms:Decrypt", self.operations_key, self.called_via("sqs")),
            *self.use_model_key("kms:CreateGrant kms:Decrypt kms:DescribeKey kms:GenerateDataKey"),
            self.read_deployment(),
        ]
        if self.stage.allow_provisioned_throughput:
            # An expiry is required.
            with_expiry = {
                **self.sets_stage_tag,
                "Null": {"aws:RequestTag/tunestack:expires-at": "false"},
            }
            # The service authorization reference requires the foundation model too.
            rows.append(
                allow("bedrock:CreateProvisionedModelThroughput", [*served, *families], with_expiry)
            )
        return rows

    def invoker(self):
        return [
            *self.read_bedrock(jobs=False),
            allow("bedrock:ListTagsForResource", self.arn("bedrock", "custom-model/*")),
            self.invoke_endpoints(),
            *self.use_model_key("kms:Decrypt"),
            self.read_deployment(),
        ]

    def viewer(self):
        return [
            *self.read_bedrock(jobs=True),
            self.read_metrics(),
            allow("s3:ListBucket", self.bucket, self.list_condition("outputs")),
            allow("s3:GetObject", self.object_arns("outputs"), self.owned),
            allow("kms:Decrypt", self.data_key, self.called_via("s3")),
            self.read_deployment(),
        ]

    def trust_policies(self):
        """Return the trust policy of each role, by logical ID without its hash."""
        own = {"aws:SourceAccount": self.account}
        group = self.arn("scheduler", "schedule-group/GuardSchedulesE7822186")
        statements = {
            "AmazonBedrockJobRole": [
                allow_assume(
                    {"Service": "bedrock.amazonaws.com"},
                    {"StringEquals": own, "ArnEquals": {"aws:SourceArn": self.jobs}},
                )
            ],
            "GuardRole": [allow_assume({"Service": "lambda.amazonaws.com"})],
            "RunsRole": [
                allow_assume(
                    {"Service": "states.amazonaws.com"},
                    {
                        "StringEquals": own,
                        "ArnEquals": {"aws:SourceArn": self.state_machine()},
                    },
                )
            ],
            "GuardSchedulerRole": [
                allow_assume(
                    {"Service": "scheduler.amazonaws.com"},
                    {"StringEquals": {**own, "aws:SourceArn": group}},
                )
            ],
        }
        if self.stage.run_evaluation:
            statements["RunEvaluatorRole"] = [allow_assume({"Service": "lambda.amazonaws.com"})]
        if self.stage.get_run_schedules(self.region):
            group = self.arn("scheduler", "schedule-group/RunSchedulesGroup37B3A98E")
            statements |= {
                "RunSchedulesStarterRole": [allow_assume({"Service": "lambda.amazonaws.com"})],
                "RunSchedulesRole": [
                    allow_assume(
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
                statements[name] = [allow_assume({"AWS": principal}) for principal in principals]
        if roles.ci is not None:
            issuer = roles.ci.provider_arn.partition(":oidc-provider/")[2]
            statements["AccessCiRole"] = [
                allow_assume(
                    {"Federated": roles.ci.provider_arn},
                    {
                        "StringEquals": {f"{issuer}:aud": roles.ci.audience},
                        "StringLike": {f"{issuer}:sub": list(roles.ci.subjects)},
                    },
                    action="sts:AssumeRoleWithWebIdentity",
                )
            ]
        return statements


def allow_assume(principal, condition=None, action="sts:AssumeRole"):
    return {
        "Effect": "Allow",
        "Action": [action],
        "Principal": principal,
        "Condition": condition or {},
    }
