"""The emulator refuses to create or delete the resources that AWS refuses, in requests and in stacks."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.stacks import deploy, find_statement, read_released, read_template, wait
from tunestack_cdk import Network, Stage

INVALID = (
    "description. Valid descriptions are strings less than 256 characters from the following set:  "
    "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
)
NETWORK = Stage(
    name="dev",
    regions=("us-east-1",),
    base_models=("nova-micro",),
    network=Network(
        vpc_id="vpc-0a1b2c3d4e5f60718",
        subnet_ids=("subnet-0a1b2c3d4e5f60718",),
        bedrock_endpoints=True,
    ),
    retain_data=False,
)


def read_error(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def build_rule(description):
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": description}]
    return [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": ranges}]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize("description", ["the team's jobs", "jobs \u2013 out", "x" * 256])
def test_invalid_description_of_a_rule_is_refused(session, direction, description):
    ec2 = session.client("ec2")
    group = ec2.create_security_group(GroupName="jobs", Description="jobs")["GroupId"]
    authorize = getattr(ec2, f"authorize_security_group_{direction}")
    error = read_error(authorize, GroupId=group, IpPermissions=build_rule(description))
    assert error == ("InvalidParameterValue", f"Invalid rule {INVALID}")
    authorize(GroupId=group, IpPermissions=build_rule("a-Z 0. _-:/()#,@[]+=&;{}!$*"))


def test_invalid_description_of_a_security_group_is_refused(session):
    create = session.client("ec2").create_security_group
    error = read_error(create, GroupName="jobs", Description="the team's jobs")
    assert error == ("InvalidParameterValue", f"Invalid security group {INVALID}")


def test_stage_with_a_network_is_created(session, synthesized):
    assert deploy(session, synthesized(NETWORK).to_json()) == ("CREATE_COMPLETE", [])


def test_stage_with_a_network_is_not_created_if_a_description_has_an_apostrophe(
    session, synthesized
):
    """The network of a stage once had such a description."""
    template = synthesized(NETWORK).to_json()
    for resource in template["Resources"].values():
        for rule in resource["Properties"].get("SecurityGroupIngress", ()):
            rule["Description"] = "Jobs, and everybody's resources with their security group"
    status, reasons = deploy(session, template)
    assert status == "ROLLBACK_COMPLETE"
    assert any(f"Invalid rule {INVALID}" in reason for reason in reasons)


def test_network_of_the_first_release_is_refused(session):
    status, reasons = deploy(session, read_released("prod"))
    assert status == "ROLLBACK_COMPLETE"
    assert any(f"Invalid rule {INVALID}" in reason for reason in reasons)


def build_bucket_template(*, is_versioned):
    versioning = {"VersioningConfiguration": {"Status": "Enabled"}} if is_versioned else {}
    properties = {"BucketName": "data", **versioning}
    return {"Resources": {"Data": {"Type": "AWS::S3::Bucket", "Properties": properties}}}


def delete_stack(session):
    client = session.client("cloudformation")
    (stack,) = client.describe_stacks(StackName="data")["Stacks"]
    client.delete_stack(StackName="data")
    return wait(client, stack["StackId"])


@pytest.mark.parametrize(
    ("is_versioned", "message"),
    [
        (False, "The bucket you tried to delete is not empty"),
        (
            True,
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
        ),
    ],
)
def test_bucket_that_contains_data_is_not_deleted(session, is_versioned, message):
    s3 = session.client("s3")
    template = build_bucket_template(is_versioned=is_versioned)
    assert deploy(session, template, "data") == ("CREATE_COMPLETE", [])
    version = s3.put_object(Bucket="data", Key="file", Body=b"content").get("VersionId")
    if is_versioned:
        s3.delete_object(Bucket="data", Key="file")
    assert read_error(s3.delete_bucket, Bucket="data") == ("BucketNotEmpty", message)
    status, reasons = delete_stack(session)
    assert status == "DELETE_FAILED"
    assert any(f'message: "{message} (Service: S3, Status Code: 409' in row for row in reasons)
    if is_versioned:
        assert s3.get_object(Bucket="data", Key="file", VersionId=version)["Body"].read()
        rows = s3.list_object_versions(Bucket="data")
        for row in [*rows["Versions"], *rows["DeleteMarkers"]]:
            s3.delete_object(Bucket="data", Key=row["Key"], VersionId=row["VersionId"])
    else:
        assert s3.get_object(Bucket="data", Key="file")["Body"].read() == b"content"
        s3.delete_object(Bucket="data", Key="file")
    assert delete_stack(session)[0] == "DELETE_COMPLETE"
    assert s3.list_buckets()["Buckets"] == []


LOG_ACTIONS = ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*"]


@pytest.mark.parametrize(
    ("actions", "log_group", "is_allowed"),
    [
        ([*LOG_ACTIONS, "kms:ReEncrypt*"], "jobs", True),
        ([*LOG_ACTIONS, "kms:ReEncrypt*"], "others", False),
        (LOG_ACTIONS, "jobs", False),
        ([*LOG_ACTIONS[:1], *LOG_ACTIONS[2:], "kms:ReEncrypt*"], "jobs", False),
        ([], "jobs", False),
    ],
)
def test_key_of_a_log_group_must_allow_cloudwatch_logs(session, actions, log_group, is_allowed):
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{log_group}"
    administrators = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    logs = {
        "Effect": "Allow",
        "Principal": {"Service": "logs.us-east-1.amazonaws.com"},
        "Action": actions,
        "Resource": "*",
        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": arn}},
    }
    statements = [administrators, logs] if actions else [administrators]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    key = session.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    create = session.client("logs").create_log_group
    if is_allowed:
        create(logGroupName="jobs", kmsKeyId=key)
    else:
        code, message = read_error(create, logGroupName="jobs", kmsKeyId=key)
        assert code == "AccessDeniedException"
        assert message == (
            "The specified KMS key does not exist or is not allowed to be used with Arn "
            "'arn:aws:logs:us-east-1:123456789012:log-group:jobs'"
        )


def test_stage_fails_if_its_key_does_not_allow_cloudwatch_logs_to_encrypt_again(session):
    """The key policy of the stage once lacked this action."""
    template = read_template()
    find_statement(template, "AllowLogsToEncrypt")["Action"].remove("kms:ReEncrypt*")
    status, reasons = deploy(session, template)
    assert status == "ROLLBACK_COMPLETE"
    assert any("The specified KMS key does not exist" in reason for reason in reasons)


def test_log_group_of_a_stack_keeps_its_name_in_an_update(session):
    properties = {"RetentionInDays": 1}
    template = {"Resources": {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}}
    assert deploy(session, template, "data") == ("CREATE_COMPLETE", [])
    logs, client = session.client("logs"), session.client("cloudformation")
    (before,) = logs.describe_log_groups()["logGroups"]
    assert before["logGroupName"].startswith("data-Log-")
    properties["RetentionInDays"] = 3
    client.update_stack(StackName="data", TemplateBody=json.dumps(template))
    assert wait(client, "data") == ("UPDATE_COMPLETE", [])
    (after,) = logs.describe_log_groups()["logGroups"]
    assert (after["logGroupName"], after["retentionInDays"]) == (before["logGroupName"], 3)
