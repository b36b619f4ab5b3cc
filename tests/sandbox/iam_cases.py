"""Random requests and policies like those of the stack and its users, reproducible by seed."""

import random
from typing import Any

ACCOUNT, OTHER = "123456789012", "210987654321"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/tuner"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/tuner/laptop"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
BEDROCK = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"
NOVA = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k"

# Action, its resources, resource patterns for policies, and condition keys with values.
PREFIXES = ["data/", "data/rows.jsonl", "other/", "data"]
TAGS = {"aws:RequestTag/tunestack:expires-at": ["2026-11-23T00:00:00Z", "never", ""]}
KINDS = [
    (
        ["s3:ListBucket"],
        ["arn:aws:s3:::data", "arn:aws:s3:::datax"],
        ["arn:aws:s3:::data", "arn:aws:s3:::dat?", "arn:aws:s3:::data*", "arn:aws:s3:::other"],
        {"s3:prefix": PREFIXES},
    ),
    (
        ["s3:GetObject", "s3:PutObject"],
        [
            "arn:aws:s3:::data/datasets/a.jsonl",
            "arn:aws:s3:::data/outputs/b",
            "arn:aws:s3:::datax/a",
        ],
        ["arn:aws:s3:::data/datasets/*", "arn:aws:s3:::data/*", "arn:aws:s3:::data/outputs/?", "*"],
        {"aws:SecureTransport": ["true", "false"]},
    ),
    (
        ["kms:Decrypt", "kms:GenerateDataKey"],
        [KEY],
        [KEY, "*", KEY.replace("1111", "9999"), KEY[:-4] + "*"],
        {"kms:ViaService": ["s3.us-east-1.amazonaws.com", "s3.us-west-2.amazonaws.com"]},
    ),
    (
        ["bedrock:CreateModelCustomizationJob"],
        [NOVA, f"{BEDROCK}:custom-model/amazon.nova-micro-v1:0:128k/0123456789ab"],
        [NOVA, NOVA[:-4] + "*", f"{BEDROCK}:custom-model/*", "*"],
        {
            "aws:RequestTag/team": ["search", "Search", "ads"],
            "aws:TagKeys": [["team"], ["team", "x"]],
        },
    ),
    (
        ["bedrock:CreateProvisionedModelThroughput"],
        [f"{BEDROCK}:custom-model/amazon.nova-micro-v1:0:128k/0123456789ab"],
        [f"{BEDROCK}:custom-model/*", "*", f"{BEDROCK}:provisioned-model/*"],
        TAGS,
    ),
    (
        ["bedrock:GetModelCustomizationJob", "bedrock:StopModelCustomizationJob"],
        [f"{BEDROCK}:model-customization-job/amazon.nova-micro-v1:0:128k/0123456789ab"],
        [f"{BEDROCK}:model-customization-job/*", f"{BEDROCK}:*", "*", f"{BEDROCK}:custom-model/*"],
        {"aws:ResourceTag/team": ["search", "ads"]},
    ),
    (
        ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
        [f"{BEDROCK}:provisioned-model/0123456789ab", NOVA],
        [f"{BEDROCK}:provisioned-model/*", "arn:aws:bedrock:*::foundation-model/*", "*"],
        {},
    ),
    (
        ["iam:PassRole"],
        [f"arn:aws:iam::{ACCOUNT}:role/AmazonBedrockJob", f"arn:aws:iam::{ACCOUNT}:role/admin"],
        [f"arn:aws:iam::{ACCOUNT}:role/*AmazonBedrock*", f"arn:aws:iam::{ACCOUNT}:role/*", "*"],
        {"iam:PassedToService": ["bedrock.amazonaws.com", "lambda.amazonaws.com"]},
    ),
    (
        ["sqs:SendMessage", "sqs:ReceiveMessage"],
        [QUEUE],
        [QUEUE, "*", QUEUE + "-dead"],
        {
            "aws:SourceArn": [
                f"arn:aws:events:us-east-1:{ACCOUNT}:rule/jobs",
                f"arn:aws:events:us-east-1:{OTHER}:rule/jobs",
            ]
        },
    ),
]
# Condition keys that every request can have.
COMMON = {
    "aws:SourceIp": ["127.0.0.1", "10.1.2.3"],
    "aws:CurrentTime": ["2026-11-22T10:00:00Z", "2027-06-01T00:00:00Z"],
    "aws:PrincipalTag/team": ["search", "Search", "ads"],
    "aws:RequestedRegion": ["us-east-1", "us-west-2"],
    "aws:ResourceAccount": [ACCOUNT, OTHER],
    "aws:SourceAccount": [ACCOUNT, OTHER],
}
TRUST_ARN = f"{BEDROCK}:model-customization-job/amazon.nova-micro-v1:0:128k/0123456789ab"


