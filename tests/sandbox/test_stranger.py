"""An external project with its own tests, the installed wheel, and no network."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Create a folder with the example's files and an environment with the wheel and pytest, from the lock file and the cache."""
    place = tmp_path_factory.mktemp("stranger")
    shutil.copytree(ROOT / "examples/your_project", place / "project")
    sync = ["uv", "sync", "--frozen", "--offline", "--quiet"]
    for what in (
        ["--package", "tunestack", "--extra", "sandbox", "--no-editable"],
        ["--only-group", "dev", "--inexact"],
    ):
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(place / "venv")}
        # With the path of a Python, uv would create the environment again the second time.
        environment.pop("UV_PYTHON", None)
        subprocess.run([*sync, *what], cwd=ROOT, env=environment, check=True)
    return place


def test_the_tests_of_the_example_project_pass_without_a_network(project):
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
        [*(alone if possible else []), project / "venv/bin/pytest", "-q"],
        cwd=project / "project",
        env={name: value for name, value in os.environ.items() if "COV" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
