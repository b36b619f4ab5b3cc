"""A stage of the sandbox with the functions of runs: it evaluates their models in the account, and can start them."""

import io
import json
import zipfile

import boto3

from tests.conftest import create_template
from tunestack_cdk import Stage

STAGE = Stage(
    name="eval",
    regions=("us-east-1",),
    base_models=("nova-micro", "nova-lite"),
    retain_data=False,
    run_evaluation=True,
)
STACK = "Tunestack-eval-us-east-1"


def find_function(template):
    """Return the properties of the function that evaluates; the other one has the same code."""
    functions = template.find_resources("AWS::Lambda::Function")
    (properties,) = [row["Properties"] for name, row in functions.items() if "Evaluator" in name]
    return properties


def deploy_stage(stage=STAGE):
    """Deploy the stage, unless it was deployed before. The functions import the SDK of this repository."""
    cloudformation = boto3.client("cloudformation")
    if STACK in [row["StackName"] for row in cloudformation.describe_stacks()["Stacks"]]:
        return
    template = create_template(stage)
    code = find_function(template)["Code"]
    s3 = boto3.client("s3")
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = code["S3Bucket"]["Fn::Sub"].replace("${AWS::AccountId}", account)
    bucket = bucket.replace("${AWS::Region}", "us-east-1")
    s3.create_bucket(Bucket=bucket)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("README.md", "see tests/evaluator")
    s3.put_object(Bucket=bucket, Key=code["S3Key"], Body=archive.getvalue())
    s3.put_object(Bucket=bucket, Key="template", Body=json.dumps(template.to_json()).encode())
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"https://s3.amazonaws.com/{bucket}/template",
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
