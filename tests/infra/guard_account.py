"""A sandbox account with a fine-tuned model and many endpoints, in which the guard runs in the process of the test."""

import itertools
import json
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack_cdk.constructs.endpoint_guard_handler import Guard, Settings
from tunestack_sandbox import Quotas, Sandbox

SETTINGS = Settings(
    stage="dev",
    stage_tag=STAGE_TAG,
    expires_at_tag=EXPIRES_AT_TAG,
    default_endpoint_hours=4,
    max_endpoint_hours=24,
)
QUOTAS = Quotas(model_units=10_000, deployments=10_000, deployments_in_progress=10_000)


class GuardAccount:
    """A context manager that starts the sandbox; the guard of the stack is switched off."""

    sandbox: Sandbox
    bedrock: Any
    guard: Guard
    model: str

    def __init__(self):
        self._numbers = itertools.count()
        self._resources = ExitStack()

    def __enter__(self):
        sandbox = Sandbox(region="us-west-2", speed=1, quotas=QUOTAS)
        self.sandbox = self._resources.enter_context(sandbox)
        # botocore's retries would wait in real time.
        no_retries = Config(retries={"total_max_attempts": 1})
        self.bedrock = self._create_client("bedrock", "AWS_ENDPOINT_URL_BEDROCK", config=no_retries)
        self.guard = Guard(self.bedrock, SETTINGS)
        self._disable_sweep_rules()
        # The emulator does not need the time here, and following the clock is half of the run time.
        self.clock._followers.clear()
        self.model = self._fine_tune()
        return self

    def __exit__(self, *error):
        return self._resources.__exit__(*error)

    @property
    def clock(self):
        return self.sandbox.clock

    def _create_client(self, service, variable="AWS_ENDPOINT_URL", **options):
        session = boto3.Session("123456789012", "x", region_name="us-west-2")
        return session.client(service, endpoint_url=self.sandbox.variables()[variable], **options)

    def _disable_sweep_rules(self):
        events = self._create_client("events")
        for rule in events.list_rules()["Rules"]:
            if "ScheduleExpression" in rule:
                events.disable_rule(Name=rule["Name"])

    def _fine_tune(self):
        deployment = self.sandbox.deployment("us-west-2")
        lines = "".join(
            json.dumps({"prompt": f"a{number}", "completion": "b"}) + "\n" for number in range(100)
        )
        key = f"{deployment.datasets_prefix}guard.jsonl"
        self._create_client("s3").put_object(
            Bucket=deployment.data_bucket, Key=key, Body=lines.encode()
        )
        arn = self.bedrock.create_model_customization_job(
            jobName="guard",
            customModelName="guard",
            roleArn=deployment.job_role_arn,
            baseModelIdentifier="meta.llama3-1-8b-instruct-v1:0:128k",
            trainingDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
            outputDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
            hyperParameters={},
        )["jobArn"]
        self.clock.advance(timedelta(days=1))
        return self.bedrock.get_model_customization_job(jobIdentifier=arn)["outputModelArn"]

    def create_endpoint(self, tags, **options):
        """Create provisioned throughput; return its name."""
        name = f"endpoint-{next(self._numbers)}"
        self.bedrock.create_provisioned_model_throughput(
            provisionedModelName=name,
            modelId=self.model,
            modelUnits=1,
            tags=[{"key": key, "value": value} for key, value in tags.items()],
            **options,
        )
        return name

    def list_names(self):
        pages = self.bedrock.get_paginator("list_provisioned_model_throughputs").paginate()
        return {
            row["provisionedModelName"]
            for page in pages
            for row in page["provisionedModelSummaries"]
        }

    def sweep(self):
        return self.guard.sweep(lambda: 10**6)

    def delete_all(self):
        for name in self.list_names():
            with suppress(ClientError):
                self.bedrock.delete_provisioned_model_throughput(provisionedModelId=name)


def build_tags(account, hours=None, *, stage="dev", text=None):
    """Build the tags of an endpoint that expires after some hours, or with any text as its expiry."""
    tags = {STAGE_TAG: stage}
    if hours is not None:
        tags[EXPIRES_AT_TAG] = format_time(account.clock.now() + timedelta(hours=hours))
    if text is not None:
        tags[EXPIRES_AT_TAG] = text
    return tags


def format_time(time):
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
