"""The invariants hold for every stack of every stage, and find every relevant change of a template."""

import itertools
import json
from typing import Any

import pytest

from stages import STAGES
from tests.infra.example_stages import EVALUATING, EXAMPLES, STAGE_REGIONS
from tests.infra.invariants.stack import StackChecks
from tests.infra.mutants import generate_mutants
from tests.infra.proofs import build_policy, build_trust_policy, prove_equal
from tests.infra.resolver import (
    Resolver,
    UnknownReferenceError,
    collect_policies,
    collect_trust_policies,
)
from tests.infra.specification import Specification
from tunestack_cdk.stage import Stage

LLAMA_MODELS = tuple(key for key in STAGES["dev"].base_models if key.startswith("llama"))
EQUIVALENT_PROPERTIES = {
    "Comment": "it describes the state machine",
    "Path": "`/` is the default",
    "State": "`ENABLED` is the default",
}
"""Properties whose mutants are not found, because they change nothing."""


@pytest.mark.parametrize(("stage", "region"), STAGE_REGIONS)
def test_invariants_hold(synthesized, stage, region):
    template = synthesized(stage, region).to_json()
    account = stage.account or "111122223333"
    resources = Resolver(template, region=region, account=account).resolve()
    assert StackChecks(resources, stage, region).find_violations() == []


def test_permissions_contain_no_account_id(synthesized):
    """They use pseudo parameters instead, so that a template is valid in every account."""
    stage = EXAMPLES["three_stages"]["dev"]
    for name, row in synthesized(stage).to_json()["Resources"].items():
        if row["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Role"):
            assert stage.account not in json.dumps(row), name


def test_policies_with_the_longest_names_are_below_the_size_limit(synthesized):
    """AWS accepts 6,144 characters without white space. Names that CloudFormation generates have up to 64 characters."""
    stage = Stage(
        name="a" * 20,
        account="111122223333",
        regions=("us-west-2",),
        base_models=LLAMA_MODELS,
        data_prefix="p" * 50,
        model_key=True,
        run_evaluation=True,
    )
    resources = Resolver(synthesized(stage, "us-west-2").to_json(), region="us-west-2").resolve()
    for name, row in resources.items():
        if row["Type"] == "AWS::IAM::ManagedPolicy":
            text = json.dumps(row["Properties"]["PolicyDocument"], separators=(",", ":"))
            for logical_id, other in resources.items():
                max_length = 36 if other["Type"] == "AWS::KMS::Key" else 64
                text = text.replace(logical_id, logical_id.ljust(max_length, "x"))
            assert len(text) < 6144, (name, len(text))


@pytest.mark.parametrize("stage", [STAGES["dev"], EXAMPLES["three_stages"]["prod"]])
def test_termination_protection_is_on_if_data_is_retained(stack, stage):
    assert stack(stage).termination_protection == stage.retain_data


def test_qualifier_of_the_bootstrap_stack_is_used(synthesized):
    template = synthesized(EXAMPLES["many_accounts"]["search"]).to_json()
    assert "/cdk-bootstrap/platform/version" in json.dumps(template["Parameters"])


def is_accepted(template, stage, region, proved):
    """Return whether a template passes the invariants, and grants what is specified; `proved` caches the proofs."""
    try:
        resources = Resolver(template, region=region).resolve()
        if StackChecks(resources, stage, region).find_violations():
            return False
        specification = Specification(stage, region)
        for policies, specified, build in (
            (collect_policies(resources), specification.permissions(), build_policy),
            (
                collect_trust_policies(resources),
                specification.trust_policies(),
                build_trust_policy,
            ),
        ):
            if sorted(name[:-8] for name in policies) != sorted(specified):
                return False
            for name, rows in policies.items():
                key = json.dumps([name, rows, build.__name__], sort_keys=True)
                if key not in proved:
                    verdicts = prove_equal(rows, specified[name[:-8]], build)
                    proved[key] = all(verdict.is_proved for verdict in verdicts)
                if not proved[key]:
                    return False
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, UnknownReferenceError):
        # The template is not valid.
        return False
    return True


@pytest.mark.parametrize(
    "step", [10, pytest.param(1, marks=pytest.mark.campaign)], ids=["some", "all"]
)
def test_every_relevant_change_of_the_functions_of_runs_is_found(synthesized, figure, step):
    stage = EVALUATING.model_copy(update={"account": None, "network": None})
    resolvable = synthesized(stage, "us-east-1").to_json()
    for name, row in resolvable["Resources"].items():
        if name.startswith(("RunEvaluatorFunction", "RunSchedulesStarterFunction")):
            row["Properties"]["Code"]["S3Bucket"] = "assets"
    proved: dict[Any, Any] = {}
    assert is_accepted(resolvable, stage, "us-east-1", proved)
    mutants = [
        (description, build)
        for description, build in generate_mutants(resolvable)
        if "RunEvaluator" in description or "RunSchedules" in description
    ][::step]
    survivors = [
        description
        for description, build in mutants
        if is_accepted(build(), stage, "us-east-1", proved)
    ]
    figure(
        f"{len(mutants)} mutants of the functions of runs, {len(survivors)} survive: {survivors}"
    )
    assert len(mutants) > 20
    assert {name.rpartition(".")[2] for name in survivors} <= {*EQUIVALENT_PROPERTIES, "S3Key"}


@pytest.mark.parametrize(
    "step", [10, pytest.param(1, marks=pytest.mark.campaign)], ids=["some", "all"]
)
def test_every_relevant_change_is_found(synthesized, figure, step):
    stage, region = STAGES["dev"], "us-east-1"
    proved: dict[Any, Any] = {}
    template = synthesized(stage, region).to_json()
    assert is_accepted(template, stage, region, proved)
    total, survivors = 0, []
    for description, build in itertools.islice(generate_mutants(template), 0, None, step):
        total += 1
        if is_accepted(build(), stage, region, proved):
            survivors.append(description)
    figure(f"{total} mutants of the main stack's template, {len(survivors)} survive: {survivors}")
    assert total > 1600 / step
    assert len(survivors) <= 0.02 * total, survivors
    properties = {description.rpartition(".")[2] for description in survivors}
    assert properties <= set(EQUIVALENT_PROPERTIES), survivors
