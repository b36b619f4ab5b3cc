"""Resolve the references of a template to the values that they have once deployed. An unknown reference is an error."""

import ipaddress
from typing import Any

ARNS = {
    "AWS::IAM::ManagedPolicy": "arn:{partition}:iam::{account}:policy/{id}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{id}",
    "AWS::KMS::Key": "arn:{partition}:kms:{region}:{account}:key/{id}",
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{id}",
    "AWS::Logs::LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{id}:*",
    "AWS::S3::Bucket": "arn:{partition}:s3:::{id}",
    "AWS::SNS::Topic": "arn:{partition}:sns:{region}:{account}:{id}",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{region}:{account}:{id}",
    "AWS::Events::Rule": "arn:{partition}:events:{region}:{account}:rule/{id}",
    "AWS::CloudWatch::Alarm": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{id}",
}
REF_IS_ARN = {"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic"}
"""Resource types for which `Ref` returns the ARN."""
URL_SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}


class UnknownReferenceError(Exception):
    """Raised for a reference that the resolver does not support."""


class Resolver:
    """Resolves one template for an account and region."""

    def __init__(self, template, *, account="111122223333", region="us-east-1", partition="aws"):
        self.arn_parts = {"account": account, "region": region, "partition": partition}
        self.resources = template["Resources"]
        self.parameters = template.get("Parameters", {})

    def resolve(self):
        """Return all resources by logical ID, without their metadata."""
        return {
            name: self.resolve_value({key: part for key, part in row.items() if key != "Metadata"})
            for name, row in self.resources.items()
        }

    def resolve_value(self, value):
        match value:
            case {"Ref": name} if len(value) == 1:
                return self._resolve_ref(name)
            case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
                ((function, arguments),) = value.items()
                return self._resolve_function(function, arguments)
            case dict():
                return {key: self.resolve_value(part) for key, part in value.items()}
            case list():
                return [self.resolve_value(part) for part in value]
        return value

    def _resolve_function(self, function, arguments):
        if function == "Fn::Join":
            return arguments[0].join(map(str, self.resolve_value(arguments[1])))
        if function == "Fn::GetAtt":
            return self._get_attribute(*arguments)
        if function == "Fn::Select":
            return self.resolve_value(arguments[1])[int(arguments[0])]
        if function == "Fn::Cidr":
            block, count, bits = self.resolve_value(arguments)
            networks = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
            return [str(next(networks)) for _ in range(int(count))]
        raise UnknownReferenceError(function)

    def _resolve_ref(self, name):
        pseudo_parameters = {
            "AWS::AccountId": self.arn_parts["account"],
            "AWS::Partition": self.arn_parts["partition"],
            "AWS::Region": self.arn_parts["region"],
            "AWS::StackName": "STACK",
            "AWS::URLSuffix": URL_SUFFIXES[self.arn_parts["partition"]],
        }
        if name in pseudo_parameters:
            return pseudo_parameters[name]
        if name in self.parameters:
            return self.parameters[name]["Default"]
        kind = self.resources[name]["Type"]
        return self._get_attribute(name, "Arn") if kind in REF_IS_ARN else name

    def _get_attribute(self, name, attribute):
        kind = self.resources[name]["Type"]
        if attribute in ("Arn", "TopicArn") and kind in ARNS:
            return ARNS[kind].format(id=name, **self.arn_parts)
        if attribute in ("QueueName", "GroupId"):
            return name
        raise UnknownReferenceError(f"{kind} {attribute}")


def as_list(value):
    return value if isinstance(value, list) else [value]


def get_statements(document):
    """Return the statements of a policy document, with lists even where IAM accepts a single value."""
    if document["Version"] != "2012-10-17":
        raise ValueError(f"unsupported policy version {document['Version']}")
    return [
        {
            **row,
            **{key: as_list(row[key]) for key in ("Action", "Resource") if key in row},
            "Condition": row.get("Condition", {}),
        }
        for row in as_list(document["Statement"])
    ]


def collect_policies(resources):
    """Return the statements of every role, and of every policy that is attached to no role, by logical ID."""
    policies: dict[str, list[dict[str, Any]]] = {}
    attached: dict[str, list[dict[str, Any]]] = {}
    for name, row in resources.items():
        if row["Type"] != "AWS::IAM::ManagedPolicy":
            continue
        statements = get_statements(row["Properties"]["PolicyDocument"])
        roles = row["Properties"].get("Roles", [])
        for role in roles:
            attached.setdefault(role, []).extend(statements)
        if not roles:
            policies[name] = statements
    for name, row in resources.items():
        if row["Type"] == "AWS::IAM::Role":
            properties = row["Properties"]
            inline = [
                statement
                for policy in properties.get("Policies", [])
                for statement in get_statements(policy["PolicyDocument"])
            ]
            managed = [
                statement
                for arn in properties.get("ManagedPolicyArns", [])
                for statement in get_policy_statements(resources, arn)
            ]
            policies[name] = attached.get(name, []) + inline + managed
    return policies


def get_policy_statements(resources, arn):
    name = arn.rsplit("/", 1)[-1]
    if name not in resources:
        raise UnknownReferenceError(f"policy {arn}")
    return get_statements(resources[name]["Properties"]["PolicyDocument"])


def collect_trust_policies(resources):
    """Return the statements of the trust policy of every role, by logical ID."""
    return {
        name: get_statements(row["Properties"]["AssumeRolePolicyDocument"])
        for name, row in resources.items()
        if row["Type"] == "AWS::IAM::Role"
    }
