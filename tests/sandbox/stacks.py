"""Stages in a sandbox: their templates, changed and deployed, and their jobs."""

import json
from importlib.resources import files
from pathlib import Path

from tests.sandbox.samples import NOVA, converse_row

_MAX_BODY = 51_200
"""The size of the largest template in a request; a larger one must be in a bucket."""
STACK = "Tunestack-dev-us-east-1"


def read_template():
    """Return the template of the stage in us-east-1 that the sandbox deploys."""
    text = files("tunestack_sandbox").joinpath("templates", f"{STACK}.template.json").read_text()
    return json.loads(text)


def read_released(stage, version="0.1.0"):
    """Return the template of a stage in us-east-1 as a released version had it, without its budget, which MiniStack lacks."""
    folder = Path(__file__).parents[1] / "infra/released" / version
    template = json.loads((folder / f"{stage}.json").read_text())
    template["Resources"] = {
        name: row
        for name, row in template["Resources"].items()
        if row["Type"] != "AWS::Budgets::Budget"
    }
    return template


def find_statement(template, sid):
    """Return the statement of a policy in a template by its Sid."""

    def search(value):
        if isinstance(value, dict):
            if value.get("Sid") == sid:
                yield value
            value = list(value.values())
        if isinstance(value, list):
            for child in value:
                yield from search(child)

    (statement,) = search(template)
    return statement


def deploy(session, template, name=STACK):
    """Create a stack, and return its status and the reasons of failed resources."""
    for resource in template["Resources"].values():
        resource.pop("Metadata", None)
    session.client("ssm").put_parameter(
        Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True
    )
    client = session.client("cloudformation")
    text = json.dumps(template, separators=(",", ":"))
    location = {"TemplateBody": text}
    if len(text) > _MAX_BODY:
        s3 = session.client("s3")
        s3.create_bucket(Bucket="templates")
        s3.put_object(Bucket="templates", Key=name, Body=text)
        location = {"TemplateURL": f"https://s3.us-east-1.amazonaws.com/templates/{name}"}
    client.create_stack(StackName=name, Capabilities=["CAPABILITY_NAMED_IAM"], **location)
    return wait(client, name)


def wait(client, name):
    """Wait until a stack is in a final state; return its status and the reasons of failed resources."""
    status = "IN_PROGRESS"
    while status.endswith("IN_PROGRESS"):
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
        status = stack["StackStatus"]
    events = client.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    return status, [
        row["ResourceStatusReason"]
        for row in events
        if row["ResourceType"] != "AWS::CloudFormation::Stack"
        and row["ResourceStatus"].endswith("_FAILED")
        and row.get("ResourceStatusReason")
    ]


def create_job(sandbox, session):
    """Upload records and create a job in the stage of a sandbox, as a caller with another session."""
    deployment = sandbox.deployment()
    rows = "".join(json.dumps(converse_row(number)) + "\n" for number in range(8))
    key = f"{deployment.datasets_prefix}rows.jsonl"
    session.client("s3").put_object(Bucket=deployment.data_bucket, Key=key, Body=rows)
    session.client("bedrock").create_model_customization_job(
        jobName="job",
        customModelName="job",
        roleArn=deployment.job_role_arn,
        baseModelIdentifier=NOVA,
        trainingDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
        outputDataConfig={"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
    )
