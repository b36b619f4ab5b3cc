"""`--query` selects fields of the JSON output with JMESPath."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.sdk.test_cli_help import COMMANDS


def test_text_is_printed_without_quotes(cli):
    assert cli("models", "show", "nova-micro", "--query", "id")[:2] == (0, "nova-micro\n")


def test_fields_of_each_object_of_a_list_are_printed(cli):
    code, out, err = cli("models", "list", "--query", "{id: id, provider: provider}")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert {"id": "nova-micro", "provider": "bedrock"} in rows
    assert all(set(row) == {"id", "provider"} for row in rows)


def test_missing_field_is_null(cli):
    assert cli("models", "show", "nova-micro", "--query", "nothing")[:2] == (0, "null\n")


@pytest.mark.parametrize(
    "options",
    [("--format", "yaml", "--query", "regions"), ("--query", "regions", "--format", "yaml")],
)
def test_selected_value_is_printed_as_yaml(cli, options):
    code, out, _ = cli("models", "show", "nova-micro", *options)
    assert code == 0
    assert "us-east-1" in yaml.safe_load(out)


def test_invalid_expression_is_a_usage_error_before_anything_is_read(cli):
    code, out, err = cli("jobs", "list", "--query", "state ==")
    assert (code, out) == (2, "")
    assert "'state ==' is not a JMESPath expression" in err


def test_every_command_with_json_has_it():
    for name, (command, _) in COMMANDS.items():
        options = {option for parameter in command.params for option in parameter.opts}
        if "--json" in options and name not in ("tunestack env", "tunestack sandbox"):
            assert "--query" in options, name


def test_library_is_loaded_on_use_only():
    code = "import sys; from tunestack.cli import main; import tunestack.cli.jobs; print('jmespath' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
