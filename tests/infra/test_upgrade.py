"""An upgrade neither replaces nor loses what holds data, and what others hold on to."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stages import STAGES
from tests.infra.places import EXAMPLES, ROOT
from tunestack_cdk.upgrade import LASTING, losses, main

RELEASED = Path(__file__).with_name("released")
"""The templates of each version, as they were deployed."""
STAGE = {"dev": STAGES["dev"], "prod": EXAMPLES["three_stages"]["prod"]}


@pytest.mark.parametrize("file", sorted(RELEASED.glob("*/*.json")), ids=lambda file: file.stem)
def test_what_was_released_can_be_upgraded(synthesized, file):
    planned = synthesized(STAGE[file.stem]).to_json()
    assert [] == losses(json.loads(file.read_text()), planned)


@pytest.fixture(scope="module")
def deployed(synthesized):
    """Everything that there can be."""
    return synthesized(STAGE["prod"]).to_json()


def named(template, kind):
    return [name for name, row in template["Resources"].items() if row["Type"] == kind]


@pytest.mark.parametrize("kind", LASTING)
def test_what_lasts_is_missed_when_it_is_gone_or_renamed(deployed, kind):
    names = named(deployed, kind)
    assert names
    for name in names:
        less = copy.deepcopy(deployed)
        row = less["Resources"].pop(name)
        (loss,) = losses(deployed, less)
        assert loss.startswith(f"{name} ({kind}) would be ")
        less["Resources"][f"{name}2"] = row
        assert [loss] == losses(deployed, less)


FIXED = {
    "AWS::IAM::ManagedPolicy": {"Description": "another"},
    "AWS::IAM::Role": {"RoleName": "mine"},
    "AWS::Logs::LogGroup": {"LogGroupName": "mine"},
    "AWS::S3::Bucket": {"BucketName": "mine"},
    "AWS::SNS::Topic": {"TopicName": "mine"},
    "AWS::SQS::Queue": {"QueueName": "mine"},
    "AWS::SSM::Parameter": {"Name": "/mine"},
    "AWS::Scheduler::ScheduleGroup": {"Name": {"Fn::Sub": "${AWS::StackName}-x"}},
}


@pytest.mark.parametrize("kind", FIXED)
def test_a_property_that_cannot_change_replaces_it(deployed, kind):
    later = copy.deepcopy(deployed)
    name = named(deployed, kind)[0]
    later["Resources"][name]["Properties"] |= FIXED[kind]
    (loss,) = losses(deployed, later)
    (changed,) = FIXED[kind]
    assert f"would be replaced, as {changed} can't change" in loss


def test_what_refers_to_something_new_is_new_too():
    def template(name):
        return {
            "Resources": {
                "A": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}},
                "B": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": {"Ref": "A"}}},
                "C": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${B}"}}},
                "D": {"Type": "Custom::Thing", "Properties": {"Any": name}},
            }
        }

    assert ["A", "B", "C"] == [row[0] for row in losses(template("x"), template("y"))]


def test_what_is_kept_stays_kept(deployed):
    kept = [
        (name, policy)
        for name, row in deployed["Resources"].items()
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        if row["Type"] in LASTING and row.get(policy) == "Retain"
    ]
    assert len(kept) >= 8
    for name, policy in kept:
        for other in ("Delete", None):
            later = copy.deepcopy(deployed)
            del later["Resources"][name][policy]
            if other:
                later["Resources"][name][policy] = other
            (loss,) = losses(deployed, later)
            assert f"{policy} changes from Retain to Delete" in loss


def test_what_may_change_does(deployed):
    """Tags, policies, settings, another function: an upgrade is for that."""
    later = copy.deepcopy(deployed)
    for row in later["Resources"].values():
        for key in ("Tags", "PolicyDocument", "VersioningConfiguration", "Code", "Value"):
            row.get("Properties", {}).pop(key, None)
    assert [] == losses(deployed, later)


def run(*files):
    return subprocess.run(
        [sys.executable, "-m", "tunestack_cdk.upgrade", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(deployed, tmp_path):
    old, new, wrong = (tmp_path / name for name in ("old.json", "new.json", "wrong.json"))
    old.write_text(json.dumps(deployed))
    less = copy.deepcopy(deployed)
    (bucket,) = [name for name in named(less, "AWS::S3::Bucket") if name.startswith("DataBucket")]
    del less["Resources"][bucket]
    new.write_text(json.dumps(less))
    wrong.write_text("[]")
    lost = run(old, new)
    assert 1 == lost.returncode
    assert "would be left behind, and no longer used: it holds data" in lost.stderr
    assert main([str(old), str(old)]) is None
    assert "usage" in main([str(old)])
    assert "it has no Resources" in main([str(wrong), str(new)])
    assert "No such file" in main([str(tmp_path / "no.json"), str(new)])
