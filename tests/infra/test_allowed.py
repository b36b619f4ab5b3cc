"""An independent IAM simulator evaluates all AWS actions for each role; the result is compared with allowed.txt."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.example_stages import EVALUATING
from tests.infra.resolver import Resolver, collect_policies
from tests.infra.simulated_requests import ACCOUNT, REGION, ROLES, build_requests

SIMULATOR = Path(__file__).parents[1] / "simulator"
ALLOWED = Path(__file__).with_name("allowed.txt")


def simulate(question):
    subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=SIMULATOR, check=True)
    completed = subprocess.run(
        ["node", "allowed.mjs"],
        cwd=SIMULATOR,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(completed.stdout)


def format_allowed(answer):
    """Return one line for each role and request with allowed actions."""
    return "".join(
        f"{role}, {label}: {' '.join(actions)}\n"
        for role, rows in answer["allowed"].items()
        for label, actions in rows.items()
    )


@pytest.mark.campaign
def test_each_role_is_allowed_exactly_the_listed_actions(synthesized):
    template = synthesized(EVALUATING).to_json()
    resources = Resolver(template, account=ACCOUNT, region=REGION).resolve()
    policies = collect_policies(resources)
    roles: dict[str, dict[str, Any]] = {}
    for role, prefix in ROLES.items():
        (name,) = [logical_id for logical_id in policies if logical_id[:-8] == prefix]
        document: dict[str, Any] = {"Version": "2012-10-17", "Statement": policies[name]}
        principal = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        roles[role] = {"principal": principal, "identity": [document]}
    requests = build_requests(resources)
    answer = simulate({"roles": roles, "places": requests})
    assert answer["asked"] > 100_000
    assert format_allowed(answer) == ALLOWED.read_text()

    # Negative control: an additional permission is found.
    document = roles["invoker"]["identity"][0]
    additional = {"Effect": "Allow", "Action": "iam:Pass*", "Resource": "*"}
    document["Statement"] = [*document["Statement"], additional]
    iam_requests = [row for row in requests if row["service"] == "iam"]
    answer = simulate({"roles": {"invoker": roles["invoker"]}, "places": iam_requests})
    assert format_allowed(answer).count("iam:PassRole") == len(iam_requests)
