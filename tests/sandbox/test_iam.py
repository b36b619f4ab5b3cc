"""Each rule of IAM's policy evaluation, as AWS documents it."""

from typing import Any

import pytest

from tunestack_sandbox.iam import (
    AccessRequest,
    MalformedPolicyError,
    Policies,
    Principal,
    PrincipalKind,
    Verdict,
    decide,
    parse_statements,
)

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
ANN = Principal(
    kind=PrincipalKind.SESSION,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/r/ann",
    account=ACCOUNT,
    role=ROLE,
)
BEDROCK = Principal(kind=PrincipalKind.SERVICE, arn="bedrock.amazonaws.com")
ROOT = Principal(kind=PrincipalKind.ROOT, arn=f"arn:aws:iam::{ACCOUNT}:root", account=ACCOUNT)
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}


def document(*rows, version="2012-10-17"):
    return {"Version": version, "Statement": list(rows)}


def decided(
    *rows,
    principal=ANN,
    context=None,
    about="arn:aws:s3:::b/k",
    account=ACCOUNT,
    action="s3:GetObject",
    version="2012-10-17",
    **more,
):
    access = AccessRequest(
        principal=principal, action=action, resource=about, account=account, context=context or {}
    )
    policies: dict[str, Any] = {
        kind: parse_statements(found) if isinstance(found, dict) else found
        for kind, found in more.items()
    }
    return decide(
        access, Policies(identity=parse_statements(document(*rows, version=version)), **policies)
    )


def allowed(*rows, **more):
    return decided(*rows, **more).allowed


def test_requests_are_denied_by_default():
    assert Verdict.IMPLICITLY_DENIED is decided().verdict
    assert allowed(ALLOW)


def test_a_deny_beats_every_allow():
    assert Verdict.EXPLICITLY_DENIED is decided(ALLOW, ALLOW | {"Effect": "Deny"}).verdict


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Action": "S3:getobject"}, True),
        ({"Action": ["s3:Put*", "s3:Get*"]}, True),
        ({"Action": "s3:Put*"}, False),
        ({"Action": "*"}, True),
        ({"Resource": "arn:aws:s3:::B/*"}, False),
        ({"Resource": "arn:aws:s3:::?/k"}, True),
        ({"Resource": "arn:aws:s3:::b"}, False),
    ],
)
def test_wildcards_and_case(change, expected):
    assert expected == allowed(ALLOW | change)


def test_not_action_and_not_resource_match_everything_else():
    rest = {"Effect": "Allow", "NotAction": "s3:PutObject", "NotResource": "arn:aws:s3:::c/*"}
    assert allowed(rest)
    assert not allowed(rest, action="s3:PutObject")
    assert not allowed(rest, about="arn:aws:s3:::c/k")


