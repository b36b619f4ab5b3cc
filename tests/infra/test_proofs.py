"""The permissions of every role of every stage are those specified: proved over all actions, resources and contexts."""

import copy
import functools
import itertools

import pytest

from stages import STAGES
from tests.infra.example_stages import EVALUATING, STAGE_REGIONS
from tests.infra.proofs import build_policy, build_trust_policy, prove_equal
from tests.infra.resolver import (
    Resolver,
    UnknownReferenceError,
    collect_policies,
    collect_trust_policies,
)
from tests.infra.specification import Specification
from tests.parameters import every


@pytest.fixture(scope="module")
def resources(synthesized):
    return functools.cache(
        lambda stage, region: Resolver(
            synthesized(stage, region).to_json(), region=region
        ).resolve()
    )


def get_by_prefix(policies, prefix):
    """Return the policy whose logical ID is the prefix and the eight characters of CDK's hash."""
    (name,) = [name for name in policies if name[:-8] == prefix]
    return policies[name]


@pytest.mark.parametrize(("stage", "region"), STAGE_REGIONS)
def test_granted_permissions_equal_the_specification(resources, stage, region):
    policies = collect_policies(resources(stage, region))
    specified = Specification(stage, region).permissions()
    assert sorted(name[:-8] for name in policies) == sorted(specified)
    for name, rows in specified.items():
        for verdict in prove_equal(get_by_prefix(policies, name), rows, build_policy):
            assert verdict.is_proved, (name, verdict)


@pytest.mark.parametrize(("stage", "region"), STAGE_REGIONS)
def test_trust_policies_equal_the_specification(resources, stage, region):
    policies = collect_trust_policies(resources(stage, region))
    specified = Specification(stage, region).trust_policies()
    assert sorted(name[:-8] for name in policies) == sorted(specified)
    for name, rows in specified.items():
        for verdict in prove_equal(get_by_prefix(policies, name), rows, build_trust_policy):
            assert verdict.is_proved, (name, verdict)


@pytest.mark.parametrize("partition", every(3, ["aws-cn", "aws-us-gov", "aws"]))
def test_granted_permissions_equal_the_specification_in_every_partition(synthesized, partition):
    stage = STAGES["dev"]
    template = synthesized(stage, "us-east-1").to_json()
    policies = collect_policies(Resolver(template, partition=partition).resolve())
    specified = Specification(stage, "us-east-1", partition=partition).permissions()
    for name, rows in specified.items():
        for verdict in prove_equal(get_by_prefix(policies, name), rows, build_policy):
            assert verdict.is_proved, (name, verdict)


def generate_variants(rows):
    """Yield policies that differ in one statement, action, resource or condition."""
    for index, row in enumerate(rows):
        yield f"without {index}", rows[:index] + rows[index + 1 :]
        for key, wider in (("Action", f"{row['Action'][0].split(':')[0]}:*"), ("Resource", "*")):
            if wider not in row[key] and row["Effect"] == "Allow":
                yield (
                    f"{key} of {index} wider",
                    change_row(rows, index, {key: [*row[key], wider]}),
                )
            if len(row[key]) > 1:
                yield f"{key} of {index} narrower", change_row(rows, index, {key: row[key][1:]})
        for operator, keys in row["Condition"].items():
            for name in keys:
                condition = copy.deepcopy(row["Condition"])
                del condition[operator][name]
                remaining = {key: values for key, values in condition.items() if values}
                yield (
                    f"{index} without condition {name}",
                    change_row(rows, index, {"Condition": remaining}),
                )
    pass_any_role = {
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": ["*"],
        "Condition": {},
    }
    yield "pass any role", [*rows, pass_any_role]


def change_row(rows, index, change):
    return [*rows[:index], {**rows[index], **change}, *rows[index + 1 :]]


@pytest.mark.parametrize(
    "step", [4, pytest.param(1, marks=pytest.mark.campaign)], ids=["some", "all"]
)
def test_every_changed_policy_has_a_counterexample(resources, figure, step):
    """Negative control of the proofs: they find every difference."""
    stage = EVALUATING
    policies = collect_policies(resources(stage, "us-east-1"))
    total = 0
    for name, rows in Specification(stage, "us-east-1").permissions().items():
        if name.endswith("Role") and name.startswith("Access"):
            continue  # It has the statements of the policy with the same name.
        variants = generate_variants(get_by_prefix(policies, name))
        for description, variant in itertools.islice(variants, 0, None, step):
            verdicts = prove_equal(variant, rows, build_policy)
            assert not any(verdict.is_unknown for verdict in verdicts), (name, description)
            assert not all(verdict.is_proved for verdict in verdicts), (name, description)
            total += 1
    figure(f"{total} policies that differ in one thing: each has a counterexample")
    assert total > 400 / step


def test_every_changed_trust_policy_has_a_counterexample(resources):
    stage = EVALUATING
    policies = collect_trust_policies(resources(stage, "us-east-1"))
    total = 0
    for name, rows in Specification(stage, "us-east-1").trust_policies().items():
        (granted,) = get_by_prefix(policies, name)
        variants = [
            change_row([granted], 0, {"Principal": "*"}),
            change_row([granted], 0, {"Action": ["sts:*"]}),
        ]
        for operator, keys in granted["Condition"].items():
            for key in keys:
                condition = copy.deepcopy(granted["Condition"])
                del condition[operator][key]
                variants.append(change_row([granted], 0, {"Condition": condition}))
        for variant in variants:
            verdicts = prove_equal(variant, rows, build_trust_policy)
            assert not all(verdict.is_proved for verdict in verdicts), (name, variant)
            total += 1
    assert total >= 14


def test_unsupported_references_and_statements_are_errors():
    template = {"Resources": {"A": {"Type": "T", "Properties": {"B": {"Fn::Sub": "x"}}}}}
    with pytest.raises(UnknownReferenceError):
        Resolver(template).resolve()
    statement = {
        "Effect": "Allow",
        "NotAction": ["s3:*"],
        "Action": [],
        "Resource": [],
        "Condition": {},
    }
    with pytest.raises(ValueError, match="unsupported statement"):
        build_policy([statement], None)


def test_starter_reads_no_location_without_a_sweep_file(resources):
    stage = EVALUATING.model_copy(update={"run_schedules": EVALUATING.run_schedules[:1]})
    rows = get_by_prefix(collect_policies(resources(stage, "us-east-1")), "RunSchedulesStarterRole")
    assert "example-curated-data" not in str(rows)
    specified = Specification(stage, "us-east-1").permissions()["RunSchedulesStarterRole"]
    assert all(verdict.is_proved for verdict in prove_equal(rows, specified, build_policy))
