"""Without an optional package, every entry point names the package to install, from the requirements of the distribution."""

import importlib.metadata
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from tunestack._utils import extras
from tunestack.errors import MissingExtraError

CLI = "from tunestack.cli import main; main()"
# Extra, missing package, code, arguments.
ENTRY_POINTS = {
    "CLI": ("cli", "click", CLI, ["models", "list"]),
    "CLI's OpenAI jobs": ("openai", "openai", CLI, ["jobs", "list", "--provider", "openai"]),
    "jobs": (
        "openai",
        "openai",
        "from tunestack import Tuner; list(Tuner().jobs(provider='openai'))",
        [],
    ),
    "job": ("openai", "openai", "from tunestack import Tuner; Tuner().job('ftjob-1')", []),
    "job, without a dependency of openai": (
        "openai",
        "httpx",
        "from tunestack import Tuner; Tuner().job('ftjob-1')",
        [],
    ),
    "submit": (
        "openai",
        "openai",
        "from tunestack import Tuner; Tuner().submit('gpt-4o-mini', [])",
        [],
    ),
    "endpoint": ("openai", "openai", "from tunestack import Tuner; Tuner().endpoint('ft:x')", []),
    "preflight": (
        "openai",
        "openai",
        "from tunestack import Tuner; Tuner().preflight(provider='openai')",
        [],
    ),
    "DSPy": ("dspy", "dspy", "import tunestack.dspy", []),
}


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_error_of_every_entry_point_names_the_package_to_install(sandbox, entry_point):
    extra, package, code, arguments = ENTRY_POINTS[entry_point]
    process = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{package!r}] = None\n{code}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    message = f"the package {package!r} is not installed: run `pip install "
    last_line = process.stderr.splitlines()[-1]
    if code is CLI:
        assert (2, f"error: {message}") == (process.returncode, last_line[: len(message) + 7])
        assert "Traceback" not in process.stderr
    else:
        assert f"tunestack.errors.MissingExtraError: {message}" in last_line
    for requirement in extras.requirements(extra):
        assert f"'{requirement}'" in last_line


def test_doctor_has_a_failed_check_with_the_package_to_install(sandbox):
    code = f"import sys; sys.modules['openai'] = None\n{CLI}"
    process = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--provider", "openai"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert (
        "FAILS    settings: the package 'openai' is not installed: run `pip install"
        in process.stdout
    )


@pytest.mark.parametrize("extra", ["cli", "dspy", "openai"])
def test_requirements_are_those_of_the_distribution(extra):
    actual = [Requirement(text) for text in extras.requirements(extra)]
    assert actual
    declared = [
        requirement
        for requirement in map(Requirement, importlib.metadata.requires("tunestack") or ())
        if requirement.marker and requirement.marker.evaluate({"extra": extra})
    ]
    assert {(requirement.name, requirement.specifier) for requirement in declared} == {
        (requirement.name, requirement.specifier) for requirement in actual
    }
    assert all(requirement.marker is None for requirement in actual)


def test_error_without_metadata_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    error = extras.missing_extra("openai", ModuleNotFoundError(name="openai.types"))
    assert isinstance(error, MissingExtraError)
    assert str(error) == "the package 'openai' is not installed: run `pip install 'openai'`"


def test_error_of_a_missing_plugin_names_the_package():
    code = f"import sys; sys.modules['tunestack_sandbox.cli'] = None\n{CLI}"
    process = subprocess.run(
        [sys.executable, "-c", code, "sandbox"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert process.stderr == (
        "error: the command 'sandbox' needs the package 'tunestack_sandbox.cli', which is not installed\n"
    )
