"""Aliases of the user's own: `tunestack alias`, and command lines that start with an alias."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sdk.test_cli_help import COMMANDS
from tests.sdk.test_startup import list_loaded
from tunestack.cli.groups import first_sentence

DAMAGED = {
    "no JSON": "{",
    "no text": "\xff",
    "deep nesting": "[" * 100_000,
    "a list": '["failed"]',
    "a number": '{"failed": 1}',
}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return the path of a new user's aliases, for each operating system."""
    for name in ("HOME", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    if sys.platform == "darwin":
        return tmp_path / "home/Library/Application Support/tunestack/aliases.json"
    return tmp_path / "home/tunestack/aliases.json"


@pytest.fixture
def store(file):
    """Return a function that writes the file, as an editor does."""

    def write(text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "latin-1")

    return write


@pytest.fixture
def set_alias(cli, file):
    """Return a function that sets an alias."""

    def call(*arguments):
        code, out, err = cli("alias", "set", *arguments)
        assert code == 0, err
        return out

    return call


def complete(line, word):
    """Return the lines of the completion in PowerShell, which needs no shell."""
    variables = {"_TUNESTACK_COMPLETE": "powershell_complete", "COMP_LINE": line, "COMP_WORD": word}
    process = subprocess.run(
        [sys.executable, "-m", "tunestack"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == ""
    return process.stdout.splitlines()


class TestCommandLine:
    def test_alias_runs_its_command(self, cli, set_alias, job):
        set_alias("done", "jobs list --state succeeded")
        expected = cli("jobs", "list", "--state", "succeeded")
        assert job.name in expected[1]
        assert cli("done") == expected

    def test_arguments_are_appended(self, cli, set_alias, job):
        set_alias("j", "jobs")
        assert cli("j", "show", job.id, "--json") == cli("jobs", "show", job.id, "--json")
        assert cli("j", "--help") == cli("jobs", "--help")

    def test_arguments_replace_placeholders_and_the_others_are_appended(self, cli, set_alias):
        set_alias("find", "models list --region $2 --query '$1'")
        command = ("models", "list", "--region", "us-west-2", "--query", "{id: id}", "--all")
        assert cli("find", "{id: id}", "us-west-2", "--all") == cli(*command)

    def test_argument_is_one_word_and_is_no_placeholder(self, cli, set_alias):
        set_alias("show", "models show $1$2")
        for argument in ("a b", "'", "$2", "$(touch x)"):
            code, _, err = cli("show", argument, "c")
            assert code == 2
            assert f"unknown model {argument + 'c'!r}" in err

    def test_argument_without_a_placeholder_is_kept(self, cli, set_alias):
        set_alias("second", "models show $2")
        assert cli("second", "--json", "nova-micro") == cli(
            "models", "show", "nova-micro", "--json"
        )

    def test_missing_argument_is_an_error_that_names_the_alias(self, cli, set_alias):
        set_alias("find", "models list --region $1 --query $2")
        assert cli("find", "us-west-2") == (
            2,
            "",
            "error: the alias 'find' runs 'models list --region $1 --query $2': specify an argument for $2\n",
        )
        error = json.loads(cli("find", "--json")[2])
        assert (error["type"], error["exit_code"]) == ("UsageError", 2)

    def test_errors_are_those_of_the_command(self, cli, set_alias, sandbox):
        set_alias("show", "jobs show")
        assert cli("show", "nothing") == cli("jobs", "show", "nothing")
        code, _, err = cli("show", "--limt")
        assert code == 2
        assert "See `tunestack jobs show --help`." in err

    def test_messages_are_json_if_the_alias_has_the_option(self, cli, set_alias, sandbox):
        set_alias("show", "jobs show --json")
        code, _, err = cli("show", "nothing")
        assert (code, json.loads(err)["type"]) == (3, "NotFoundError")
        assert cli("jobs", "show", "nothing")[2].startswith("error: ")

    def test_debug_before_the_alias(self, cli, set_alias, tuner, chat):
        job = tuner.submit("nova-micro", chat)
        set_alias("show", "jobs show --json")
        code, _, err = cli("--debug", "show", job.id)
        assert code == 0
        assert "debug" in {json.loads(line)["level"] for line in err.splitlines()}

    def test_similar_name_is_suggested(self, cli, set_alias):
        set_alias("failed", "jobs list --state failed")
        assert "did you mean 'tunestack failed'?" in cli("faild")[2]
        assert "did you mean 'tunestack jobs'?" in cli("jbos")[2]

    def test_command_that_another_version_adds_is_not_replaced(self, cli, store):
        store('{"models": "jobs list"}')
        code, out, _ = cli("models", "--help")
        assert code == 0
        assert first_sentence(COMMANDS["tunestack models"][0].help) in " ".join(out.split())

    def test_alias_runs_no_alias(self, cli, store):
        store('{"a": "b", "b": "a"}')
        code, _, err = cli("a")
        assert code == 2
        assert "no such command 'b'" in err

    def test_start_up_loads_no_client(self, set_alias):
        set_alias("all", "models list --all")
        assert list_loaded("all", names=("boto3", "botocore", "openai", "rich", "yaml")) == "[]"
        assert list_loaded("models", "list", names=("tunestack.cli.alias",)) == "[]"


class TestSet:
    @pytest.mark.parametrize(
        "command",
        [
            ("models list --region us-west-2",),
            ("--", "models", "list", "--region", "us-west-2"),
        ],
        ids=["one text", "words"],
    )
    def test_command_is_one_text_or_several_words(self, cli, set_alias, command):
        set_alias("west", *command)
        assert cli("west") == cli("models", "list", "--region", "us-west-2")

    def test_words_with_spaces_stay_words(self, cli, set_alias):
        out = set_alias("named", "--", "models", "list", "--query", "{id: id}")
        assert out == "name     named\ncommand  models list --query '{id: id}'\n"
        assert cli("named") == cli("models", "list", "--query", "{id: id}")

    def test_alias_is_replaced_only_with_the_option(self, cli, set_alias):
        set_alias("m", "models list")
        set_alias("m", "models list")
        code, _, err = cli("alias", "set", "m", "models show")
        assert code == 2
        assert "the alias 'm' exists, for 'models list': use --clobber to replace it" in err
        set_alias("m", "models show", "--clobber")
        assert cli("alias", "list")[1] == "m\tmodels show\n"

    @pytest.mark.parametrize(
        ("name", "command", "message"),
        [
            ("jobs", "models list", "'jobs' is a command of tunestack: use another name"),
            ("sandbox", "models list", "'sandbox' is a command of tunestack"),
            ("ls", "models list", "'ls' is a command of tunestack"),
            ("a b", "models list", "invalid alias 'a b': use letters, digits, '-' and '_'"),
            ("", "models list", "invalid alias ''"),
            ("x", "job list", "no such command 'job': did you mean 'tunestack jobs'?"),
            ("x", "jobs lst", "no such command 'lst': did you mean 'tunestack jobs list'?"),
            ("x", "tunestack jobs list", "no such command 'tunestack'"),
            ("x", "m --all", "an alias can't run the alias 'm': use its command, 'models list'"),
            ("x", "--debug jobs", "must start with a command of tunestack, not '--debug'"),
            ("x", "$1 list", "must start with a command of tunestack, not '$1'"),
            ("x", "models 'list", 'invalid command "models \'list": No closing quotation'),
            ("x", "", "invalid command ''"),
            ("x", "models\nlist", "invalid command 'models\\nlist': it must be one line of text"),
            ("x", "models \udcff", "invalid command 'models \\udcff'"),
        ],
    )
    def test_invalid_alias_is_refused(self, cli, set_alias, file, name, command, message):
        set_alias("m", "models list")
        before = file.read_bytes()
        code, out, err = cli("alias", "set", "--", name, command)
        assert (code, out) == (2, "")
        assert message in err
        assert json.loads(cli("alias", "set", "--json", "--", name, command)[2])["exit_code"] == 2
        assert file.read_bytes() == before

    def test_placeholders_can_be_subcommands(self, cli, set_alias):
        set_alias("j", "models $1 nova-micro")
        assert cli("j", "show") == cli("models", "show", "nova-micro")


class TestListAndDelete:
    def test_aliases_are_listed_by_name(self, cli, set_alias):
        assert cli("alias", "list")[2] == "no aliases\n"
        set_alias("b", "models list")
        set_alias("a", "jobs list --state $1")
        assert cli("alias", "ls")[1] == "a\tjobs list --state $1\nb\tmodels list\n"
        rows = [json.loads(line) for line in cli("alias", "list", "--json")[1].splitlines()]
        assert rows[1] == {"name": "b", "command": "models list"}

    def test_deleted_alias_is_unknown(self, cli, set_alias):
        for name in ("a", "b", "c"):
            set_alias(name, "models list")
        code, out, err = cli("alias", "delete", "a", "b", "a", "--format", "json")
        assert code == 0
        assert [json.loads(line)["name"] for line in out.splitlines()] == ["a", "b"]
        assert "alias 'a' is deleted" in err
        assert "no such command 'a'" in cli("a")[2]
        assert cli("alias", "list")[1] == "c\tmodels list\n"

    def test_nothing_is_deleted_if_one_is_unknown(self, cli, set_alias):
        set_alias("failed", "jobs list --state failed")
        code, _, err = cli("alias", "delete", "failed", "faild")
        assert code == 2
        assert "unknown alias 'faild': did you mean 'failed'?" in err
        assert "see `tunestack alias list`" in cli("alias", "delete", "x")[2]
        assert cli("alias", "list")[1] == "failed\tjobs list --state failed\n"


class TestFile:
    @pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
    def test_damaged_file_is_an_error_of_aliases_only(self, cli, store, file, text):
        store(text)
        for command in (
            ("failed",),
            ("alias", "list"),
            ("alias", "set", "x", "models list"),
            ("alias", "delete", "failed"),
        ):
            code, out, err = cli(*command)
            assert (code, out) == (2, "")
            assert f"correct or delete the file {str(file)!r}" in err
        assert file.read_text("latin-1") == text
        assert cli("models", "list")[0] == cli("--help")[0] == 0
        assert cli("jobs", "lst")[2].startswith("error: no such command 'lst'")
        assert any(row.startswith("jobs\t") for row in complete("tunestack jo", "jo"))
        assert complete("tunestack failed ", "") == complete("tunestack ", "")

    @pytest.mark.parametrize("command", ["", "models 'list"])
    def test_invalid_command_in_the_file_names_the_alias(self, cli, store, file, command):
        store(json.dumps({"x": command, "m": "models list"}))
        code, _, err = cli("x", "list")
        assert code == 2
        assert f"the alias 'x': invalid command {command!r}" in err
        assert str(file) in err
        assert cli("m")[0] == 0
        assert complete("tunestack x ", "") == complete("tunestack ", "")

    def test_folder_that_can_not_be_written_is_a_clear_error(self, cli, file):
        file.parent.parent.mkdir(parents=True)
        file.parent.symlink_to("/proc/self")
        code, _, err = cli("alias", "set", "m", "models list")
        assert code == 2
        assert "aliases.json' can't be written: " in err

    def test_file_is_replaced_at_once_and_a_link_is_kept(self, set_alias, file, tmp_path):
        file.parent.mkdir(parents=True)
        target = tmp_path / "dotfiles" / "aliases.json"
        file.symlink_to(target)
        set_alias("m", "models list")
        with target.open() as before:
            set_alias("j", "jobs list")
            assert json.load(before) == {"m": "models list"}
        assert file.is_symlink()
        assert json.loads(file.read_text()) == {"m": "models list", "j": "jobs list"}
        assert stat.S_ISREG(target.stat().st_mode)
        assert [path.name for path in target.parent.iterdir()] == ["aliases.json"]

    def test_command_in_the_sandbox_has_the_aliases_of_the_user(self, set_alias, sandbox):
        set_alias("m", "models show nova-micro")
        process = subprocess.run(
            [Path(sys.executable).with_name("tunestack"), "m", "--json"],
            env=sandbox.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(process.stdout)["id"] == "nova-micro"


class TestCompletion:
    def test_aliases_and_the_options_of_their_commands_are_completed(self, set_alias):
        set_alias("failed", "jobs list --state failed")
        set_alias("in-state", "jobs list --state $1")
        assert complete("tunestack fa", "fa") == ["failed\tAlias of jobs list --state failed"]
        assert {row.split("\t")[0] for row in complete("tunestack failed --s", "--s")} >= {
            "--since",
            "--sort",
            "--stage",
        }
        assert complete("tunestack in-state --si", "--si")[0].startswith("--since\t")
        assert complete("tunestack alias delete in", "in") == [
            "in-state\tAlias of jobs list --state $1"
        ]

    def test_bash_completes_an_alias(self, set_alias):
        set_alias("serve", "endpoints start")
        script = (
            f'PATH="{Path(sys.executable).parent}:$PATH"; eval "$(tunestack completion bash)"; '
            "COMP_WORDS=(tunestack ser); COMP_CWORD=1; _tunestack_completion tunestack; "
            'echo "${COMPREPLY[@]}"'
        )
        process = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert process.stdout.split() == ["serve"]
