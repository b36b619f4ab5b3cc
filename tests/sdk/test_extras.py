"""Without an optional package, every way in says what to install; the requirement is read from the distribution."""

import importlib.metadata
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from tunestack._utils import extras
from tunestack.errors import MissingExtraError

CLI = "from tunestack.cli import main; main()"
# Extra, package that is missing, code, arguments.
WAYS_IN = {
    "CLI": ("cli", "click", CLI, ["models"]),
    "CLI's OpenAI jobs": ("openai", "openai", CLI, ["jobs", "--provider", "openai"]),
    "CLI's OpenAI doctor": ("openai", "openai", CLI, ["doctor", "--provider", "openai"]),
    "jobs": (
        "openai",
        "openai",
        "from tunestack import Tuner; list(Tuner().jobs(provider='openai'))",
        [],
    ),
    "job": ("openai", "openai", "from tunestack import Tuner; Tuner().job('ftjob-1')", []),
    "job, without what openai needs": (
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


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_says_what_to_install(sandbox, way):
    extra, package, code, arguments = WAYS_IN[way]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{package!r}] = None\n{code}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    words = f"the package {package!r} is not installed: run `pip install "
    last = done.stderr.splitlines()[-1]
    if code is CLI:
        assert (2, f"error: {words}") == (done.returncode, last[: len(words) + 7])
        assert "Traceback" not in done.stderr
    else:
        assert f"tunestack.errors.MissingExtraError: {words}" in last
    for requirement in extras.requirements(extra):
        assert f"'{requirement}'" in last


@pytest.mark.parametrize("extra", ["cli", "dspy", "openai"])
def test_the_requirements_are_those_of_the_distribution(extra):
    found = [Requirement(text) for text in extras.requirements(extra)]
    assert found
    declared = [
        one
        for one in map(Requirement, importlib.metadata.requires("tunestack") or ())
        if one.marker and one.marker.evaluate({"extra": extra})
    ]
    assert {(one.name, one.specifier) for one in declared} == {
        (one.name, one.specifier) for one in found
    }
    assert all(one.marker is None for one in found)


def test_where_the_distribution_has_no_metadata_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    error = extras.missing_extra("openai", ModuleNotFoundError(name="openai.types"))
    assert isinstance(error, MissingExtraError)
    assert str(error) == "the package 'openai' is not installed: run `pip install 'openai'`"


def test_a_command_of_another_distribution_names_the_package_that_is_missing():
    code = f"import sys; sys.modules['tunestack_sandbox.cli'] = None\n{CLI}"
    done = subprocess.run(
        [sys.executable, "-c", code, "sandbox"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: the command 'sandbox' needs the package 'tunestack_sandbox.cli', which is not installed\n"
    )
