"""What an independent simulator says each role may do, of all the actions that AWS has, is a list that a person can read."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.infra.places import EXAMPLES
from tests.infra.resolve import Resolver, policies_of

SIMULATOR = Path(__file__).parents[1] / "simulator"
LISTED = Path(__file__).with_name("allowed.txt")
ACCOUNT, REGION, OTHER = "444455556666", "us-east-1", "999999999999"
ROLES = {
    "tuner": "AccessTunerRole",
    "invoker": "AccessInvokerRole",
    "viewer": "AccessViewerRole",
    "job": "AmazonBedrockJobRole",
    "guard": "GuardRole",
    "schedules": "GuardSchedulerRole",
}
STAGE = {"aws:RequestTag/tunestack:stage": "prod", "aws:ResourceTag/tunestack:stage": "prod"}
ENDS = {"aws:RequestTag/tunestack:expires-at": "2026-11-23T12:00:00Z"}
FOREIGN = dict.fromkeys(STAGE, "dev")
TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
INTERFACE = {
    "aws:RequestTag/BedrockManaged": "true",
    "ec2:CreateAction": "CreateNetworkInterface",
}
OF_JOB = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-customization-job/amazon.nova-micro-v1/a"


def arn(service, rest, region=REGION, account=ACCOUNT):
    return f"arn:aws:{service}:{region}:{account}:{rest}"


def place(label, resource, context=None, *, owner=ACCOUNT, policy=None):
    service = resource.split(":")[2] if resource != "*" else None
    context = {"aws:ResourceAccount": owner, "aws:PrincipalAccount": ACCOUNT, **(context or {})}
    row = {"label": label, "resource": resource, "resourceAccount": owner, "context": context}
    return row | {"service": service, "resourcePolicy": policy}


def via(service):
    return {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}


def policy_of(resources, name):
    """The policy that a key or a bucket has itself."""
    properties = resources[name]["Properties"]
    if "KeyPolicy" in properties:
        return properties["KeyPolicy"]
    (found,) = [
        row["Properties"]["PolicyDocument"]
        for row in resources.values()
        if row["Type"] == "AWS::S3::BucketPolicy" and row["Properties"]["Bucket"] == name
    ]
    return found


def places(resources):
    """What may be asked for, the stage's and others', in the circumstances that conditions are about."""
    yield place("anything", "*", {**STAGE, **ENDS})
    yield from of_bedrock()
    yield from of_s3(resources)
    yield from of_kms(resources)
    yield from of_iam(resources)
    yield from of_ec2()
    yield from of_the_rest()


def of_bedrock():
    for label, name in (("Nova Micro", "nova-micro-v1:0:128k"), ("Nova Pro", "nova-pro-v1:0:300k")):
        yield place(label, arn("bedrock", f"foundation-model/amazon.{name}", account=""), STAGE)
    for label, name in (
        ("job", "model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"),
        ("model", "custom-model/amazon.nova-micro-v1:0:128k/abcdefghijkl"),
        ("deployment", "custom-model-deployment/abcdefghijkl"),
        ("throughput", "provisioned-model/abcdefghijkl"),
    ):
        yield place(f"{label} of the stage", arn("bedrock", name), {**STAGE, **ENDS})
        yield place(f"{label} of another stage", arn("bedrock", name), FOREIGN)
        yield place(f"{label} elsewhere", arn("bedrock", name, region="eu-west-1"), STAGE)
        yield place(f"{label} of others", arn("bedrock", name, account=OTHER), STAGE, owner=OTHER)
    model = arn("bedrock", "custom-model/amazon.nova-micro-v1:0:128k/abcdefghijkl")
    yield place("model of the stage, without an end", model, STAGE)
    yield place("agent", arn("bedrock", "agent/ABCDEFGHIJ"), STAGE)


def of_s3(resources):
    data, log = "DataBucketE6B0FAA8", "DataAccessLogF8C4FD7F"
    for label, key in (("dataset", "datasets"), ("output", "outputs"), ("other object", "more")):
        name = f"arn:aws:s3:::{data}/tunestack/{key}/a.jsonl"
        yield place(label, name, TLS, policy=policy_of(resources, data))
        yield place(
            f"{label}, without TLS",
            name,
            {"aws:SecureTransport": "false"},
            policy=policy_of(resources, data),
        )
        yield place(f"{label} in a bucket that others made", name, TLS, owner=OTHER)
    for label, prefix in (("outputs", "tunestack/outputs/a/"), ("datasets", "tunestack/datasets/")):
        listing = {**TLS, "s3:prefix": prefix}
        yield place(
            f"the bucket below {label}",
            f"arn:aws:s3:::{data}",
            listing,
            policy=policy_of(resources, data),
        )
    yield place(
        "the bucket",
        f"arn:aws:s3:::{data}",
        {**TLS, "s3:prefix": ""},
        policy=policy_of(resources, data),
    )
    yield place("access log", f"arn:aws:s3:::{log}/2026", TLS, policy=policy_of(resources, log))
    lent = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "s3:*",
                "Resource": [
                    "arn:aws:s3:::example-curated-data",
                    "arn:aws:s3:::example-curated-data/*",
                ],
            }
        ],
    }
    shared = "111122223333"
    for label, name in (("lent", "tickets"), ("more that is lent", "people")):
        curated = f"arn:aws:s3:::example-curated-data/{name}/a.jsonl"
        yield place(f"data {label}", curated, TLS, owner=shared, policy=lent)


def of_kms(resources):
    for label, key, service in (
        ("data key", "DataKey5F086070", "s3"),
        ("operations key", "OperationsKeyD0717C64", "sqs"),
        ("model key", "ModelKey797AAF76", "bedrock"),
    ):
        name = arn("kms", f"key/{key}")
        yield place(
            f"{label}, through {service}", name, via(service), policy=policy_of(resources, key)
        )
        yield place(f"{label}, through ec2", name, via("ec2"), policy=policy_of(resources, key))
        yield place(label, name, policy=policy_of(resources, key))


def of_iam(resources):
    for label, name in (
        ("job role", ROLES["job"]),
        ("schedules' role", ROLES["schedules"]),
        ("guard's role", ROLES["guard"]),
    ):
        (role,) = [each for each in resources if each[:-8] == name]
        for service in ("bedrock", "scheduler", "lambda"):
            passed = {"iam:PassedToService": f"{service}.amazonaws.com"}
            yield place(f"{label}, for {service}", f"arn:aws:iam::{ACCOUNT}:role/{role}", passed)


def of_ec2():
    subnet = arn("ec2", "subnet/subnet-0a1b2c3d4e5f60718")
    made = {**INTERFACE, "aws:RequestTag/BedrockModelCustomizationJobArn": OF_JOB}
    theirs = {"ec2:Subnet": subnet, "aws:ResourceTag/BedrockModelCustomizationJobArn": OF_JOB}
    interface = arn("ec2", "network-interface/eni-1")
    yield place("interface that a job makes", interface, made)
    yield place("interface that anybody makes", interface)
    yield place("interface of a job", interface, theirs)
    yield place("interface of others", interface, {"ec2:Subnet": subnet})
    yield place("subnet of the stage", subnet)
    yield place("other subnet", arn("ec2", "subnet/subnet-x"))
    yield place("security group of the stage", arn("ec2", "security-group/NetworkJobsEE1435FB"))
    yield place("other security group", arn("ec2", "security-group/sg-x"))


def of_the_rest():
    for label, group in (("schedule", "GuardSchedulesE7822186"), ("other schedule", "default")):
        yield place(label, arn("scheduler", f"schedule/{group}/x"))
    yield place("schedule group", arn("scheduler", "schedule-group/GuardSchedulesE7822186"))
    for label, name in (
        ("job events", "JobEventsQueueD1562793"),
        ("dead letters", "GuardDeadLetters4D72EFE5"),
        ("other queue", "x"),
    ):
        yield place(label, arn("sqs", name))
    for label, name in (("parameter", "prod"), ("another stage's parameter", "dev")):
        yield place(label, arn("ssm", f"parameter/tunestack/{name}/deployment"))
    for label, name in (("guard", "GuardFunction9CCE20FB"), ("other function", "x")):
        yield place(label, arn("lambda", f"function:{name}"))
    for label, name in (("guard's log", "GuardLog047B64CB"), ("other log", "x")):
        yield place(label, arn("logs", f"log-group:{name}:log-stream:x"))
    yield place("topic", arn("sns", "OperationsTopic6D6844EA"))


def simulated(question):
    subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=SIMULATOR, check=True)
    done = subprocess.run(
        ["node", "allowed.mjs"],
        cwd=SIMULATOR,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def read(found):
    """One line for each role and place."""
    return "".join(
        f"{role}, {label}: {' '.join(actions)}\n"
        for role, rows in found["allowed"].items()
        for label, actions in rows.items()
    )


@pytest.mark.campaign
def test_each_role_is_allowed_what_is_listed_and_nothing_else(synthesized):
    template = synthesized(EXAMPLES["three_stages"]["prod"]).to_json()
    resources = Resolver(template, account=ACCOUNT, region=REGION).resolved()
    granted = policies_of(resources)
    roles = {}
    for role, beginning in ROLES.items():
        (name,) = [each for each in granted if each[:-8] == beginning]
        document = {"Version": "2012-10-17", "Statement": granted[name]}
        principal = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        roles[role] = {"principal": principal, "identity": [document]}
    found = simulated({"roles": roles, "places": list(places(resources))})
    assert found["asked"] > 100_000
    assert LISTED.read_text() == read(found)

    # The control: what is granted beside is seen.
    beside = {"Effect": "Allow", "Action": "iam:Pass*", "Resource": "*"}
    document = roles["invoker"]["identity"][0]
    document["Statement"] = [*document["Statement"], beside]
    passing = [row for row in places(resources) if row["service"] == "iam"]
    found = simulated({"roles": {"invoker": roles["invoker"]}, "places": passing})
    assert len(passing) == read(found).count("iam:PassRole")