def cases(count, seed=20261122):
    """Generate cases in the format of the IAM policy simulator."""
    rng = random.Random(seed)
    return [
        _trust(rng, number) if number % 8 == 0 else _case(rng, number) for number in range(count)
    ]


def _case(rng, number):
    actions, resources, patterns, keys = rng.choice(KINDS)
    action, resource = rng.choice(actions), rng.choice(resources)
    known = {**keys, **{key: COMMON[key] for key in rng.sample(sorted(COMMON), 2)}}
    principal = rng.choice([SESSION, SESSION, USER])
    document = lambda allow: _document(rng, actions, patterns, known, allow)  # noqa: E731
    service = action.split(":")[0]
    own_policy = None
    if service in ("s3", "kms", "sqs") and (service == "kms" or rng.random() < 0.5):
        own_policy = _resource_document(rng, actions, known, service)
    return {
        "id": number,
        "identity": [document(0.85) for _ in range(rng.choice([1, 1, 2]))],
        "boundary": [document(0.95)] if rng.random() < 0.2 else None,
        "sessionPolicy": document(0.95) if principal == SESSION and rng.random() < 0.15 else None,
        "resourcePolicy": own_policy,
        "principal": principal,
        "action": action,
        "resource": resource,
        "resourceAccount": ACCOUNT,
        "context": _context(rng, known),
    }


def _context(rng, known):
    found = {}
    for key, values in known.items():
        # aws:ResourceAccount always has one value.
        if key == "aws:ResourceAccount" or rng.random() < 0.8:
            found[key] = rng.choice(values)
    return found


def _document(rng, actions, patterns, known, allow):
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement(rng, actions, patterns, known, allow)
            for _ in range(rng.choice([1, 1, 2, 3]))
        ],
    }


def _statement(rng, actions, patterns, known, allow):
    effect = "Allow" if rng.random() < allow else "Deny"
    service = actions[0].split(":")[0]
    statement: dict[str, Any] = {"Effect": effect}
    if rng.random() < 0.05:
        statement["NotAction"] = [rng.choice(actions)]
    else:
        named = [rng.choice([*actions, actions[0].upper().replace(service.upper(), service)])]
        named += [f"{service}:*"] * (rng.random() < 0.15)
        named += [actions[0][:-3] + "*"] * (rng.random() < 0.15)
        statement["Action"] = named if len(named) > 1 else named[0]
    chosen = rng.sample(patterns, rng.choice([1, 1, 2]))
    statement["NotResource" if rng.random() < 0.04 else "Resource"] = chosen
    if rng.random() < 0.6:
        statement["Condition"] = _conditions(rng, known)
    return statement


def _conditions(rng, known):
    block: dict[str, dict[str, Any]] = {}
    for key in rng.sample(sorted(known), min(len(known), rng.choice([1, 1, 2]))):
        operator, value = _condition(rng, key, known[key])
        block.setdefault(operator, {})[key] = value
    return block


