"""A template as it would be deployed: every reference replaced by what it stands for. What is not understood is an error."""

import ipaddress

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
BY_ARN = {"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic"}
"""What `Ref` gives the ARN of."""
SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}


class UnknownReferenceError(Exception):
    """A reference that the resolver does not know."""


class Resolver:
    """Resolves one template, in an account and region."""

    def __init__(self, template, *, account="111122223333", region="us-east-1", partition="aws"):
        self.place = {"account": account, "region": region, "partition": partition}
        self.resources = template["Resources"]
        self.parameters = template.get("Parameters", {})
        self.template = template

    def resolved(self):
        """Resolve all resources whose conditions hold, without what only tools read."""
        return {
            name: self.value({key: part for key, part in row.items() if key != "Metadata"})
            for name, row in self.resources.items()
        }

    def value(self, value):
        match value:
            case {"Ref": name} if len(value) == 1:
                return self._ref(name)
            case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
                return self._call(*value.items())
            case dict():
                return {key: self.value(part) for key, part in value.items()}
            case list():
                return [self.value(part) for part in value]
        return value

    def _call(self, call):
        function, arguments = call
        if function == "Fn::Join":
            return arguments[0].join(map(str, self.value(arguments[1])))
        if function == "Fn::GetAtt":
            return self._attribute(*arguments)
        if function == "Fn::Select":
            return self.value(arguments[1])[int(arguments[0])]
        if function == "Fn::Cidr":
            block, count, bits = self.value(arguments)
            networks = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
            return [str(next(networks)) for _ in range(int(count))]
        raise UnknownReferenceError(function)

    def _ref(self, name):
        pseudo = {
            "AWS::AccountId": self.place["account"],
            "AWS::Partition": self.place["partition"],
            "AWS::Region": self.place["region"],
            "AWS::StackName": "STACK",
            "AWS::URLSuffix": SUFFIXES[self.place["partition"]],
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]["Default"]
        kind = self.resources[name]["Type"]
        return self._attribute(name, "Arn") if kind in BY_ARN else name

    def _attribute(self, name, attribute):
        kind = self.resources[name]["Type"]
        if attribute in ("Arn", "TopicArn") and kind in ARNS:
            return ARNS[kind].format(id=name, **self.place)
        if attribute in ("QueueName", "GroupId"):
            return name
        raise UnknownReferenceError(f"{kind} {attribute}")


def statements(document):
    """The statements of a policy document, with lists where IAM lets one item stand alone."""
    if document["Version"] != "2012-10-17":
        raise ValueError("the older policy language has no variables")
    rows = document["Statement"]
    return [
        {
            **row,
            **{key: aslist(row[key]) for key in ("Action", "Resource") if key in row},
            "Condition": row.get("Condition", {}),
        }
        for row in (rows if isinstance(rows, list) else [rows])
    ]


def aslist(value):
    return value if isinstance(value, list) else [value]


def policies_of(resources):
    """The statements of every role and of every policy that people attach, by logical id."""
    found = {}
    attached = {}
    for name, row in resources.items():
        if row["Type"] != "AWS::IAM::ManagedPolicy":
            continue
        rows = statements(row["Properties"]["PolicyDocument"])
        roles = row["Properties"].get("Roles", [])
        for role in roles:
            attached.setdefault(role, []).extend(rows)
        if not roles:
            found[name] = rows
    for name, row in resources.items():
        if row["Type"] == "AWS::IAM::Role":
            properties = row["Properties"]
            inline = [
                statement
                for policy in properties.get("Policies", [])
                for statement in statements(policy["PolicyDocument"])
            ]
            by_arn = [
                statement
                for arn in properties.get("ManagedPolicyArns", [])
                for statement in found_by_arn(resources, arn)
            ]
            found[name] = attached.get(name, []) + inline + by_arn
    return found


def found_by_arn(resources, arn):
    name = arn.rsplit("/", 1)[-1]
    if name not in resources:
        raise UnknownReferenceError(f"policy {arn}")
    return statements(resources[name]["Properties"]["PolicyDocument"])


def trusts_of(resources):
    """Who may take on each role."""
    return {
        name: statements(row["Properties"]["AssumeRolePolicyDocument"])
        for name, row in resources.items()
        if row["Type"] == "AWS::IAM::Role"
    }
