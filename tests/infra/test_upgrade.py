"""An upgrade keeps the resources that contain data or that are used outside the stack."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages import STAGES
from tests.infra.example_stages import EXAMPLES, ROOT
from tunestack_cdk.upgrade import STATEFUL_TYPES, find_losses, main

RELEASED = Path(__file__).with_name("released")
"""The templates of each released version."""
STAGES_BY_NAME = {"dev": STAGES["dev"], "prod": EXAMPLES["three_stages"]["prod"]}


@pytest.mark.parametrize("file", sorted(RELEASED.glob("*/*.json")), ids=lambda file: file.stem)
def test_upgrade_from_a_released_version_loses_nothing(synthesized, file):
    planned = synthesized(STAGES_BY_NAME[file.stem]).to_json()
    assert find_losses(json.loads(file.read_text()), planned) == []


@pytest.fixture(scope="module")
def deployed(synthesized):
    """The template of a stage that has all resource types."""
    return synthesized(STAGES_BY_NAME["prod"]).to_json()


def get_names(template, kind):
    return [name for name, row in template["Resources"].items() if row["Type"] == kind]


@pytest.mark.parametrize("kind", STATEFUL_TYPES)
def test_deleted_or_renamed_resource_is_a_loss(deployed, kind):
    names = get_names(deployed, kind)
    assert names
    for name in names:
        planned = copy.deepcopy(deployed)
        resource = planned["Resources"].pop(name)
        (loss,) = find_losses(deployed, planned)
        assert loss.startswith(f"{name} ({kind}) would be ")
        planned["Resources"][f"{name}2"] = resource
        assert find_losses(deployed, planned) == [loss]


CREATE_ONLY_PROPERTIES: dict[str, dict[str, Any]] = {
    "AWS::IAM::ManagedPolicy": {"Description": "another"},
    "AWS::IAM::Role": {"RoleName": "mine"},
    "AWS::Logs::LogGroup": {"LogGroupName": "mine"},
    "AWS::S3::Bucket": {"BucketName": "mine"},
    "AWS::SNS::Topic": {"TopicName": "mine"},
    "AWS::SQS::Queue": {"QueueName": "mine"},
    "AWS::SSM::Parameter": {"Name": "/mine"},
    "AWS::Scheduler::ScheduleGroup": {"Name": {"Fn::Sub": "${AWS::StackName}-x"}},
}


@pytest.mark.parametrize("kind", CREATE_ONLY_PROPERTIES)
def test_changed_create_only_property_is_a_replacement(deployed, kind):
    planned = copy.deepcopy(deployed)
    name = get_names(deployed, kind)[0]
    planned["Resources"][name]["Properties"] |= CREATE_ONLY_PROPERTIES[kind]
    (loss,) = find_losses(deployed, planned)
    (property_name,) = CREATE_ONLY_PROPERTIES[kind]
    assert f"would be replaced because {property_name} changes" in loss


def test_reference_to_a_replaced_resource_is_a_replacement():
    def template(name):
        return {
            "Resources": {
                "A": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}},
                "B": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": {"Ref": "A"}}},
                "C": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${B}"}}},
                "D": {"Type": "Custom::Thing", "Properties": {"Any": name}},
            }
        }

    losses = find_losses(template("x"), template("y"))
    assert [loss[0] for loss in losses] == ["A", "B", "C"]


def test_resource_that_is_no_longer_retained_is_a_loss(deployed):
    retained = [
        (name, attribute)
        for name, row in deployed["Resources"].items()
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy")
        if row["Type"] in STATEFUL_TYPES and row.get(attribute) == "Retain"
    ]
    assert len(retained) >= 8
    for name, attribute in retained:
        for value in ("Delete", None):
            planned = copy.deepcopy(deployed)
            del planned["Resources"][name][attribute]
            if value:
                planned["Resources"][name][attribute] = value
            (loss,) = find_losses(deployed, planned)
            assert f"{attribute} changes from Retain to Delete" in loss


def test_properties_that_change_in_place_are_no_loss(deployed):
    planned = copy.deepcopy(deployed)
    for row in planned["Resources"].values():
        for key in ("Tags", "PolicyDocument", "VersioningConfiguration", "Code", "Value"):
            row.get("Properties", {}).pop(key, None)
    assert find_losses(deployed, planned) == []


def run_upgrade(*files):
    return subprocess.run(
        [sys.executable, "-m", "tunestack_cdk.upgrade", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_prints_losses_and_errors(deployed, tmp_path):
    old, new, invalid = (tmp_path / name for name in ("old.json", "new.json", "invalid.json"))
    old.write_text(json.dumps(deployed))
    planned = copy.deepcopy(deployed)
    (bucket,) = [
        name for name in get_names(planned, "AWS::S3::Bucket") if name.startswith("DataBucket")
    ]
    del planned["Resources"][bucket]
    new.write_text(json.dumps(planned))
    invalid.write_text("[]")
    completed = run_upgrade(old, new)
    assert completed.returncode == 1
    assert "would be retained, but no longer used: it contains data" in completed.stderr
    assert main([str(old), str(old)]) is None
    for arguments, message in (
        ([old], "usage"),
        ([invalid, new], "it has no Resources"),
        ([tmp_path / "no.json", new], "No such file"),
    ):
        error = main([str(argument) for argument in arguments])
        assert error is not None
        assert message in error
