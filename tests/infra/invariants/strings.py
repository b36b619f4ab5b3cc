"""Documented lengths and character sets of strings that CloudFormation passes to the services without a check."""

import re

# EC2 API reference, CreateSecurityGroup and IpRange.
EC2_DESCRIPTION = r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}"
# IAM API reference, CreateRole (roleDescriptionType).
IAM_ROLE_DESCRIPTION = r"[\t\n\r\x20-\x7e\xa1-\xff]{0,1000}"
# Sources: the service models of botocore 1.43 (Budgets, CloudWatch, Events, IAM, KMS, Lambda, SSM), the user guide of
# CloudFormation (Lambda's inline code), IAM (Sid), S3 (ids of lifecycle rules) and SNS (display names). A list in a path
# stands for each of its items.
LIMITS = {
    ("AWS::Budgets::Budget", "Budget.BudgetName"): r"[^:\\]{1,100}",
    ("AWS::CloudWatch::Alarm", "AlarmDescription"): r".{0,1024}",
    ("AWS::EC2::SecurityGroup", "GroupDescription"): EC2_DESCRIPTION,
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress.Description"): EC2_DESCRIPTION,
    ("AWS::EC2::SecurityGroup", "SecurityGroupIngress.Description"): EC2_DESCRIPTION,
    ("AWS::Events::Rule", "Description"): r".{0,512}",
    ("AWS::Events::Rule", "Targets.Id"): r"[.\-_A-Za-z0-9]{1,64}",
    ("AWS::IAM::ManagedPolicy", "Description"): r".{0,1000}",
    ("AWS::IAM::ManagedPolicy", "PolicyDocument.Statement.Sid"): r"[A-Za-z0-9]*",
    ("AWS::IAM::Role", "Description"): IAM_ROLE_DESCRIPTION,
    ("AWS::IAM::Role", "AssumeRolePolicyDocument.Statement.Sid"): r"[A-Za-z0-9]*",
    ("AWS::KMS::Key", "Description"): r".{0,8192}",
    ("AWS::KMS::Key", "KeyPolicy.Statement.Sid"): r"[A-Za-z0-9]*",
    ("AWS::Lambda::Function", "Code.ZipFile"): r"(?s).{1,4194304}",
    ("AWS::Lambda::Function", "Description"): r".{0,256}",
    ("AWS::S3::Bucket", "LifecycleConfiguration.Rules.Id"): r".{0,255}",
    ("AWS::SNS::Topic", "DisplayName"): r".{0,100}",
    ("AWS::SNS::TopicPolicy", "PolicyDocument.Statement.Sid"): r"[A-Za-z0-9]*",
    ("AWS::SQS::QueuePolicy", "PolicyDocument.Statement.Sid"): r"[A-Za-z0-9]*",
    ("AWS::SSM::Parameter", "Description"): r".{0,1024}",
    ("AWS::SSM::Parameter", "Value"): r"(?s).{1,4096}",
}
TAG_KEY = r"(?!aws:)[\w\s.:/=+@\-]{1,128}"
TAG_VALUE = r"[\w\s.:/=+@\-]{0,256}"
"""The characters that all services accept in tags (tagging user guide)."""


def find_invalid_strings(resources):
    """Return the strings of a resolved template that the services would refuse."""
    return [
        f"{name}: {path} {value!r}"
        for name, resource in resources.items()
        for path, pattern, value in find_strings(resource["Type"], resource.get("Properties", {}))
        if not re.fullmatch(pattern, value)
    ]


def find_strings(resource_type, properties):
    """Yield the path, pattern and value of each string with a limit."""
    for (limited_type, path), pattern in LIMITS.items():
        if resource_type == limited_type:
            for value in find_values(properties, path.split(".")):
                yield path, pattern, value
    tags = properties.get("Tags", [])
    for tag in tags if isinstance(tags, list) else []:
        yield "Tags.Key", TAG_KEY, tag["Key"]
        yield "Tags.Value", TAG_VALUE, tag["Value"]


def find_values(value, path):
    """Yield the strings at a path."""
    if isinstance(value, list):
        for item in value:
            yield from find_values(item, path)
    elif not path:
        yield str(value)
    elif isinstance(value, dict) and path[0] in value:
        yield from find_values(value[path[0]], path[1:])
