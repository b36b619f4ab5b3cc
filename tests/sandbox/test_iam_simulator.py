"""The sandbox's IAM decides as an independent simulator does, on thousands of requests and policies of the kinds in use.

The simulator's verdicts are on record, a letter each; `./check --full` asks it again, and on further cases.
"""

import hashlib
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.sandbox.iam_cases import ACCOUNT, ROLE, SESSION, cases
from tunestack.sandbox.iam import Access, Policies, Principal, PrincipalKind, decide, statements

SIMULATOR = Path(__file__).parents[1] / "simulator"
RECORD = SIMULATOR / "verdicts.txt"
COUNT = 12_000
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
    return [statement for document in documents for statement in statements(document)]


def verdict(case, change=lambda policies: policies):
    policies = {
        "identity": read(case["identity"]),
        "boundary": read(case["boundary"]),
        "session": read(case["sessionPolicy"]),
        "resource": read(case["resourcePolicy"]),
        "resource_decides": case["action"].split(":")[0] in ("kms", "sts"),
    }
    access = Access(
        principal=principal_of(case),
        action=case["action"],
        resource=case["resource"],
        account=ACCOUNT,
        context=case["context"],
    )
    return LETTERS[decide(access, Policies(**change(policies))).verdict]


def explained(case):
    """Name the rule by which AWS's documentation and the simulator differ on a case; `None` if there is none."""
    team = "aws:PrincipalTag/team"
    if f"${{{team}}}" in json.dumps(case) and team not in case["context"]:
        # User guide, reference_policies_variables: "the value is effectively null. There is no equal or like value":
        # so a negated operator holds. The simulator lets it fail.
        return "a variable that the request does not know"
    if case["sessionPolicy"] and SESSION in json.dumps(case["resourcePolicy"]):
        # User guide, access_policies (session policies): what a resource-based policy grants to the session's own ARN is
        # not limited by the session policy. The simulator limits it.
        return "a session that is named in person"
    return None


def compared(made, theirs):
    """Count the cases by what comes of the comparison."""
    found = Counter()
    for case, letter in zip(made, theirs, strict=True):
        found["agreed" if verdict(case) == letter else explained(case) or "unexplained"] += 1
    return found


def digest(made):
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def test_every_recorded_verdict_is_agreed_with_or_explained():
    expected, theirs = RECORD.read_text().split()
    made = cases(COUNT)
    assert expected == digest(made), "the cases have changed: record the verdicts again"
    found = compared(made, theirs)
    assert 0 == found["unexplained"], found
    assert found["agreed"] > 0.98 * COUNT
    assert set("AEI") == set(theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda policies: policies | {"boundary": None},
        lambda policies: policies | {"session": None},
        lambda policies: policies | {"resource": []},
        lambda policies: policies | {"resource_decides": False},
        lambda policies: policies | {"identity": policies["identity"][:1]},
    ],
    ids=["no boundary", "no session policy", "no resource policy", "no key policy", "one policy"],
)
def test_an_evaluator_that_forgets_something_is_found_out(change):
    """The negative control: each kind of policy matters in some recorded case."""
    theirs = RECORD.read_text().split()[1]
    assert any(
        verdict(case, change) != letter and not explained(case)
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
        assert 0 == compared(further, simulated(further))["unexplained"]
