"""What is granted is what is specified: proved for every role of every stage, over all actions, resources and contexts."""

import copy
import functools

import pytest

from stages import STAGES
from tests.infra.places import EXAMPLES, PLACES
from tests.infra.prove import allows, same, trusts
from tests.infra.resolve import Resolver, UnknownReferenceError, policies_of, trusts_of
from tests.infra.specification import Specification


@pytest.fixture(scope="module")
def resources(synthesized):
    return functools.cache(
        lambda stage, region: Resolver(
            synthesized(stage, region).to_json(), region=region
        ).resolved()
    )


def by_prefix(found, prefix):
    """The one whose logical id is the name and CDK's eight digits."""
    (name,) = [name for name in found if name[:-8] == prefix]
    return found[name]


@pytest.mark.parametrize(("stage", "region"), PLACES)
def test_granted_is_specified(resources, stage, region):
    found = policies_of(resources(stage, region))
    specified = Specification(stage, region).roles()
    assert sorted(name[:-8] for name in found) == sorted(specified)
    for name, rows in specified.items():
        for verdict in same(by_prefix(found, name), rows, allows):
            assert verdict.proved, (name, verdict)


@pytest.mark.parametrize(("stage", "region"), PLACES)
def test_trusted_is_specified(resources, stage, region):
    found = trusts_of(resources(stage, region))
    specified = Specification(stage, region).trusts()
    assert sorted(name[:-8] for name in found) == sorted(specified)
    for name, rows in specified.items():
        for verdict in same(by_prefix(found, name), rows, trusts):
            assert verdict.proved, (name, verdict)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_it_holds_in_every_partition(synthesized, partition):
    stage = STAGES["dev"]
    template = synthesized(stage, "us-east-1").to_json()
    resources = Resolver(template, partition=partition).resolved()
    found = policies_of(resources)
    for name, rows in Specification(stage, "us-east-1", partition=partition).roles().items():
        for verdict in same(by_prefix(found, name), rows, allows):
            assert verdict.proved, (name, verdict)


def variants(rows):
    """Policies that differ in one thing: an action, a resource, a condition more or less."""
    for place, row in enumerate(rows):
        yield f"without {place}", rows[:place] + rows[place + 1 :]
        for key, wider in (("Action", f"{row['Action'][0].split(':')[0]}:*"), ("Resource", "*")):
            if wider not in row[key] and row["Effect"] == "Allow":
                yield f"{key} of {place} wider", changed(rows, place, {key: [*row[key], wider]})
            if len(row[key]) > 1:
                yield f"{key} of {place} narrower", changed(rows, place, {key: row[key][1:]})
        for operator, keys in row["Condition"].items():
            for name in keys:
                condition = copy.deepcopy(row["Condition"])
                del condition[operator][name]
                less = {left: words for left, words in condition.items() if words}
                yield f"{name} of {place} gone", changed(rows, place, {"Condition": less})
    yield (
        "pass any role",
        [
            *rows,
            {"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": ["*"], "Condition": {}},
        ],
    )


def changed(rows, place, change):
    return [*rows[:place], {**rows[place], **change}, *rows[place + 1 :]]


def test_every_other_policy_has_a_counterexample(resources, figure):
    """The prover's own control: what is not the same is found to be not the same."""
    stage = EXAMPLES["three_stages"]["prod"]
    found = policies_of(resources(stage, "us-east-1"))
    seen = 0
    for name, rows in Specification(stage, "us-east-1").roles().items():
        if name.endswith("Role") and name.startswith("Access"):
            continue  # the same as the policy
        for what, other in variants(by_prefix(found, name)):
            verdicts = same(other, rows, allows)
            assert not any(verdict.unknown for verdict in verdicts), (name, what)
            assert not all(verdict.proved for verdict in verdicts), (name, what)
            seen += 1
    figure(f"{seen} policies that differ in one thing: each is told apart")
    assert seen > 150


def test_every_other_trust_has_a_counterexample(resources):
    stage = EXAMPLES["three_stages"]["prod"]
    found = trusts_of(resources(stage, "us-east-1"))
    seen = 0
    for name, rows in Specification(stage, "us-east-1").trusts().items():
        (granted,) = by_prefix(found, name)
        others = [changed([granted], 0, {"Principal": "*"})]
        others.append(changed([granted], 0, {"Action": ["sts:*"]}))
        for operator, keys in granted["Condition"].items():
            for key in keys:
                condition = copy.deepcopy(granted["Condition"])
                del condition[operator][key]
                others.append(changed([granted], 0, {"Condition": condition}))
        for other in others:
            assert not all(verdict.proved for verdict in same(other, rows, trusts)), (name, other)
            seen += 1
    assert seen >= 14


def test_what_is_not_understood_is_no_proof():
    template = {"Resources": {"A": {"Type": "T", "Properties": {"B": {"Fn::Sub": "x"}}}}}
    with pytest.raises(UnknownReferenceError):
        Resolver(template).resolved()
    with pytest.raises(ValueError, match="not understood"):
        allows(
            [
                {
                    "Effect": "Allow",
                    "NotAction": ["s3:*"],
                    "Action": [],
                    "Resource": [],
                    "Condition": {},
                }
            ],
            None,
        )
