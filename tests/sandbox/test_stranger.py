"""An external project with its own tests, the installed wheel, and no network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path):
    """Copy the files of the example."""
    return shutil.copytree(ROOT / "examples/your_project", tmp_path / "project")


@pytest.fixture
def installed_pytest(tmp_path):
    """Create an environment with the wheel and pytest, from the lock file and the cache."""
    sync = ["uv", "sync", "--frozen", "--offline", "--quiet"]
    for what in (
        ["--package", "tunestack", "--extra", "sandbox", "--no-editable"],
        ["--only-group", "dev", "--inexact"],
    ):
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
        # With the path of a Python, uv would create the environment again the second time.
        environment.pop("UV_PYTHON", None)
        subprocess.run([*sync, *what], cwd=ROOT, env=environment, check=True)
    return tmp_path / "venv/bin/pytest"


def test_the_tests_of_the_example_project_pass_without_a_network(project):
    run_without_network(project, Path(sys.executable).with_name("pytest"))


@pytest.mark.campaign
def test_the_tests_of_the_example_project_pass_with_the_installed_wheel(project, installed_pytest):
    run_without_network(project, installed_pytest)


def run_without_network(project, program):
    # Use a network namespace with only loopback, if the machine supports it.
    alone = [
        "unshare",
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        'ip link set lo up && exec "$0" "$@"',
    ]
    possible = not subprocess.run([*alone, "true"], capture_output=True, check=False).returncode
    done = subprocess.run(
        [*(alone if possible else []), program, "-q"],
        cwd=project,
        env={name: value for name, value in os.environ.items() if "COV" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
