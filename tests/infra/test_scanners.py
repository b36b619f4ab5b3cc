"""Public scanners find nothing in any stage, except for findings that are acknowledged here with a reason and a test."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cdk_nag
import pytest
from aws_cdk import aws_s3 as s3

from tests.infra.example_stages import STAGE_REGIONS

ACKNOWLEDGED = {
    r"AwsSolutions-IAM5\[Resource::.*\]": (
        "jobs, models, endpoints and objects have no names before they are created; List actions have no resource",
        "test_proofs.py::test_granted_permissions_equal_the_specification",
    ),
    r"NIST\.800\.53\.R5-LambdaConcurrency|CKV_AWS_115": (
        "a new account has a concurrency limit of ten, of which nothing can be reserved: the stack could not be deployed",
        "test_guard_deployed.py (concurrent invocations are safe: deleting a deleted endpoint has no effect)",
    ),
    r"NIST\.800\.53\.R5-LambdaInsideVPC|CKV_AWS_117": (
        "the guard calls AWS only; in a VPC it would need endpoints, and could delete nothing if they fail",
        "test_proofs.py::test_granted_permissions_equal_the_specification",
    ),
    r"NIST\.800\.53\.R5-LambdaDLQ|CKV_AWS_116": (
        "a dead-letter queue gets asynchronous invocations only; the state machine invokes the evaluator, and has its errors",
        "test_run_evaluation.py::test_killed_function_continues",
    ),
    r"AwsSolutions-SF2": (
        "the history of an execution has all that a trace would have, without more permissions",
        "test_proofs.py::test_granted_permissions_equal_the_specification",
    ),
    r"NIST\.800\.53\.R5-S3BucketReplicationEnabled": (
        "a stage keeps its data in its own region; noncurrent versions are retained",
        "test_invariants.py::test_invariants_hold",
    ),
    r"NIST\.800\.53\.R5-S3DefaultEncryptionKMS|CKV_AWS_18": (
        "the bucket for access logs: S3 delivers them only to buckets with S3-managed encryption, and it can't log itself",
        "test_invariants.py::test_invariants_hold",
    ),
}

# cfn-lint's schema lacks expressions there (states-language.net/spec.html, "MaxConcurrency", read 2026-11-29).
JSONATA_FINDING = "'{% $states.input.max_parallel %}' is not of type 'number'"


def filter_unacknowledged(rules):
    return sorted(
        rule for rule in rules if not any(re.fullmatch(known, rule) for known in ACKNOWLEDGED)
    )


def run_cdk_nag(stack):
    app = stack.node.root
    return {
        violation.rule_name
        for pack in (cdk_nag.AwsSolutionsChecks(app), cdk_nag.NIST80053R5Checks(app))
        for violation in pack.validate_scope(app).violations
    }


def run_cfn_lint(templates, folder):
    """Return the findings of cfn-lint. It checks all templates in one run, because it is slow to start."""
    for name, template in templates.items():
        (folder / f"{name}.json").write_text(json.dumps(template))
    completed = subprocess.run(
        [
            *(Path(sys.executable).with_name("cfn-lint"), "--format", "json"),
            *("--template", *(folder / f"{name}.json" for name in templates)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return [
        f"{Path(row['Filename']).stem}: {row['Rule']['Id']} {row['Message']}"
        for row in json.loads(completed.stdout)
        if row["Rule"]["Id"] != "E3601" or row["Message"] != JSONATA_FINDING
    ]


def test_acknowledged_findings_are_few_and_have_a_reason_and_a_test():
    assert len(ACKNOWLEDGED) <= 7
    assert all(reason and ".py" in test for reason, test in ACKNOWLEDGED.values())


@pytest.mark.parametrize(("stage", "region"), STAGE_REGIONS)
def test_cdk_nag_finds_nothing_else(stack, stage, region):
    assert filter_unacknowledged(run_cdk_nag(stack(stage, region))) == []


@pytest.mark.parametrize(
    "parameters",
    [STAGE_REGIONS[:1], pytest.param(STAGE_REGIONS, marks=pytest.mark.campaign)],
    ids=["one", "all"],
)
def test_cfn_lint_finds_nothing(synthesized, tmp_path, parameters):
    templates = {row.id: synthesized(*row.values).to_json() for row in parameters}
    assert len(templates) == len(parameters)
    assert run_cfn_lint(templates, tmp_path) == []


def test_scanners_find_bad_resources(stack, synthesized, tmp_path):
    stage, region = STAGE_REGIONS[0].values
    bad_stack = stack(stage, region)
    s3.Bucket(bad_stack, "Open", public_read_access=False)
    assert len(filter_unacknowledged(run_cdk_nag(bad_stack))) > 3
    bad = {"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"No": 1}}}}
    good = synthesized(stage, region).to_json()
    (finding,) = run_cfn_lint({"good": good, "bad": bad}, tmp_path)
    assert finding.startswith("bad: E3002")


def run_checkov(folder):
    """Return the failed checks of checkov, which is installed on demand because it is large."""
    completed = subprocess.run(
        [
            *("uv", "tool", "run", "--quiet", "--from", "checkov==3.3.30", "checkov"),
            *("--directory", folder, "--framework", "cloudformation"),
            *("--compact", "--quiet", "--skip-download", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    reports = json.loads(completed.stdout)
    reports = reports if isinstance(reports, list) else [reports]
    return {
        row["check_id"]
        for report in reports
        for row in report.get("results", {}).get("failed_checks", [])
    }


@pytest.mark.campaign
def test_checkov_finds_nothing_else(synthesized, tmp_path):
    for number, row in enumerate(STAGE_REGIONS):
        stage, region = row.values
        template = synthesized(stage, region).to_json()
        (tmp_path / f"{number}.json").write_text(json.dumps(template))
    assert filter_unacknowledged(run_checkov(tmp_path)) == []
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "bad.json").write_text(
        json.dumps(
            {
                "AWSTemplateFormatVersion": "2010-09-09",
                "Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": {}}},
            }
        )
    )
    assert len(filter_unacknowledged(run_checkov(bad))) > 3
