"""The permissions of runs: of the state machine, of the functions that evaluate models and start runs, and of who starts runs."""

from tests.infra.specification_base import SpecificationBase, allow


class RunSpecification(SpecificationBase):
    """A part of the specification."""

    def state_machine(self):
        return self.arn("states", f"stateMachine:tunestack-{self.stage.name}")

    def executions(self):
        """Source: developer guide, concepts-examine-map-run: the executions of a map have its label in their ARN."""
        name = f"tunestack-{self.stage.name}"
        return [self.arn("states", f"execution:{name}{separator}*") for separator in ":/"]

    def runs(self):
        to_bedrock = {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
        both = {**self.sets_stage_tag, **self.has_no_other_stage_tag}
        return [
            allow(
                "bedrock:CreateModelCustomizationJob", [*self.base_models(), self.models, self.jobs]
            ),
            allow("bedrock:TagResource", [self.jobs, self.models], both),
            allow("bedrock:GetModelCustomizationJob", self.jobs),
            allow("iam:PassRole", self.role_arn("AmazonBedrockJobRole83283ADC"), to_bedrock),
            *self.use_model_key("kms:CreateGrant kms:Decrypt kms:DescribeKey kms:GenerateDataKey"),
            allow("s3:GetObject", self.object_arns("datasets/runs"), self.owned),
            allow("kms:Decrypt", self.data_key, self.called_via("s3")),
            # Source: developer guide, iam-policies-eg-dist-map.
            allow("states:StartExecution", self.state_machine()),
            allow("states:DescribeExecution states:StopExecution", self.executions()),
            # Source: developer guide, cw-logs.
            allow(
                "logs:CreateLogDelivery logs:GetLogDelivery logs:UpdateLogDelivery logs:DeleteLogDelivery "
                "logs:ListLogDeliveries logs:PutResourcePolicy logs:DescribeResourcePolicies "
                "logs:DescribeLogGroups",
                "*",
            ),
            *(
                [allow("lambda:InvokeFunction", self.evaluator_function())]
                if self.stage.run_evaluation
                else []
            ),
        ]

    def evaluator_function(self):
        return self.arn("lambda", "function:RunEvaluatorFunction6A6542D0")

    def evaluator(self):
        """The tuner's permissions for on-demand endpoints and inference; files of runs, and evaluations. No jobs."""
        # An operation ignores resources of other kinds.
        served = [self.arn("bedrock", "custom-model*"), self.throughputs]
        used = [*served, *self.invoked_base_models(self.families())]
        schedules = self.arn("scheduler", "schedule/GuardSchedulesE7822186/*")
        to_scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        both = {**self.sets_stage_tag, **self.has_no_other_stage_tag}
        return [
            *self.read_bedrock(jobs=True),
            allow(
                "bedrock:DeleteCustomModelDeployment bedrock:InvokeModel "
                "bedrock:InvokeModelWithResponseStream bedrock:UpdateCustomModelDeployment",
                used,
                self.has_no_other_stage_tag,
            ),
            allow("bedrock:CreateCustomModelDeployment", served, self.sets_stage_tag),
            allow("bedrock:TagResource", served, both),
            allow("iam:PassRole", self.role_arn("GuardSchedulerRole993ADB63"), to_scheduler),
            allow(
                "scheduler:CreateSchedule scheduler:GetSchedule scheduler:UpdateSchedule", schedules
            ),
            allow("s3:ListBucket", self.bucket, self.list_condition("outputs/evaluations")),
            allow(
                "s3:GetObject", self.object_arns("datasets/runs", "outputs/evaluations"), self.owned
            ),
            allow("s3:PutObject", self.object_arns("outputs/evaluations"), self.owned),
            allow("kms:Decrypt kms:GenerateDataKey", self.data_key, self.called_via("s3")),
            *self.use_model_key("kms:CreateGrant kms:Decrypt kms:DescribeKey kms:GenerateDataKey"),
            self.read_deployment(),
            *self.run_function("RunEvaluatorLog766AEDAA"),
        ]

    def run_function(self, log_group):
        return [
            # The environment variables are encrypted.
            allow("kms:Decrypt", self.operations_key),
            allow(
                "logs:CreateLogStream logs:PutLogEvents",
                self.arn("logs", f"log-group:{log_group}:*"),
            ),
        ]

    def starter(self):
        """What `Tuner.start_run` needs: read data, models and jobs, upload data, and start the state machine."""
        rows = [
            *self.read_bedrock(jobs=True),
            allow("s3:GetObject s3:PutObject", self.object_arns("datasets"), self.owned),
            allow("kms:Decrypt kms:GenerateDataKey", self.data_key, self.called_via("s3")),
            allow("states:StartExecution", self.state_machine()),
            allow("states:DescribeExecution", self.executions()),
            self.read_deployment(),
            *self.run_function("RunSchedulesStarterLog78CEE2F0"),
            *self.send_undelivered_starts(),
        ]
        for location in self.stage.extra_data_locations:
            if not any(
                (row.sweep or "").startswith(location.uri)
                for row in self.stage.get_run_schedules(self.region)
            ):
                continue  # nothing of it is read
            owner = {"StringEquals": {"aws:ResourceAccount": location.owner or self.account}}
            objects = f"arn:{self.partition}:s3:::{location.bucket}/{location.prefix}*"
            rows.append(allow("s3:GetObject", objects, owner))
            if location.key_arn:
                rows.append(allow("kms:Decrypt", location.key_arn, self.called_via("s3")))
        return rows

    def send_undelivered_starts(self):
        """Source: SQS developer guide, sqs-key-management: who sends to an encrypted queue needs both actions."""
        return [
            allow("sqs:SendMessage", self.arn("sqs", "RunSchedulesDeadLetters67191A0A")),
            allow("kms:Decrypt kms:GenerateDataKey", self.operations_key, self.called_via("sqs")),
        ]

    def run_scheduler(self):
        return [
            allow(
                "lambda:InvokeFunction",
                self.arn("lambda", "function:RunSchedulesStarterFunction310E0338"),
            ),
            *self.send_undelivered_starts(),
        ]

    def runner(self):
        map_runs = self.arn("states", f"mapRun:tunestack-{self.stage.name}/*")
        return [
            allow("states:StartExecution", self.state_machine()),
            allow("states:ListExecutions", [self.state_machine(), map_runs]),
            allow("states:DescribeExecution states:StopExecution", self.executions()),
            allow("states:ListMapRuns", self.executions()),
            allow("states:DescribeMapRun", map_runs),
        ]
