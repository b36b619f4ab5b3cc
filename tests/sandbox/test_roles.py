"""Jobs with the deployed role succeed, and jobs with an invalid role fail with AWS's message."""

import copy
import json
from contextlib import suppress
from typing import Any

import boto3
import pytest

from tests.sandbox.samples import A_JOB, LLAMA

NOT_ASSUMED = "Could not assume provided IAM role."
NOT_READ = "Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key tunestack/datasets/rows.jsonl"
NOT_WRITTEN = "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions to access S3 bucket: {bucket} at key tunestack/outputs/model-customization-job-"


@pytest.fixture
def role(sandbox):
    """Return a function that changes the trust policy or policy of the job's role, and restore both afterwards."""
    iam = boto3.client("iam")
    name = sandbox.deployment().job_role_arn.rsplit("/", 1)[1]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    arn = attached["PolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    def write(trust, policy):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.put_role_policy(RoleName=name, PolicyName="Data", PolicyDocument=json.dumps(policy))

    def change(part, alter):
        documents: dict[str, Any] = copy.deepcopy({"trust": trust, "policy": policy})
        alter(documents[part]["Statement"])
        write(**documents)

    yield change
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    with suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role_policy(RoleName=name, PolicyName="Data")


def trust_service(statements):
    statements[0]["Principal"] = {"Service": "sagemaker.amazonaws.com"}


def trust_source_account(statements):
    statements[0]["Condition"]["StringEquals"]["aws:SourceAccount"] = "111111111111"


def trust_source_arn(statements):
    statements[0]["Condition"]["ArnEquals"]["aws:SourceArn"] = (
        "arn:aws:bedrock:us-east-1:123456789012:model-evaluation-job/*"
    )


def without(action):
    def alter(statements):
        for statement in statements:
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            statement["Action"] = [other for other in actions if other != action] or [
                "s3:GetBucketTagging"
            ]

    return alter


def prefix(statements):
    (listing,) = [row for row in statements if row["Action"] == "s3:ListBucket"]
    listing["Condition"]["StringLike"]["s3:prefix"] = ["elsewhere/*"]


def wrong_region(statements):
    """Change the region of a role to another one."""
    (key,) = [row for row in statements if row["Sid"] == "UseKeyThroughS3"]
    key["Condition"]["StringEquals"]["kms:ViaService"] = "s3.us-west-2.amazonaws.com"


BROKEN = [
    ("trust", trust_service, NOT_ASSUMED),
    ("trust", trust_source_account, NOT_ASSUMED),
    ("trust", trust_source_arn, NOT_ASSUMED),
    ("policy", without("s3:GetObject"), NOT_READ),
    ("policy", without("s3:ListBucket"), NOT_READ),
    ("policy", prefix, NOT_READ),
    ("policy", without("s3:PutObject"), NOT_WRITTEN),
    ("policy", without("kms:Decrypt"), NOT_READ),
    ("policy", without("kms:GenerateDataKey"), NOT_WRITTEN),
    ("policy", wrong_region, NOT_READ),
]
NAMES = [
    "trust service",
    "trust source account",
    "trust source ARN",
    "GetObject",
    "ListBucket",
    "prefix",
    "PutObject",
    "Decrypt",
    "GenerateDataKey",
    "wrong region",
]


def ended(sandbox, bedrock, arn):
    sandbox.clock.advance(A_JOB)
    return bedrock.get_model_customization_job(jobIdentifier=arn)


def test_a_job_with_the_deployed_role_succeeds(sandbox, bedrock, create, role):
    assert ended(sandbox, bedrock, create())["status"] == "Completed"


@pytest.mark.parametrize(("part", "alter", "message"), BROKEN, ids=NAMES)
def test_a_job_with_an_invalid_role_fails_with_the_message_of_aws(
    sandbox, bedrock, create, role, part, alter, message
):
    """Change the role after the job was created, which is possible on AWS while a job waits."""
    arn = create()
    role(part, alter)
    job = ended(sandbox, bedrock, arn)
    assert job["status"] == "Failed"
    expected = message.format(bucket=sandbox.deployment().data_bucket)
    assert job["failureMessage"].startswith(expected)
    assert "outputModelArn" not in job
    assert bedrock.list_custom_models()["modelSummaries"] == []
    # The cause that AWS omits is in a header and in the state.
    why = job["ResponseMetadata"]["HTTPHeaders"]["x-tunestack-sandbox"]
    (dumped,) = [job for region in sandbox.state()["regions"] for job in region["jobs"]]
    assert why == dumped["why"]


@pytest.mark.parametrize(("part", "alter", "message"), BROKEN[:3], ids=NAMES[:3])
def test_a_role_that_does_not_trust_bedrock_is_rejected_at_create(
    bedrock, job_request, refused, role, part, alter, message
):
    role(part, alter)
    assert refused(bedrock.create_model_customization_job, **job_request()) == (
        "ValidationException",
        400,
    )
    assert bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []


@pytest.mark.parametrize(
    ("alter", "action"),
    [
        (without("s3:ListBucket"), "s3:ListBucket"),
        (without("kms:Decrypt"), "kms:Decrypt"),
        (without("s3:PutObject"), "s3:PutObject"),
        (without("kms:GenerateDataKey"), "kms:GenerateDataKey"),
    ],
)
def test_a_missing_permission_is_returned_with_the_message_of_aws(
    sandbox, bedrock, create, role, alter, action
):
    arn = create()
    role("policy", alter)
    job = ended(sandbox, bedrock, arn)
    assert (
        f"because no identity-based policy allows the {action} action"
        in (job["ResponseMetadata"]["HTTPHeaders"]["x-tunestack-sandbox"])
    )


def test_data_in_another_region_cannot_be_read(sandbox, bedrock, create, upload):
    west = upload([{"prompt": "a", "completion": "b"}], region="us-west-2")
    job = ended(sandbox, bedrock, create(trainingDataConfig={"s3Uri": west}))
    assert job["failureMessage"].startswith("Could not validate GetObject permissions")
    assert (
        "is in us-west-2, the job in us-east-1"
        in (job["ResponseMetadata"]["HTTPHeaders"]["x-tunestack-sandbox"])
    )


def test_a_role_cannot_be_used_in_another_region(sandbox, job_request, refused):
    """Its trust policy allows only jobs of its own region."""
    west = boto3.client("bedrock", "us-west-2")
    request = job_request(
        region="us-west-2",
        base=LLAMA,
        roleArn=sandbox.deployment("us-east-1").job_role_arn,
    )
    assert refused(west.create_model_customization_job, **request) == ("ValidationException", 400)


def test_a_bucket_policy_and_a_boundary_limit_the_role(sandbox, bedrock, create, role):
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    deployment = sandbox.deployment()
    name = deployment.job_role_arn.rsplit("/", 1)[1]
    boundary = iam.create_policy(
        PolicyName="no-reading",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:Put*", "Resource": "*"}],
            }
        ),
    )["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    try:
        job = ended(sandbox, bedrock, create("bounded"))
        assert (
            "because no permissions boundary allows"
            in (job["ResponseMetadata"]["HTTPHeaders"]["x-tunestack-sandbox"])
        )
    finally:
        iam.delete_role_permissions_boundary(RoleName=name)
    before = s3.get_bucket_policy(Bucket=deployment.data_bucket)["Policy"]
    policy = json.loads(before)
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{deployment.data_bucket}/*",
        }
    )
    s3.put_bucket_policy(Bucket=deployment.data_bucket, Policy=json.dumps(policy))
    try:
        job = ended(sandbox, bedrock, create("denied"))
        assert (
            "with an explicit deny in a resource-based policy"
            in (job["ResponseMetadata"]["HTTPHeaders"]["x-tunestack-sandbox"])
        )
    finally:
        s3.put_bucket_policy(Bucket=deployment.data_bucket, Policy=before)
