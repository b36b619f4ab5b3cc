"""Runs the suite in a sandbox, as a process with the credentials of an administrator."""

import subprocess
import sys
from pathlib import Path

import boto3

from tests.infra.cdk_cli import run_cdk

ROOT = Path(__file__).parents[2]
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_LISTS = (
    ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("events", "list_rules", "Rules", "Name"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
    ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", None),
    ("ssm", "describe_parameters", "Parameters", "Name"),
)


class SandboxProgram:
    """The program in a sandbox whose account has no stage."""

    def __init__(self, sandbox, folder):
        """Bootstrap the account, and create the administrator."""
        self.sandbox = sandbox
        self.folder = folder
        self.root = sandbox.environment() | {"CDK_HOME": str(folder / "home")}
        iam = self.client("iam")
        iam.create_user(UserName="administrator")
        iam.attach_user_policy(UserName="administrator", PolicyArn=ADMINISTRATOR)
        key = iam.create_access_key(UserName="administrator")["AccessKey"]
        self.environment = self.root | {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        run_cdk(
            *("bootstrap", "aws://123456789012/us-east-1", "--output", str(folder / "assembly")),
            environment=self.environment,
        )

    def client(self, service, region="us-east-1"):
        """Create a client of the root user."""
        name = "AWS_ENDPOINT_URL_BEDROCK" if service == "bedrock" else "AWS_ENDPOINT_URL"
        return boto3.client(
            service,
            region,
            endpoint_url=self.root[name],
            aws_access_key_id=self.root["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.root["AWS_SECRET_ACCESS_KEY"],
            verify=self.root.get("AWS_CA_BUNDLE"),
        )

    def delete_schedules(self):
        """Delete all schedules."""
        self.sandbox._emulator.delete_schedules()

    def list_resources(self):
        """List everything in the account that a run can create, except keys, which are deleted after a month."""
        region = self.sandbox.bedrock_region("us-east-1")
        found = {*region.models, *region.deployments, *region.throughputs}
        found |= {arn for arn, job in region.jobs.items() if job.status == "InProgress"}
        for service, operation, rows, name in _LISTS:
            response = getattr(self.client(service), operation)()
            found |= {f"{service} {row[name] if name else row}" for row in response.get(rows, ())}
        return found

    def start(self, *arguments, confirm=True):
        """Start the program. It asks only if `confirm` is false, and gets no answer."""
        command = [sys.executable, "-m", "tests.live.sandbox_clock", self.sandbox.admin_url]
        return subprocess.Popen(
            [
                *command,
                *(["--yes"] if confirm else []),
                "--record",
                str(self.folder / "recorded"),
                *arguments,
            ],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments, confirm=True):
        """Run the program, and return its exit code and output."""
        with self.start(*arguments, confirm=confirm) as process:
            output = process.stdout.read()
        return process.returncode, output
