"""Steps that deploy stages, and read with the tuner policy."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.live.live_run import LiveError, step
from tunestack.backends.base import Verdict
from tunestack.catalog.lookup import tunable
from tunestack.deployment import STAGE_TAG

ROOT = Path(__file__).parents[2]
# A killed process closes the pipe to the shell, which then stops the CLI.
_RUN_UNTIL_STDIN_CLOSES = """
exec 3<&0
"$@" </dev/null 3<&- & child=$!
(cat; kill $child) <&3 >/dev/null 2>&1 3<&- &
exec 3<&-
wait $child
"""


def _deploy(run, stack, network=None):
    """Deploy a stack with the CDK CLI, which uses the credentials of the environment.

    Raises:
        LiveError: it failed.
    """
    environment = os.environ | {
        "TUNESTACK_LIVE_RUN": run.run_id,
        "TUNESTACK_LIVE_REGION": run.region,
        "TUNESTACK_LIVE_MODEL": run.model.key,
        "TUNESTACK_LIVE_ACCOUNT": run.account,
        "TUNESTACK_LIVE_NETWORK": json.dumps(network),
        "NO_COLOR": "1",
    }
    cdk = shutil.which("cdk", path=f"{ROOT}/node_modules/.bin:{os.environ['PATH']}") or "cdk"
    options = ("--require-approval", "never", "--no-notices", "-c", "stages=tests/live/stages.py")
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [
                "sh",
                "-c",
                _RUN_UNTIL_STDIN_CLOSES,
                "sh",
                cdk,
                "deploy",
                stack,
                *options,
                "-o",
                folder,
            ],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        output = process.stdout.read()  # `communicate` would close the standard input
        code = process.wait()
    if code:
        raise LiveError(f"cdk deploy {stack} failed:\n{output[-3000:]}")


@step(settles=("stage-deploys",), usd=0.20, duration="5 minutes")
def deploy(run):
    """Deploy a stage with the CDK CLI: keys, alarms and logs for a day."""
    _deploy(run, run.stack)
    run.check("stage-deploys", run.deployment.stage == run.run_id, f"{run.stack} is deployed")


@step(settles=("network-stage-deploys",), usd=0.50, duration="15 minutes")
def deploy_network(run):
    """Deploy a stage with a new VPC, interface endpoints, a model key and a dashboard, and delete it."""
    ec2 = run.admin.client("ec2")
    tags = [{"Key": STAGE_TAG, "Value": run.other_stage}]
    vpc = ec2.create_vpc(
        CidrBlock="10.0.0.0/24", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )["Vpc"]["VpcId"]
    # Interface endpoints with private DNS names need both.
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28", **_find_zone(run))["Subnet"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    (table,) = tables["RouteTables"]
    network = {"vpc": vpc, "subnet": subnet["SubnetId"], "route_table": table["RouteTableId"]}
    stack = f"Tunestack-{run.other_stage}-{run.region}"
    _deploy(run, stack, network)
    run.check("network-stage-deploys", True, f"{stack} was deployed")
    # The endpoints are billed by the hour. The clean-up removes the network.
    run.admin.client("cloudformation").delete_stack(StackName=stack)


def _find_zone(run):
    """Return the parameters for a subnet in a zone that has interface endpoints for Bedrock."""
    names = [f"com.amazonaws.{run.region}.{name}" for name in ("bedrock", "bedrock-runtime")]
    services = run.admin.client("ec2").describe_vpc_endpoint_services(ServiceNames=names)
    zones = [{*row["AvailabilityZones"]} for row in services["ServiceDetails"]]
    return {"AvailabilityZone": min(set.intersection(*zones))} if zones else {}


@step(settles=("tuner-lists", "doctor-passes", "models-listed"))
def read(run):
    """List and check with the tuner policy only."""
    for operation in (
        "list_custom_model_deployments",
        "list_custom_models",
        "list_foundation_models",
        "list_model_customization_jobs",
        "list_provisioned_model_throughputs",
    ):
        run.check_call("tuner-lists", getattr(run.bedrock, operation))
    rows = run.bedrock.list_foundation_models(byCustomizationType="FINE_TUNING")["modelSummaries"]
    active = {row["modelId"] for row in rows if row["modelLifecycle"]["status"] == "ACTIVE"}
    models = tunable(on=run.clock.now().date(), provider="bedrock", region=run.region)
    # With or without the context length.
    missing = [
        model.key for model in models if not {model.customization_id, *model.inference_ids} & active
    ]
    run.check("models-listed", not missing, f"missing: {missing}, active: {sorted(active)}")
    checks = run.tuner.preflight(run.model.key)
    failed = [str(check) for check in checks if check.verdict is Verdict.FAIL]
    run.check("doctor-passes", not failed, f"{len(checks)} checks, failed: {failed}")
