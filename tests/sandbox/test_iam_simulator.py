"""Compare the sandbox's IAM with an independent simulator, on thousands of requests and policies.

The simulator's verdicts are on record, a letter each; `./check --full` asks it again, and on further cases.
"""

import copy
import hashlib
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.sandbox.iam_cases import ACCOUNT, ROLE, SESSION, cases
from tunestack_sandbox.iam import (
    AccessRequest,
    Policies,
    Principal,
    PrincipalKind,
    decide,
    parse_statements,
)

SIMULATOR = Path(__file__).parents[1] / "simulator"
RECORD = SIMULATOR / "verdicts.txt"
COUNT, EXPLAINED = 12_000, 160
TEAM = "aws:PrincipalTag/team"
LETTERS = {
    "allowed": "A",
    "Allowed": "A",
    "explicitly denied": "E",
    "ExplicitlyDenied": "E",
    "implicitly denied": "I",
    "ImplicitlyDenied": "I",
}


def principal_of(case):
    arn = case["principal"]
    if arn == SESSION:
        return Principal(kind=PrincipalKind.SESSION, arn=arn, account=ACCOUNT, role=ROLE)
    if arn.startswith("arn:"):
        return Principal(kind=PrincipalKind.USER, arn=arn, account=ACCOUNT)
    return Principal(kind=PrincipalKind.SERVICE, arn=arn)


def read(documents):
    if documents is None:
        return None
    documents = documents if isinstance(documents, list) else [documents]
    return [statement for document in documents for statement in parse_statements(document)]


def verdict(case, change=lambda policies: policies):
    policies = {
        "identity": read(case["identity"]),
        "boundary": read(case["boundary"]),
        "session": read(case["sessionPolicy"]),
        "resource": read(case["resourcePolicy"]),
        "requires_resource_policy": case["action"].split(":")[0] in ("kms", "sts"),
    }
    access = AccessRequest(
        principal=principal_of(case),
        action=case["action"],
        resource=case["resource"],
        account=ACCOUNT,
        context=case["context"],
    )
    return LETTERS[decide(access, Policies(**change(policies))).verdict]


def as_the_simulator(case):
    """Evaluate with the two rules in which the simulator differs from AWS's documentation."""
    # User guide, reference_policies_variables: if the request has no value for a variable, "the value is effectively null.
    # There is no equal or like value". So a negated operator matches; in the simulator it does not match.
    case = _without_unknown_variables(case)
    letter = verdict(case)
    # User guide, access_policies_boundaries and reference_policies_elements_principal: permissions that a resource policy grants to the
    # session's own ARN, or to a wildcard, are not limited by a session policy. The simulator limits them.
    if letter == "A" and case["sessionPolicy"] is not None:
        alone = {**case, "identity": [case["sessionPolicy"]], "sessionPolicy": None}
        alone |= {"boundary": None, "resourcePolicy": _of_the_account(case)}
        return letter if verdict(alone) == "A" else "I"
    return letter


def _of_the_account(case):
    """Return the policy of a KMS key, which delegates to the identity policies."""
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    row = {"Effect": "Allow", "Principal": root, "Action": "*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [row]}


def _without_unknown_variables(case):
    """Replace each condition that compares an existing value with a missing variable by one that does not match."""
    known = {key.lower() for key in case["context"]}
    if TEAM.lower() in known:
        return case
    changed = copy.deepcopy(case)
    documents = [*changed["identity"], *(changed["boundary"] or ())]
    documents += [changed[kind] for kind in ("sessionPolicy", "resourcePolicy") if changed[kind]]
    for row in (row for document in documents for row in document["Statement"]):
        for block in row.get("Condition", {}).values():
            for key, wanted in list(block.items()):
                if wanted == f"${{{TEAM}}}" and key.lower() in known | {"aws:resourceaccount"}:
                    del block[key]
                    row["Condition"] = {**row["Condition"], "Null": {"aws:PrincipalArn": "true"}}
    return changed


def compared(made, theirs):
    """Count the cases by the result of the comparison."""
    counts: Counter[str] = Counter()
    for case, letter in zip(made, theirs, strict=True):
        if verdict(case) == letter:
            counts["agreed"] += 1
        else:
            counts["explained" if as_the_simulator(case) == letter else "unexplained"] += 1
    return counts


def digest(made):
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def test_every_recorded_decision_matches_or_is_explained():
    expected, theirs = RECORD.read_text().split()
    made = cases(COUNT)
    assert expected == digest(made), "the cases have changed: record the verdicts again"
    found = compared(made, theirs)
    assert found == {"agreed": COUNT - EXPLAINED, "explained": EXPLAINED}
    assert set("AEI") == set(theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda policies: policies | {"boundary": None},
        lambda policies: policies | {"session": None},
        lambda policies: policies | {"resource": []},
        lambda policies: policies | {"requires_resource_policy": False},
        lambda policies: policies | {"identity": policies["identity"][:1]},
    ],
    ids=["no boundary", "no session policy", "no resource policy", "no key policy", "one policy"],
)
def test_an_incomplete_evaluator_is_detected(change):
    """Negative control: each kind of policy affects the result of at least one recorded case."""
    theirs = RECORD.read_text().split()[1]
    assert any(
        verdict(case) == letter != verdict(case, change)
        for case, letter in zip(cases(COUNT), theirs, strict=True)
    )


@pytest.mark.campaign
def test_the_simulator_decides_as_recorded_and_on_further_cases(tmp_path):
    subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=SIMULATOR, check=True)

    def simulated(made):
        done = subprocess.run(
            ["node", "simulate.mjs"],
            cwd=SIMULATOR,
            input="\n".join(map(json.dumps, made)),
            capture_output=True,
            text=True,
            check=True,
        )
        return "".join(LETTERS[json.loads(row)["decision"]] for row in done.stdout.splitlines())

    made = cases(COUNT)
    theirs = simulated(made)
    if not RECORD.exists():
        RECORD.write_text(f"{digest(made)}\n{theirs}\n")
    assert RECORD.read_text().split() == [digest(made), theirs]
    for seed in range(3):
        further = cases(20_000, seed=seed)
        assert compared(further, simulated(further))["unexplained"] == 0