TEXT = [
    "StringEquals",
    "StringLike",
    "StringNotEquals",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringLikeIfExists",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIfExists",
]
# Operators and values for keys that are not strings.
TYPED = {
    "aws:SourceIp": (["IpAddress", "NotIpAddress"], ["10.0.0.0/8", "127.0.0.1/32", "::1/128"]),
    "aws:CurrentTime": (
        ["DateLessThan", "DateGreaterThan", "DateLessThanEquals"],
        ["2027-01-01T00:00:00Z", "2026-11-22T10:00:00Z"],
    ),
    "aws:SecureTransport": (["Bool", "BoolIfExists"], ["true", "false"]),
    "aws:TagKeys": (
        ["ForAllValues:StringEquals", "ForAnyValue:StringEquals", "ForAllValues:StringLike"],
        [["team"], ["team", "x"], ["t*"]],
    ),
}
ARNS = ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnLikeIfExists"]


def _condition(rng, key, values):
    value = rng.choice(values)
    if key != "aws:TagKeys" and rng.random() < 0.12:
        return "Null", rng.choice(["true", "false"])
    if key in TYPED:
        operators, wanted = TYPED[key]
    elif key.endswith("Arn"):
        operators, wanted = ARNS, [value, value[:-2] + "*"]
    else:
        operators = TEXT
        wanted = [value, [value, "x"], value[:3] + "*", "${aws:PrincipalTag/team}"]
    return rng.choice(operators), rng.choice(wanted)


def _resource_document(rng, actions, known, service):
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    whole = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    principals = [
        "*",
        {"AWS": "*"},
        root,
        {"AWS": ROLE},
        {"AWS": SESSION},
        {"AWS": [USER, ROLE]},
        {"Service": "bedrock.amazonaws.com"},
    ]

    def statement():
        condition = {"Condition": _conditions(rng, known)} if rng.random() < 0.5 else {}
        return {
            "Effect": "Allow" if rng.random() < 0.6 else "Deny",
            "Principal": rng.choice(principals),
            "Action": rng.choice([*actions, f"{service}:*"]),
            "Resource": "*",
            **condition,
        }

    statements = [whole] if service == "kms" and rng.random() < 0.9 else []
    more = [statement() for _ in range(rng.choice([0, 1, 1]))]
    return {"Version": "2012-10-17", "Statement": [*statements, *more]}


def _trust(rng, number):
    """Generate a case of a service that assumes a role."""
    known = {
        "aws:SourceAccount": [ACCOUNT, OTHER],
        "aws:SourceArn": [
            TRUST_ARN,
            TRUST_ARN.replace("us-east-1", "us-west-2"),
            TRUST_ARN.replace("customization", "evaluation"),
        ],
    }
    condition = {}
    if rng.random() < 0.8:
        condition["StringEquals"] = {
            "aws:SourceAccount": rng.choice([ACCOUNT, OTHER, [ACCOUNT, OTHER]])
        }
    if rng.random() < 0.8:
        condition[rng.choice(["ArnEquals", "ArnLike", "StringLike"])] = {
            "aws:SourceArn": rng.choice(
                [
                    f"{BEDROCK}:model-customization-job/*",
                    f"arn:aws:bedrock:*:{ACCOUNT}:*",
                    TRUST_ARN,
                ]
            )
        }
    statement = {
        "Effect": "Allow",
        "Principal": rng.choice(
            [{"Service": "bedrock.amazonaws.com"}] * 3
            + [
                {"Service": ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"]},
                {"Service": "sagemaker.amazonaws.com"},
                {"AWS": ROLE},
            ]
        ),
        "Action": rng.choice(["sts:AssumeRole"] * 4 + ["sts:*", "sts:TagSession"]),
        **({"Condition": condition} if condition else {}),
    }
    more = [{**statement, "Effect": "Deny"}] if rng.random() < 0.1 else []
    return {
        "id": number,
        "identity": [],
        "boundary": None,
        "sessionPolicy": None,
        "resourcePolicy": {"Version": "2012-10-17", "Statement": [statement, *more]},
        "principal": "bedrock.amazonaws.com",
        "action": "sts:AssumeRole",
        "resource": f"arn:aws:iam::{ACCOUNT}:role/AmazonBedrockJob",
        "resourceAccount": ACCOUNT,
        "context": {key: rng.choice(values) for key, values in known.items() if rng.random() < 0.9},
    }