CONDITIONS = [
    # operator, value in the policy, value in the request (None: missing), whether the condition matches
    ("StringEquals", "a", "a", True),
    ("StringEquals", ["b", "a"], "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", "a*", "ab", False),
    ("StringEquals", "a", None, False),
    ("StringNotEquals", "a", None, True),
    ("StringNotEquals", ["a", "b"], "b", False),
    ("StringEqualsIfExists", "a", None, True),
    ("StringEqualsIgnoreCase", "a", "A", True),
    ("StringLike", "a*c", "abbc", True),
    ("StringLike", "a?c", "abbc", False),
    ("StringNotLike", "a*", "b", True),
    ("NumericLessThan", "1.2", "1.1", True),
    ("NumericLessThan", "1.2", "1.3", False),
    ("NumericGreaterThanEquals", 3, "3", True),
    ("NumericEquals", "3", "x", False),
    ("DateLessThan", "2026-12-01T00:00:00Z", "2026-11-22T10:00:00Z", True),
    ("DateGreaterThan", "2026-12-01T00:00:00Z", "1795000000", False),
    ("Bool", "true", "True", True),
    ("Bool", "false", "true", False),
    ("BoolIfExists", "false", None, True),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
    ("NotIpAddress", "10.0.0.0/8", "127.0.0.1", True),
    ("IpAddress", "10.0.0.0/8", "::1", False),
    (
        "ArnEquals",
        "arn:aws:bedrock:us-east-1:1:model-customization-job/*",
        "arn:aws:bedrock:us-east-1:1:model-customization-job/a:b/c",
        True,
    ),
    ("ArnLike", "arn:aws:*:us-east-1:1:x", "arn:aws:s3:us-east-1:1:x", True),
    ("ArnLike", "arn:aws:*:1:x", "arn:aws:s3:us-east-1:1:x", False),
    ("ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::c", True),
    ("Null", "true", None, True),
    ("Null", "true", "a", False),
    ("Null", "false", "a", True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a"], None, True),
    ("ForAnyValue:StringEquals", ["a"], ["a", "c"], True),
    ("ForAnyValue:StringEquals", ["a"], None, False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
]


@pytest.mark.parametrize(("operator", "wanted", "value", "expected"), CONDITIONS)
def test_each_operator(operator, wanted, value, expected):
    row = ALLOW | {"Condition": {operator: {"aws:Some/Key": wanted}}}
    assert expected == allowed(row, context={} if value is None else {"AWS:some/key": value})


@pytest.mark.parametrize(
    ("text", "context", "expected"),
    [
        ("arn:aws:s3:::b/${aws:username}", {"aws:username": "k"}, True),
        ("arn:aws:s3:::b/${aws:username}", {"aws:username": "*"}, False),
        ("arn:aws:s3:::b/${aws:username}", {}, False),
        ("arn:aws:s3:::b/${aws:username, 'k'}", {}, True),
        ("arn:aws:s3:::b/${*}", {}, False),
    ],
)
def test_variables(text, context, expected):
    assert expected == allowed(ALLOW | {"Resource": text}, context=context)


def test_policies_of_the_first_version_have_no_variables():
    row = ALLOW | {"Resource": "arn:aws:s3:::b/${aws:username}"}
    assert not allowed(row, context={"aws:username": "k"}, version="2008-10-17")


@pytest.mark.parametrize("kind", ["boundary", "session"])
def test_a_limiting_policy_must_allow_the_request_too(kind):
    assert not allowed(ALLOW, **{kind: document(ALLOW | {"Action": "s3:PutObject"})})
    assert allowed(ALLOW, **{kind: document(ALLOW)})
    assert not allowed(**{kind: document(ALLOW)})


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ({"AWS": ROLE}, True),
        ({"AWS": ANN.arn}, True),
        ("*", True),
        ({"AWS": ACCOUNT}, False),  # delegates to the identity policies
        ({"AWS": "arn:aws:iam::123456789012:role/other"}, False),
        ({"Service": "bedrock.amazonaws.com"}, False),
    ],
)
def test_a_resource_policy_alone_allows_its_principals(principal, expected):
    assert expected == allowed(resource=document(ALLOW | {"Principal": principal}))


def test_cross_account_access_needs_both_policies():
    named = document(ALLOW | {"Principal": {"AWS": ROLE}})
    assert not allowed(ALLOW, account="210987654321")
    assert not allowed(resource=named, account="210987654321")
    assert allowed(ALLOW, resource=named, account="210987654321")


def test_a_key_policy_controls_the_use_of_the_key():
    use = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    params = {"action": "kms:Decrypt", "about": "key", "requires_resource_policy": True}
    for_the_account = document(use | {"Principal": {"AWS": ROOT.arn}})
    for_the_role = document(use | {"Principal": {"AWS": ROLE}})
    assert not allowed(use, **params)
    assert not allowed(use, **params, resource=document())
    assert allowed(use, **params, resource=for_the_account)
    assert not allowed(**params, resource=for_the_account)
    assert allowed(**params, resource=for_the_role)
    assert not allowed(principal=ROOT, **params, resource=document())
    assert allowed(principal=ROOT, **params, resource=for_the_account)


@pytest.mark.parametrize(
    ("named", "more", "expected"),
    [
        ([f"arn:aws:iam::{ACCOUNT}:root", ROLE, ANN.arn], {}, True),
        ([ROLE, ANN.arn], {}, False),  # the account is denied, and the user belongs to it
        ([f"arn:aws:iam::{ACCOUNT}:root", ROLE], {}, False),
        ([f"arn:aws:iam::{ACCOUNT}:root", ROLE, ANN.arn], {"boundary": document(ALLOW)}, False),
    ],
)
def test_not_principal_exempts_only_fully_listed_principals(named, more, expected):
    deny = ALLOW | {"Effect": "Deny", "NotPrincipal": {"AWS": named}}
    assert expected == allowed(ALLOW, resource=document(deny), **more)


