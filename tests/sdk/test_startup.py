"""The command line imports only the modules that a command needs."""

import subprocess
import sys
from importlib import metadata

import click
import pytest

from tunestack.cli.commands import _KNOWN_PLUGINS, tunestack

HEAVY = ("boto3", "botocore", "openai", "dspy", "litellm", "importlib.metadata", "rich", "yaml")


def list_loaded(*arguments, names=HEAVY):
    """Return the names of the modules that are loaded when a command exits."""
    code = (
        "import atexit, sys\n"
        "from tunestack.cli import main\n"
        f"atexit.register(lambda: print([n for n in {names!r} if n in sys.modules], file=sys.stderr))\n"
        "main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("models", "list"),
        ("models", "show", "nova-micro"),
        ("data", "--help"),
        ("data", "check", "--help"),
        ("env", "--help"),
        ("submit", "--help"),
        ("endpoints", "start", "--help"),
        ("jobs", "--help"),
    ],
    ids=" ".join,
)
def test_no_client_is_loaded(arguments):
    assert list_loaded(*arguments) == "[]"


def test_checking_data_loads_no_client(tmp_path):
    file = tmp_path / "train.jsonl"
    row = '{"prompt": "Where is parcel %d?", "completion": "In depot %d."}\n'
    file.write_text("".join(row % (number, number) for number in range(20)))
    assert list_loaded("data", "check", str(file), "-m", "nova-micro") == "[]"


def test_loaded_client_is_detected(sandbox):
    """This is the negative control."""
    assert "boto3" in list_loaded("jobs", "list")


def test_every_command_exists_and_the_help_describes_it():
    context = click.Context(tunestack)
    names = tunestack.list_commands(context)
    assert all(tunestack.get_command(context, name) for name in names)
    help_text = tunestack.get_help(context)
    assert all(f"  {name}" in help_text for name in names)


def test_plugins_of_the_help_are_those_of_the_distributions():
    plugins = metadata.entry_points(group="tunestack.commands")
    assert {plugin.name: plugin.module.partition(".")[0] for plugin in plugins} == {
        name: package for name, (package, _) in _KNOWN_PLUGINS.items()
    }
