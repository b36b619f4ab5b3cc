"""What public scanners say of every stage: nothing that is not acknowledged here, with a reason and the proof that covers it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cdk_nag
import pytest
from aws_cdk import aws_s3 as s3

from tests.infra.places import PLACES

ACKNOWLEDGED = {
    r"AwsSolutions-IAM5\[Resource::.*\]": (
        "jobs, models, endpoints and objects have no names before they are made; List has no resource",
        "test_proofs.py::test_granted_is_specified",
    ),
    r"NIST\.800\.53\.R5-LambdaConcurrency|CKV_AWS_115": (
        "reserved concurrency can't be had in a new account, whose limit is ten: the stack could not be deployed",
        "test_guard_deployed.py (two at a time do no harm: whatever is ended twice is gone)",
    ),
    r"NIST\.800\.53\.R5-LambdaInsideVPC|CKV_AWS_117": (
        "the guard calls AWS and nobody else; in a network it would need endpoints, and end nothing when they fail",
        "test_proofs.py::test_granted_is_specified",
    ),
    r"NIST\.800\.53\.R5-S3BucketReplicationEnabled": (
        "a stage keeps its data in the region that it says; old versions are kept",
        "test_invariants.py::test_it_holds",
    ),
    r"NIST\.800\.53\.R5-S3DefaultEncryptionKMS|CKV_AWS_18": (
        "the bucket of access logs: S3 writes them to buckets with its own encryption only, and logging it would log itself",
        "test_invariants.py::test_it_holds",
    ),
}


def open_findings(found):
    return sorted(
        rule for rule in found if not any(re.fullmatch(known, rule) for known in ACKNOWLEDGED)
    )


def nagged(stack):
    app = stack.node.root
    return {
        violation.rule_name
        for pack in (cdk_nag.AwsSolutionsChecks(app), cdk_nag.NIST80053R5Checks(app))
        for violation in pack.validate_scope(app).violations
    }


def linted(templates, folder):
    """What cfn-lint finds in templates by their names; in one run, which takes most of its time to begin."""
    for name, template in templates.items():
        (folder / f"{name}.json").write_text(json.dumps(template))
    done = subprocess.run(
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
        for row in json.loads(done.stdout)
    ]


def test_few_things_are_acknowledged_and_each_has_its_reason_and_proof():
    assert len(ACKNOWLEDGED) <= 5
    assert all(reason and ".py" in proof for reason, proof in ACKNOWLEDGED.values())


@pytest.mark.parametrize(("stage", "region"), PLACES)
def test_cdk_nag_finds_nothing_else(stack, stage, region):
    found = nagged(stack(stage, region))
    assert [] == open_findings(found)


@pytest.mark.parametrize(
    "places", [PLACES[:1], pytest.param(PLACES, marks=pytest.mark.campaign)], ids=["one", "all"]
)
def test_cfn_lint_finds_nothing(synthesized, tmp_path, places):
    templates = {place.id: synthesized(*place.values).to_json() for place in places}
    assert len(templates) == len(places)
    assert [] == linted(templates, tmp_path)


def test_what_is_wrong_is_found(stack, synthesized, tmp_path):
    stage, region = PLACES[0].values
    worse = stack(stage, region)
    s3.Bucket(worse, "Open", public_read_access=False)
    assert len(open_findings(nagged(worse))) > 3
    bad = {"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"No": 1}}}}
    good = synthesized(stage, region).to_json()
    (finding,) = linted({"good": good, "bad": bad}, tmp_path)
    assert finding.startswith("bad: E3002")


def checked(folder):
    """What checkov finds; it is as large as all else together, so it is brought when it is needed."""
    done = subprocess.run(
        [
            *("uv", "tool", "run", "--quiet", "--from", "checkov==3.3.30", "checkov"),
            *("--directory", folder, "--framework", "cloudformation"),
            *("--compact", "--quiet", "--skip-download", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    reports = json.loads(done.stdout)
    reports = reports if isinstance(reports, list) else [reports]
    return {
        row["check_id"]
        for report in reports
        for row in report.get("results", {}).get("failed_checks", [])
    }


@pytest.mark.campaign
def test_checkov_finds_nothing_else(synthesized, tmp_path):
    for number, place in enumerate(PLACES):
        stage, region = place.values
        template = synthesized(stage, region).to_json()
        (tmp_path / f"{number}.json").write_text(json.dumps(template))
    assert [] == open_findings(checked(tmp_path))
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
    assert len(open_findings(checked(bad))) > 3
