"""Who may know what, and that breaking it is noticed."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tunestack

ROOT = Path(__file__).parents[2]
HEAVY = ("boto3", "botocore", "openai", "dspy", "litellm", "aws_cdk")


def loaded_by(statement, *names):
    """Tell which modules a statement loads in a process of its own."""
    code = f"import sys\n{statement}\nprint(*[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("module", ["tunestack", "tunestack.deployment", "tunestack.catalog"])
def test_importing_costs_nothing(module):
    assert [] == loaded_by(f"import {module}; {module}.__doc__", *HEAVY)


def test_the_catalog_is_read_without_anything_heavy():
    assert [] == loaded_by("from tunestack.catalog import CATALOG; len(CATALOG)", *HEAVY)


def test_the_stacks_load_no_client():
    assert ["aws_cdk"] == loaded_by("import tunestack_cdk.stack", *HEAVY)


def test_what_is_loaded_is_noticed():
    """The negative control: using the SDK does load boto3."""
    assert ["boto3", "botocore"] == loaded_by("import tunestack; tunestack.Tuner", *HEAVY)


def test_the_public_names_are_sorted_and_exist():
    assert sorted(tunestack.__all__) == tunestack.__all__
    for name in tunestack.__all__:
        assert getattr(tunestack, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Tunner'"):
        tunestack.Tunner  # noqa: B018


BREACHES = {
    "the SDK imports neither CDK, nor the constructs, nor the sandbox": (
        "sdk/src/tunestack/jobs/job.py",
        "import tunestack_sandbox",
    ),
    "the constructs and the sandbox import from the SDK only deployment, catalog and errors": (
        "sandbox/src/tunestack_sandbox/clock.py",
        "from tunestack import records",
    ),
    "the constructs and the sandbox do not import each other": (
        "sandbox/src/tunestack_sandbox/stage.py",
        "from tunestack_cdk import stage",
    ),
    "the constructs call no service": ("infra/src/tunestack_cdk/stack.py", "import boto3"),
    "the endpoint guard's handler imports nothing but boto3": (
        "infra/src/tunestack_cdk/constructs/endpoint_guard_handler.py",
        "from tunestack_cdk import stage",
    ),
    "the layers of the SDK": ("sdk/src/tunestack/polling.py", "from tunestack import jobs"),
}
SOURCES = ("infra/src", "sandbox/src", "sdk/src")


@pytest.fixture
def copy(tmp_path):
    """A copy of the code, to be broken."""
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder):
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={
            "PYTHONPATH": ":".join(str(folder / source) for source in SOURCES),
            "PATH": "",
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_shown_to_bite():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = [row["name"] for row in config["tool"]["importlinter"]["contracts"]]
    assert contracts == [*BREACHES]


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_of_a_contract_is_found(copy, contract):
    path, line = BREACHES[contract]
    module = copy / path
    module.write_text(f"{module.read_text()}\n{line}\n")
    done = lint(copy)
    assert 0 != done.returncode
    assert f"{contract} BROKEN" in " ".join(done.stdout.split())


def test_a_new_module_needs_a_layer(copy):
    (copy / "sdk/src/tunestack/utils.py").write_text('"""Things."""\n')
    done = lint(copy)
    assert 0 != done.returncode
    assert "utils" in done.stdout


def test_the_code_as_it_is_keeps_every_contract(copy):
    done = lint(copy)
    assert 0 == done.returncode, done.stdout
