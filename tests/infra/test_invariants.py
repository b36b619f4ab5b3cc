"""What every stack of every stage protects; and each change of a template that would matter is noticed."""

import copy
import itertools
import json

import pytest

from stages import STAGES
from tests.infra.invariants import Invariants
from tests.infra.places import EXAMPLES, PLACES
from tests.infra.prove import allows, same, trusts
from tests.infra.resolve import Resolver, UnknownReferenceError, policies_of, trusts_of
from tests.infra.specification import Specification
from tunestack_cdk.stage import Stage


@pytest.mark.parametrize(("stage", "region"), PLACES)
def test_it_holds(synthesized, stage, region):
    template = synthesized(stage, region).to_json()
    account = stage.account or "111122223333"
    resources = Resolver(template, region=region, account=account).resolved()
    assert [] == Invariants(resources, stage, region).findings()


def test_no_account_is_written_into_a_permission(synthesized):
    """The pseudo parameters are: the same statements are right in any account."""
    stage = EXAMPLES["three_stages"]["dev"]
    for name, row in synthesized(stage).to_json()["Resources"].items():
        if row["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Role"):
            assert stage.account not in json.dumps(row), name


def test_policies_are_short_enough_with_the_longest_names(synthesized):
    """AWS takes 6,144 characters without white space; names that CloudFormation makes have up to 64."""
    stage = Stage(
        name="a" * 20,
        regions=("us-west-2",),
        base_models=_WEST,
        data_prefix="p" * 50,
        model_key=True,
    )
    resolved = Resolver(synthesized(stage, "us-west-2").to_json(), region="us-west-2").resolved()
    for name, row in resolved.items():
        if row["Type"] == "AWS::IAM::ManagedPolicy":
            text = json.dumps(row["Properties"]["PolicyDocument"], separators=(",", ":"))
            for made, other in resolved.items():
                longest = 36 if other["Type"] == "AWS::KMS::Key" else 64
                text = text.replace(made, made.ljust(longest, "x"))
            assert len(text) < 6144, (name, len(text))


@pytest.mark.parametrize("stage", [STAGES["dev"], EXAMPLES["three_stages"]["prod"]])
def test_a_stack_that_keeps_data_is_protected_from_deletion(stack, stage):
    assert stage.retain_data == stack(stage).termination_protection


def test_where_bootstrapping_was_done_otherwise_it_is_found(synthesized):
    template = synthesized(EXAMPLES["many_accounts"]["search"]).to_json()
    assert "/cdk-bootstrap/platform/version" in json.dumps(template["Parameters"])


_WEST = tuple(key for key in STAGES["dev"].base_models if key.startswith("llama"))
# What a person reads, and what only tells tools.
COSMETIC = ("Description", "AlarmDescription", "Metadata", "DisplayName", "Sid", "GroupDescription")
# AWS ignores these, or fills them in.
IGNORED = {"DependsOn"}


def mutants(template):
    """Templates that differ in one thing."""
    for name, row in template["Resources"].items():
        for path, value in leaves(row):
            if any(part in COSMETIC for part in path) or path[0] in IGNORED or path == ["Type"]:
                continue
            yield f"{name}: without {dotted(path)}", without(template, name, path)
            for what, other in wrong(path, value):
                if other == value:
                    continue
                yield f"{name}: {dotted(path)} {what}", replaced(template, name, path, other)
    for name in template["Resources"]:
        less = copy.deepcopy(template)
        del less["Resources"][name]
        yield f"without {name}", less


def leaves(value, path=()):
    """Everything that can be left out: properties, statements, conditions, list items."""
    intrinsic = isinstance(value, dict) and any(
        key == "Ref" or key.startswith("Fn::") for key in value
    )
    if path:
        yield list(path), value
    if intrinsic:
        return
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in parts:
        yield from leaves(part, (*path, key))


def wrong(path, value):
    if value is True or value is False:
        yield "turned", not value
    if path[-1] in ("DeletionPolicy", "UpdateReplacePolicy"):
        yield "turned", "Delete" if value == "Retain" else "Retain"
    if path[-1] == "Action" and isinstance(value, str):
        yield "wider", value.split(":")[0] + ":*"
    if path[-1] == "Principal":
        yield "anybody", "*"
    if path[-1] == "Resource":
        yield "anything", "*"
    if path[-1] == "Effect":
        yield "turned", "Deny" if value == "Allow" else "Allow"
    if isinstance(value, int) and not isinstance(value, bool):
        yield "ten times", value * 10


def dotted(path):
    return ".".join(map(str, path))


def without(template, name, path):
    less = copy.deepcopy(template)
    *above, last = path
    place = less["Resources"][name]
    for key in above:
        place = place[key]
    del place[last]
    return less


def replaced(template, name, path, value):
    other = copy.deepcopy(template)
    *above, last = path
    place = other["Resources"][name]
    for key in above:
        place = place[key]
    place[last] = value
    return other


def survives(template, stage, region, proved):
    """Tell whether a template passes: what must hold holds, and what is granted is specified."""
    try:
        resources = Resolver(template, region=region).resolved()
        if Invariants(resources, stage, region).findings():
            return False
        specification = Specification(stage, region)
        for found, specified, build in (
            (policies_of(resources), specification.roles(), allows),
            (trusts_of(resources), specification.trusts(), trusts),
        ):
            if sorted(name[:-8] for name in found) != sorted(specified):
                return False
            for name, rows in found.items():
                key = json.dumps([name, rows, build.__name__], sort_keys=True)
                if key not in proved:
                    verdicts = same(rows, specified[name[:-8]], build)
                    proved[key] = all(verdict.proved for verdict in verdicts)
                if not proved[key]:
                    return False
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, UnknownReferenceError):
        # What can't be read as a stack is no stack.
        return False
    return True


def survivors(template, stage, region, step):
    proved = {}
    seen, left = 0, []
    assert survives(template, stage, region, proved)
    for what, mutant in itertools.islice(mutants(template), 0, None, step):
        seen += 1
        if survives(mutant, stage, region, proved):
            left.append(what)
    return seen, left


@pytest.mark.parametrize(
    "step", [5, pytest.param(1, marks=pytest.mark.campaign)], ids=["every fifth", "all"]
)
def test_every_change_that_matters_is_noticed(synthesized, figure, step):
    stage = STAGES["dev"]
    template = synthesized(stage, "us-east-1").to_json()
    seen, left = survivors(template, stage, "us-east-1", step)
    figure(f"{seen} mutants of the main stack's template, {len(left)} survive: {left}")
    assert seen > 150
    assert len(left) <= 0.02 * seen, left
    assert {reason(what) for what in left} <= set(EXPLAINED), left


EXPLAINED = {
    "Path": "`/` is what a policy gets without one",
    "State": "a rule is enabled without it",
}


def reason(what):
    return what.rpartition(".")[2]
