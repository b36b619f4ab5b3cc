"""Every command has a help text with a sentence, two examples and a link, and options have one meaning."""

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import click
import pytest

from tunestack.cli.commands import tunestack
from tunestack.cli.completion import SHELLS
from tunestack.cli.groups import first_sentence

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"Documentation: https://github.com/tunestack/tunestack/blob/main/(\S+)")
DIFFERENT_TEXTS = {
    "--dry-run": "of a job, or of a run",
    "--name": "of a job, or of a run",
    "--timeout": "of jobs, or of a run",
    "--evaluation": "of a report, or the condition of a promotion",
    "--max-cost": "of training, or of an evaluation",
    "--output": "a file, or a folder",
    "--serving": "of an endpoint, or of those that an evaluation starts",
    "--ttl": "the same",
    "--format": "of items, or of environment variables",
    "--limit": "of items, or of problems of each severity",
    "--model": "doctor needs none, and from-logs accepts parts of ids",
    "--name-contains": "of jobs, or of models",
    "--provider": "doctor has another default",
    "--region": "of the deployment, or a filter of models",
    "--rendering": "of training data, or of one prompt",
    "--seed": "of the job, of a split, or of faults",
    "--sort": "the fields of the items",
    "--validation": "which split writes, and submit reads",
}
"""Options whose help differs between commands, although they mean the same."""


def walk(command=tunestack, path=("tunestack",), parent=None):
    """Yield the path and the command of all commands."""
    context = click.Context(command, info_name=path[-1], parent=parent)
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*path, name), context)


COMMANDS = {" ".join(path): (command, context) for path, command, context in walk()}


@pytest.mark.parametrize("path", COMMANDS)
def test_help_has_a_sentence_two_examples_and_a_link(path):
    command, context = COMMANDS[path]
    assert first_sentence(command.help).endswith(".")
    help_text = command.get_help(context)
    examples = re.findall(r"^    \$ (.*)$", help_text, re.MULTILINE)
    assert len(examples) == 2
    (page,) = LINK.findall(help_text)
    assert (ROOT / page).is_file()


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_can_be_parsed(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (
        "train.jsonl",
        "validation.jsonl",
        "all.jsonl",
        "tickets.csv",
        "chat.jsonl",
        "sweep.toml",
    ):
        (tmp_path / name).touch()
    command, _ = COMMANDS[path]
    parsed = 0
    for example in re.findall(r"^ *\$ (.*)$", command.epilog or "", re.MULTILINE):
        for part in re.findall(r"tunestack [^)&|<>]*", example):
            words = shlex.split(part.replace('")', "").rstrip('"') if '"$(' in example else part)
            current: click.Command = tunestack
            context = click.Context(tunestack, info_name="tunestack")
            words = words[1:]
            while isinstance(current, click.Group) and words:
                child = current.get_command(context, words[0])
                assert child is not None, example
                current, words = child, words[1:]
            if words or not isinstance(current, click.Group):
                current.make_context("tunestack", words, parent=context)
            parsed += 1
    assert parsed


@pytest.mark.parametrize("path", COMMANDS)
def test_list_of_a_group_has_the_full_sentence(path):
    command, context = COMMANDS[path]
    if not isinstance(command, click.Group):
        return
    text = " ".join(command.get_help(context).split())
    for name in command.list_commands(context):
        child, _ = COMMANDS[f"{path} {name}"]
        if path != "tunestack":
            assert f"{name} {first_sentence(child.help)}" in text


def test_an_option_has_one_meaning():
    texts, kinds = defaultdict(set), defaultdict(set)
    for command, _ in COMMANDS.values():
        for option in command.params:
            if isinstance(option, click.Option):
                flag = max(option.opts, key=len)
                texts[flag].add(option.help)
                kinds[flag].add((option.is_flag, option.multiple, option.type.name, *option.opts))
    assert {flag for flag in texts if len(texts[flag]) > 1} <= DIFFERENT_TEXTS.keys()
    # `split` writes two files, and has short options for them. Logs have several models.
    # A report has the file of an evaluation, and a promotion has its id.
    assert {flag for flag in kinds if len(kinds[flag]) > 1} <= {
        "--validation",
        "--model",
        "--evaluation",
    }


def test_python_m_is_the_same_command():
    command = [sys.executable, "-m", "tunestack", "--version"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.startswith("tunestack, version ")


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["job", "list"], "no such command 'job': did you mean 'tunestack jobs'?"),
        (["endpoint"], "did you mean 'tunestack endpoints'?"),
        (["jobs", "lst"], "did you mean 'tunestack jobs list'?"),
        (["jobs", "sho"], "did you mean 'tunestack jobs show'?"),
        (["jobs", "list", "--limt", "3"], "--limit"),
        (["dance"], "use alias, completion, cost, custom-models, data,"),
    ],
    ids=" ".join,
)
def test_misspelt_command_gets_a_suggestion(cli, arguments, suggestion):
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert suggestion in err


class TestManPages:
    def test_every_command_has_a_page_that_roff_accepts(self, cli, tmp_path):
        folder = tmp_path / "man1"
        assert cli("man", str(folder))[0] == 0
        pages = {page.stem for page in folder.iterdir()}
        assert pages == {path.replace(" ", "-") for path in COMMANDS}
        page = (folder / "tunestack-jobs-list.1").read_text()
        assert ".B \\-\\-since TIME" in page
        assert "tunestack jobs list \\-\\-state succeeded" in page

    def test_folder_that_can_not_be_written_is_a_clear_error(self, cli, tmp_path):
        (tmp_path / "file").touch()
        code, _, err = cli("man", str(tmp_path / "file" / "man1"))
        assert code == 2
        assert "the man pages can't be written to" in err


class TestCompletion:
    @pytest.mark.parametrize("shell", SHELLS)
    def test_script_of_each_shell(self, cli, shell):
        code, out, _ = cli("completion", shell)
        assert code == 0
        assert f"{shell}_complete" in out

    @pytest.mark.parametrize(
        ("line", "word", "expected"),
        [
            ("tunestack jo", "jo", "jobs\t"),
            ("tunestack jobs ", "", "cancel\t"),
            ("tunestack jobs list --st", "--st", "--state\tOnly in this state;"),
            ("tunestack jobs list --state run", "run", "running\trunning"),
        ],
    )
    def test_powershell_completes_commands_options_and_values(self, line, word, expected):
        variables = {
            "_TUNESTACK_COMPLETE": "powershell_complete",
            "COMP_LINE": line,
            "COMP_WORD": word,
        }
        process = subprocess.run(
            [sys.executable, "-m", "tunestack"],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        assert any(row.startswith(expected) for row in process.stdout.splitlines())
        assert process.stderr == ""

    def test_bash_completes_in_a_shell(self):
        script = (
            f'PATH="{Path(sys.executable).parent}:$PATH"; eval "$(tunestack completion bash)"; '
            "COMP_WORDS=(tunestack endpoints st); COMP_CWORD=2; _tunestack_completion tunestack; "
            'echo "${COMPREPLY[@]}"'
        )
        process = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert process.stdout.split() == ["start", "stop"]
