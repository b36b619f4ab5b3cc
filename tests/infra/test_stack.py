"""What the stack protects, by intent: the emulator does not apply all of it."""

import json

import pytest
from aws_cdk.assertions import Match

from infra.stages import Stage

BUCKET = {"Fn::GetAtt": ["DataBucketE6B0FAA8", "Arn"]}
ACCOUNT = {"Ref": "AWS::AccountId"}


@pytest.fixture(scope="module")
def retained(synthesized):
    return synthesized(Stage(name="prod", regions=("us-east-1",), base_models=("nova-micro",)))


def only(template, kind):
    (resource,) = template.find_resources(kind).values()
    return resource


def test_the_ids_of_what_holds_data_never_change(template):
    """Another logical id is another bucket: the data would be left behind, or lost."""
    stateful = ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SSM::Parameter")
    assert ["DataBucketE6B0FAA8", "DataKey5F086070", "Deployment37BBD5E4"] == [
        name for kind in stateful for name in template.find_resources(kind)
    ]


def test_the_bucket_is_private_encrypted_and_versioned(template):
    template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": {"Fn::GetAtt": ["DataKey5F086070", "Arn"]},
                        },
                    }
                ]
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "VersioningConfiguration": {"Status": "Enabled"},
        },
    )
    template.has_resource_properties("AWS::KMS::Key", {"EnableKeyRotation": True})


def test_what_killed_uploads_leave_is_removed_after_a_day(template):
    rules = only(template, "AWS::S3::Bucket")["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {"DaysAfterInitiation": 1} == rules[0]["AbortIncompleteMultipartUpload"]
    assert "ExpirationInDays" not in json.dumps(rules), "current data never expires"


def test_plain_http_and_old_tls_are_refused(template):
    statements = only(template, "AWS::S3::BucketPolicy")["Properties"]["PolicyDocument"][
        "Statement"
    ]
    conditions = [row["Condition"] for row in statements if row["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions
    assert all("Deny" == row["Effect"] for row in statements)


def test_only_own_jobs_of_bedrock_take_on_the_job_role(template):
    trust = only(template, "AWS::IAM::Role")["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert {"Service": "bedrock.amazonaws.com"} == statement["Principal"]
    assert {"aws:SourceAccount": ACCOUNT} == statement["Condition"]["StringEquals"]
    source = json.dumps(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert ":model-customization-job/*" in source
    assert "AWS::AccountId" in source
    assert "AWS::Region" in source


def test_the_job_role_may_do_what_aws_documents_and_no_more(template):
    (policy,) = only(template, "AWS::IAM::Role")["Properties"]["Policies"]
    rights = {row["Sid"]: row for row in policy["PolicyDocument"]["Statement"]}
    assert {
        "ListData": "s3:ListBucket",
        "ReadData": "s3:GetObject",
        "WriteOutput": "s3:PutObject",
        "UseKeyThroughS3": ["kms:Decrypt", "kms:GenerateDataKey"],
    } == {sid: row["Action"] for sid, row in rights.items()}

    def below(prefix):
        return {"Fn::Join": ["", [BUCKET, f"/tunestack/{prefix}/*"]]}

    assert BUCKET == rights["ListData"]["Resource"]
    assert [below("datasets"), below("outputs")] == rights["ReadData"]["Resource"]
    assert below("outputs") == rights["WriteOutput"]["Resource"]
    prefixes = rights["ListData"]["Condition"]["StringLike"]["s3:prefix"]
    assert ["tunestack/datasets/*", "tunestack/outputs/*"] == prefixes
    for sid in ("ListData", "ReadData", "WriteOutput"):
        assert {"aws:ResourceAccount": ACCOUNT} == rights[sid]["Condition"]["StringEquals"]
    assert "kms:ViaService" in rights["UseKeyThroughS3"]["Condition"]["StringEquals"]


def test_the_name_of_the_job_role_begins_so_that_bedrocks_own_policy_may_pass_it(template):
    # CloudFormation cuts long names: what must survive stands first in the logical id.
    (name,) = template.find_resources("AWS::IAM::Role")
    assert name.startswith("AmazonBedrock")


def test_data_outlives_the_stack_unless_the_stage_says_otherwise(template, retained):
    for kind in ("AWS::S3::Bucket", "AWS::KMS::Key"):
        for field in ("DeletionPolicy", "UpdateReplacePolicy"):
            assert "Retain" == only(retained, kind)[field]
            assert "Delete" == only(template, kind)[field]


def test_there_are_no_custom_resources_and_no_names_that_could_collide(template):
    kinds = {row["Type"] for row in template.to_json()["Resources"].values()}
    assert {
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SSM::Parameter",
    } == kinds
    template.has_resource_properties("AWS::S3::Bucket", {"BucketName": Match.absent()})
    template.has_resource_properties("AWS::IAM::Role", {"RoleName": Match.absent()})


def test_no_account_is_written_into_a_permission(template, synthesized):
    """The pseudo parameters are: the same statements are right in any account."""
    assert "123456789012" not in json.dumps(template.to_json())
    with_account = Stage(
        name="dev",
        regions=("us-east-1",),
        base_models=("nova-micro",),
        account="111122223333",
    )
    resources = synthesized(with_account).to_json()["Resources"].values()
    for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
        (resource,) = (row for row in resources if row["Type"] == kind)
        assert "111122223333" not in json.dumps(resource)


@pytest.mark.parametrize(
    ("region", "models"),
    [("us-east-1", {"nova-micro"}), ("us-west-2", {"llama-3-1-8b"})],
)
def test_each_region_allows_the_models_that_are_tuned_there(region, models):
    stage = Stage(
        name="two",
        regions=("us-east-1", "us-west-2"),
        base_models=("nova-micro", "llama-3-1-8b"),
    )
    assert models == set(stage.base_models_in(region))
