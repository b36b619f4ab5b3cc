"""The CI workflow and the pre-commit hooks refer to existing files, and every action is pinned to a commit."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
TOOLCHAIN = (ROOT / "scripts/toolchain.sh").read_text()


def read_steps():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_every_action_is_pinned_to_a_commit_with_its_version():
    lines = [line.strip() for line in WORKFLOW.read_text().splitlines() if "uses:" in line]
    pinned = re.compile(r"- uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert lines
    assert [line for line in lines if not pinned.fullmatch(line)] == []


def test_each_action_has_one_version():
    pins = set(re.findall(r"uses: (.*)", WORKFLOW.read_text()))
    actions = [pin.partition("@")[0] for pin in pins]
    assert sorted(actions) == sorted(set(actions))


def test_the_scripts_of_the_workflow_exist():
    commands = " ".join(step["run"] for step in read_steps() if "run" in step)
    scripts = re.findall(r"(?:\./|scripts/)[\w.]+", commands)
    assert set(scripts) == {
        "./check",
        "scripts/build.sh",
        "scripts/matrix.sh",
        "scripts/toolchain.sh",
    }
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


def test_the_release_uses_the_uv_of_the_toolchain():
    version = re.search(r"^UV_VERSION=(\S+)", TOOLCHAIN, re.MULTILINE)
    assert version is not None
    assert f"pip install uv=={version[1]}" in WORKFLOW.read_text()


def test_only_the_release_may_request_an_identity_token():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    permissions = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
    assert permissions.pop("release") == {"id-token": "write"}
    assert set(permissions.values()) == {None}


def test_the_tests_run_on_every_python_version_of_matrix_sh():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f"versions=({' '.join(versions)})" in (ROOT / "scripts/matrix.sh").read_text()


@pytest.mark.parametrize(
    "path",
    [
        ".pre-commit-config.yaml",
        ".github/dependabot.yml",
        *(f".github/ISSUE_TEMPLATE/{n}.yml" for n in ("bug", "feature")),
    ],
)
def test_the_yaml_files_can_be_read(path):
    assert yaml.safe_load((ROOT / path).read_text())
