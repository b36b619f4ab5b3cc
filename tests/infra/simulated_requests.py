"""The requests that the IAM simulator evaluates: resources of the stage and of others, in contexts that conditions compare."""

ACCOUNT, REGION, OTHER_ACCOUNT = "444455556666", "us-east-1", "999999999999"
ROLES = {
    "tuner": "AccessTunerRole",
    "invoker": "AccessInvokerRole",
    "viewer": "AccessViewerRole",
    "job": "AmazonBedrockJobRole",
    "guard": "GuardRole",
    "runs": "RunsRole",
    "evaluator": "RunEvaluatorRole",
    "starter": "RunSchedulesStarterRole",
    "schedules": "GuardSchedulerRole",
    "run schedules": "RunSchedulesRole",
}
STAGE_TAGS = {"aws:RequestTag/tunestack:stage": "prod", "aws:ResourceTag/tunestack:stage": "prod"}
OTHER_STAGE_TAGS = dict.fromkeys(STAGE_TAGS, "dev")
EXPIRY_TAG = {"aws:RequestTag/tunestack:expires-at": "2026-11-23T12:00:00Z"}
TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
INTERFACE = {
    "aws:RequestTag/BedrockManaged": "true",
    "ec2:CreateAction": "CreateNetworkInterface",
}
JOB_ARN = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-customization-job/amazon.nova-micro-v1/a"
DATA_BUCKET, LOG_BUCKET = "DataBucketE6B0FAA8", "DataAccessLogF8C4FD7F"


def build_requests(resources):
    """Build all requests; the labels appear in allowed.txt."""
    return [
        build_request("anything", "*", {**STAGE_TAGS, **EXPIRY_TAG}),
        *build_bedrock_requests(),
        *build_s3_requests(resources),
        *build_kms_requests(resources),
        *build_iam_requests(resources),
        *build_ec2_requests(),
        *build_other_requests(),
    ]


def build_arn(service, resource, region=REGION, account=ACCOUNT):
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def build_request(label, resource, context=None, *, owner=ACCOUNT, policy=None):
    """Build a request; `owner` is the account of the resource, `policy` its resource policy."""
    account_context = {"aws:ResourceAccount": owner, "aws:PrincipalAccount": ACCOUNT}
    return {
        "label": label,
        "resource": resource,
        "resourceAccount": owner,
        "context": account_context | (context or {}),
        "service": resource.split(":")[2] if resource != "*" else None,
        "resourcePolicy": policy,
    }


def get_resource_policy(resources, name):
    """Return the policy of a key or a bucket."""
    properties = resources[name]["Properties"]
    if "KeyPolicy" in properties:
        return properties["KeyPolicy"]
    (policy,) = [
        row["Properties"]["PolicyDocument"]
        for row in resources.values()
        if row["Type"] == "AWS::S3::BucketPolicy" and row["Properties"]["Bucket"] == name
    ]
    return policy


def build_bedrock_requests():
    for label, name in (("Nova Micro", "nova-micro-v1:0:128k"), ("Nova Pro", "nova-pro-v1:0:300k")):
        arn = build_arn("bedrock", f"foundation-model/amazon.{name}", account="")
        yield build_request(label, arn, STAGE_TAGS)
    for label, resource, region, account in (
        (
            "Nova Micro in another region",
            "foundation-model/amazon.nova-micro-v1:0",
            "us-east-2",
            "",
        ),
        ("another family", "foundation-model/anthropic.claude-v2", REGION, ""),
        ("profile of Nova Micro", "inference-profile/us.amazon.nova-micro-v1:0", REGION, ACCOUNT),
        ("profile of another family", "inference-profile/us.anthropic.claude-v2", REGION, ACCOUNT),
    ):
        yield build_request(label, build_arn("bedrock", resource, region, account), STAGE_TAGS)
    for label, name in (
        ("job", "model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"),
        ("model", "custom-model/amazon.nova-micro-v1:0:128k/abcdefghijkl"),
        ("deployment", "custom-model-deployment/abcdefghijkl"),
        ("throughput", "provisioned-model/abcdefghijkl"),
    ):
        arn = build_arn("bedrock", name)
        yield build_request(f"{label} of the stage", arn, {**STAGE_TAGS, **EXPIRY_TAG})
        yield build_request(f"{label} of another stage", arn, OTHER_STAGE_TAGS)
        elsewhere = build_arn("bedrock", name, region="eu-west-1")
        yield build_request(f"{label} in another region", elsewhere, STAGE_TAGS)
        foreign = build_arn("bedrock", name, account=OTHER_ACCOUNT)
        yield build_request(f"{label} of another account", foreign, STAGE_TAGS, owner=OTHER_ACCOUNT)
    model = build_arn("bedrock", "custom-model/amazon.nova-micro-v1:0:128k/abcdefghijkl")
    yield build_request("model of the stage, without an expiry", model, STAGE_TAGS)
    yield build_request("agent", build_arn("bedrock", "agent/ABCDEFGHIJ"), STAGE_TAGS)