def test_a_wildcard_aws_principal_matches_services():
    trust = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})
    params = {"action": "sts:AssumeRole", "about": ROLE, "requires_resource_policy": True}
    assert allowed(principal=BEDROCK, resource=trust, **params)


def test_an_arn_that_ends_early_is_completed():
    assert allowed(ALLOW | {"Resource": "arn:aws:s3"})
    assert not allowed(ALLOW | {"Resource": "arn:aws:kms"})


def test_case_is_ignored_in_variables_too():
    row = ALLOW | {
        "Condition": {"StringEqualsIgnoreCase": {"aws:RequestTag/t": "${aws:PrincipalTag/t}"}}
    }
    assert allowed(row, context={"aws:RequestTag/t": "SEARCH", "aws:PrincipalTag/t": "Search"})


@pytest.mark.parametrize(
    "row",
    [
        {"Action": "*", "Resource": "*"},
        {"Effect": "allow", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Resource": "*"},
        ALLOW | {"Action": 5},
        ALLOW | {"Resource": None},
        ALLOW | {"Principal": "me"},
        ALLOW | {"Condition": []},
        ALLOW | {"Condition": {"StringsEqual": {"a": "b"}}},
        ALLOW | {"Condition": {"ForSomeValues:StringEquals": {"a": "b"}}},
        ALLOW | {"Condition": {"NullIfExists": {"a": "true"}}},
        ALLOW | {"Condition": {"StringEquals": ["a"]}},
        ALLOW | {"Action": []},
        ALLOW | {"Action": "List"},
        ALLOW | {"Resource": "bucket"},
        ALLOW | {"Foo": 1},
        ALLOW | {"Condition": {"StringEquals": {"a": {"b": 1}}}},
        "Allow",
    ],
)
def test_a_statement_that_iam_rejects_is_malformed(row):
    with pytest.raises(MalformedPolicyError, match="malformed policy"):
        parse_statements(document(row))


@pytest.mark.parametrize(
    "text", ["[]", '"x"', "{", "5", "{}", '{"Version": "2013", "Statement": []}']
)
def test_an_invalid_document_is_malformed(text):
    with pytest.raises(MalformedPolicyError, match="malformed policy"):
        parse_statements(text)


def test_the_root_user_is_allowed_unless_a_resource_policy_denies():
    assert allowed(principal=ROOT)
    deny = ALLOW | {"Effect": "Deny", "Principal": "*"}
    assert not allowed(principal=ROOT, resource=document(deny))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Principal": {"Service": "bedrock.amazonaws.com"}}, True),
        ({"Principal": {"Service": ["a.amazonaws.com", "bedrock.amazonaws.com"]}}, True),
        ({"Principal": {"Service": "sagemaker.amazonaws.com"}}, False),
        ({"Principal": "*"}, True),
        ({"NotPrincipal": {"Service": "bedrock.amazonaws.com"}}, False),
    ],
)
def test_a_trust_policy_alone_allows_a_service(statement, expected):
    trust = document({"Effect": "Allow", "Action": "sts:AssumeRole"} | statement)
    params = {"action": "sts:AssumeRole", "about": ROLE, "requires_resource_policy": True}
    assert expected == allowed(principal=BEDROCK, resource=trust, **params)


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({}, "because no identity-based policy allows the s3:GetObject action"),
        (
            {"boundary": document()},
            "because no permissions boundary allows the s3:GetObject action",
        ),
        ({"session": document()}, "because no session policy allows the s3:GetObject action"),
        (
            {"boundary": document(ALLOW | {"Effect": "Deny"})},
            "with an explicit deny in a permissions boundary",
        ),
        (
            {"resource": document(ALLOW | {"Effect": "Deny", "Principal": "*"})},
            "with an explicit deny in a resource-based policy",
        ),
    ],
)
def test_access_denied_messages_match_aws(more, end):
    rows = [ALLOW] if more else []
    start = (
        f"User: {ANN.arn} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k "
    )
    assert start + end == decided(*rows, **more).message()
