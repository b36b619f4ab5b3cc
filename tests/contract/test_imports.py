"""Import rules: what a module loads, and that import-linter finds every breach of a rule."""

import ast
import inspect
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from inspect import isclass
from pathlib import Path

import pytest

import tunestack
import tunestack.catalog
import tunestack.records

ROOT = Path(__file__).parents[2]
HEAVY = ("boto3", "botocore", "openai", "dspy", "litellm", "aws_cdk")


def list_loaded(statement, *names):
    """Return which of the modules a statement loads in a new process."""
    code = f"import sys\n{statement}\nprint(*[n for n in {names!r} if n in sys.modules])"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return completed.stdout.split()


@pytest.mark.parametrize("module", ["tunestack", "tunestack.deployment", "tunestack.catalog"])
def test_import_loads_no_heavy_module(module):
    assert list_loaded(f"import {module}; {module}.__doc__", *HEAVY) == []


def test_catalog_loads_no_heavy_module():
    assert list_loaded("from tunestack.catalog import CATALOG; len(CATALOG)", *HEAVY) == []


def test_stacks_load_no_client():
    assert list_loaded("import tunestack_cdk.stack", *HEAVY) == ["aws_cdk"]


def test_sdk_loads_boto3_on_first_use():
    """Negative control of the tests above."""
    assert list_loaded("import tunestack; tunestack.Tuner", *HEAVY) == ["boto3", "botocore"]


def test_public_names_exist_and_are_sorted():
    assert sorted(tunestack.__all__) == tunestack.__all__
    for name in tunestack.__all__:
        assert getattr(tunestack, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Tunner'"):
        tunestack.Tunner  # noqa: B018


@pytest.mark.parametrize("module", [tunestack.catalog, tunestack.records])
def test_signatures_of_public_classes_can_be_read(module):
    """Their annotations are evaluated, also by the documentation."""
    classes = [value for value in map(partial(getattr, module), module.__all__) if isclass(value)]
    assert len(classes) > 5
    for value in classes:
        inspect.signature(value)


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
    """A copy of the code for a breach."""
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run_lint_imports(folder):
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


def test_every_contract_has_a_breach():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = [row["name"] for row in config["tool"]["importlinter"]["contracts"]]
    assert contracts == [*BREACHES]


@pytest.mark.parametrize("contract", BREACHES)
def test_breach_of_a_contract_is_found(copy, contract):
    path, line = BREACHES[contract]
    module = copy / path
    module.write_text(f"{module.read_text()}\n{line}\n")
    completed = run_lint_imports(copy)
    assert completed.returncode != 0
    assert f"{contract} BROKEN" in " ".join(completed.stdout.split())


def test_module_without_a_layer_is_found(copy):
    (copy / "sdk/src/tunestack/utils.py").write_text('"""Things."""\n')
    completed = run_lint_imports(copy)
    assert completed.returncode != 0
    assert "utils" in completed.stdout


def test_code_keeps_every_contract(copy):
    completed = run_lint_imports(copy)
    assert completed.returncode == 0, completed.stdout


def list_cdk_modules(file):
    """Return the modules of the CDK that a file imports."""
    imports = [
        node for node in ast.walk(ast.parse(file.read_text())) if type(node) is ast.ImportFrom
    ]
    submodules = {
        f"aws_cdk.{alias.name}"
        for node in imports
        if node.module == "aws_cdk"
        for alias in node.names
        if alias.name.startswith("aws_")
    }
    return submodules | {
        node.module for node in imports if (node.module or "").startswith("aws_cdk")
    }


def test_mypy_reads_the_cdk_modules_in_use():
    """It skips the others, which would take most of its time, and does not check calls of what it skips."""
    used = set()
    for folder in ("infra/src", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            used |= list_cdk_modules(file)
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    [read] = [row["module"] for row in overrides if row.get("follow_imports") == "normal"]
    assert read == [*sorted(used), "aws_cdk.interfaces.*"]