def build_s3_requests(resources):
    policy = get_resource_policy(resources, DATA_BUCKET)
    for label, key in (
        ("dataset", "datasets"),
        ("output", "outputs"),
        ("evaluation", "outputs/evaluations"),
        ("file of a run", "datasets/runs"),
        ("other object", "more"),
    ):
        arn = f"arn:aws:s3:::{DATA_BUCKET}/tunestack/{key}/a.jsonl"
        yield build_request(label, arn, TLS, policy=policy)
        yield build_request(
            f"{label}, without TLS", arn, {"aws:SecureTransport": "false"}, policy=policy
        )
        yield build_request(f"{label}, bucket of another account", arn, TLS, owner=OTHER_ACCOUNT)
    for label, prefix in (
        ("bucket, prefix outputs", "tunestack/outputs/a/"),
        ("bucket, prefix datasets", "tunestack/datasets/"),
        ("bucket", ""),
    ):
        yield build_request(
            label, f"arn:aws:s3:::{DATA_BUCKET}", {**TLS, "s3:prefix": prefix}, policy=policy
        )
    log = f"arn:aws:s3:::{LOG_BUCKET}/2026"
    log_policy = get_resource_policy(resources, LOG_BUCKET)
    yield build_request("access log", log, TLS, policy=log_policy)
    yield from build_extra_location_requests()


def build_extra_location_requests():
    bucket = "arn:aws:s3:::example-curated-data"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "s3:*",
                "Resource": [bucket, f"{bucket}/*"],
            }
        ],
    }
    for label, prefix in (("extra location", "tickets"), ("next to the extra location", "people")):
        arn = f"{bucket}/{prefix}/a.jsonl"
        yield build_request(f"object, {label}", arn, TLS, owner="111122223333", policy=policy)


def build_kms_requests(resources):
    for label, key, service in (
        ("data key", "DataKey5F086070", "s3"),
        ("operations key", "OperationsKeyD0717C64", "sqs"),
        ("model key", "ModelKey797AAF76", "bedrock"),
    ):
        arn, policy = build_arn("kms", f"key/{key}"), get_resource_policy(resources, key)
        for caller in (service, "ec2"):
            via_service = {"kms:ViaService": f"{caller}.{REGION}.amazonaws.com"}
            yield build_request(f"{label}, via {caller}", arn, via_service, policy=policy)
        yield build_request(label, arn, policy=policy)


def build_iam_requests(resources):
    for label, prefix in (
        ("job role", ROLES["job"]),
        ("schedules' role", ROLES["schedules"]),
        ("guard's role", ROLES["guard"]),
        ("runs' role", ROLES["runs"]),
    ):
        (role,) = [name for name in resources if name[:-8] == prefix]
        for service in ("bedrock", "scheduler", "lambda"):
            passed = {"iam:PassedToService": f"{service}.amazonaws.com"}
            arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
            yield build_request(f"{label}, passed to {service}", arn, passed)


def build_ec2_requests():
    subnet = build_arn("ec2", "subnet/subnet-0a1b2c3d4e5f60718")
    created = {**INTERFACE, "aws:RequestTag/BedrockModelCustomizationJobArn": JOB_ARN}
    tagged = {"ec2:Subnet": subnet, "aws:ResourceTag/BedrockModelCustomizationJobArn": JOB_ARN}
    interface = build_arn("ec2", "network-interface/eni-1")
    group = build_arn("ec2", "security-group/NetworkJobsEE1435FB")
    yield build_request("interface that a job creates", interface, created)
    yield build_request("interface without tags", interface)
    yield build_request("interface of a job", interface, tagged)
    yield build_request("interface of another resource", interface, {"ec2:Subnet": subnet})
    yield build_request("subnet of the stage", subnet)
    yield build_request("other subnet", build_arn("ec2", "subnet/subnet-x"))
    yield build_request("security group of the stage", group)
    yield build_request("other security group", build_arn("ec2", "security-group/sg-x"))


def build_other_requests():
    for label, service, resource in (
        ("schedule", "scheduler", "schedule/GuardSchedulesE7822186/x"),
        ("other schedule", "scheduler", "schedule/default/x"),
        ("schedule group", "scheduler", "schedule-group/GuardSchedulesE7822186"),
        ("job events", "sqs", "JobEventsQueueD1562793"),
        ("dead letters", "sqs", "GuardDeadLetters4D72EFE5"),
        ("starts' dead letters", "sqs", "RunSchedulesDeadLetters67191A0A"),
        ("other queue", "sqs", "x"),
        ("parameter", "ssm", "parameter/tunestack/prod/deployment"),
        ("parameter of another stage", "ssm", "parameter/tunestack/dev/deployment"),
        ("guard", "lambda", "function:GuardFunction9CCE20FB"),
        ("evaluator", "lambda", "function:RunEvaluatorFunction6A6542D0"),
        ("starter", "lambda", "function:RunSchedulesStarterFunction310E0338"),
        ("other function", "lambda", "function:x"),
        ("guard's log", "logs", "log-group:GuardLog047B64CB:log-stream:x"),
        ("evaluator's log", "logs", "log-group:RunEvaluatorLog766AEDAA:log-stream:x"),
        ("starter's log", "logs", "log-group:RunSchedulesStarterLog78CEE2F0:log-stream:x"),
        ("other log", "logs", "log-group:x:log-stream:x"),
        ("topic", "sns", "OperationsTopic6D6844EA"),
        ("runs' log", "logs", "log-group:RunsLog1FAEFF39:log-stream:x"),
        ("state machine", "states", "stateMachine:tunestack-prod"),
        ("state machine of another stage", "states", "stateMachine:tunestack-dev"),
        ("run", "states", "execution:tunestack-prod:x"),
        ("run of another stage", "states", "execution:tunestack-dev:x"),
        ("job of a run", "states", "execution:tunestack-prod/Jobs:x"),
        ("map of a run", "states", "mapRun:tunestack-prod/Jobs:x"),
        ("map of a run of another stage", "states", "mapRun:tunestack-dev/Jobs:x"),
    ):
        yield build_request(label, build_arn(service, resource))
