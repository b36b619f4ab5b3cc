"""The commands that messages name exist and fix the mistake; docs/troubleshooting.md lists them as they are printed."""

import ast
import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

import click
import pytest

from tests.parameters import every
from tests.sdk.mistakes import MISTAKES
from tunestack.cli.commands import tunestack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
NAMED = re.compile(r"`tunestack ([^`]+)`")
FILES = {"FILE": "train.jsonl", "MODEL": "nova-micro"}


@pytest.fixture
def fast_deployments(sandbox):
    """Advance the sandbox's clock at each poll of a deployment, so that the command line waits for one second."""

    def advance(request):
        if request.method == "GET" and "/custom-model-deployments/" in request.target:
            sandbox.clock.advance(600)

    with sandbox.intercept(advance):
        yield


@pytest.fixture
def run_fix(cli, folder, sandbox, fast_deployments, request):
    """Return a function that runs a command of a fix, with the ids of a job that has succeeded."""

    def run(line):
        ids = {}
        if "JOB" in line or "MODEL" in line or "ENDPOINT" in line:
            job = request.getfixturevalue("job")
            ids = {"JOB": job.id, "MODEL": job.model}
        if "ENDPOINT" in line:
            ids["ENDPOINT"] = job.start_endpoint().id
        code, out, err = cli(*(ids.get(word, word) for word in shlex.split(line)))
        sandbox.clock.advance(10_000)  # until the jobs have ended
        assert code == 0, err
        return out

    return run


@pytest.mark.as_root
@pytest.mark.parametrize("name", every(2, MISTAKES))
def test_fix_works(run_fix, name):
    for line in MISTAKES[name].fix:
        run_fix(line)


@pytest.mark.as_root
@pytest.mark.parametrize("name", MISTAKES)
def test_command_in_a_message_is_run_by_the_fix_or_works_as_well(cli, run_fix, name):
    mistake = MISTAKES[name]
    _, _, err = cli(*shlex.split(mistake.line))
    for named in NAMED.findall(err):
        words = [FILES.get(word, word) for word in named.split()]
        if words[-1] != "--help":  # exits with 0 by definition, and has no placeholders
            run_fix(" ".join(words))
    # A suggestion is a part of the fix.
    for suggestion in re.findall(r"did you mean '([^']+)'\?", err):
        assert any(suggestion.removeprefix("tunestack ") in line for line in mistake.fix)


def test_data_report_shows_all_problems(run_fix):
    assert "invalid JSON" in run_fix("data report text.jsonl --model nova-micro")


def named_commands():
    """Yield the command lines in backticks of all texts of the package, with placeholders for values that are inserted."""
    for path in sorted((ROOT / "sdk" / "src" / "tunestack").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            text = ""
            if isinstance(node, ast.JoinedStr):
                parts = node.values
                text = "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            for line in NAMED.findall(text):
                if "..." not in line:
                    yield path.name, line


def test_every_command_that_the_package_names_can_be_parsed(folder):
    (folder / "X").touch()  # the placeholder of inserted values, also of file names
    lines = set(named_commands())
    assert len(lines) > 15
    for source, line in sorted(lines):
        words = shlex.split(line)
        command: click.Command = tunestack
        context = click.Context(command, info_name="tunestack")
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            child = command.get_command(context, words.pop(0))
            assert child is not None, (source, line)
            command = child
        # Without arguments, the name of a command is a reference to it.
        if not words or words == ["--help"]:
            continue
        arguments = [FILES.get(word, word) for word in words]
        # A text may name an option without the arguments.
        with suppress(click.exceptions.Exit, click.MissingParameter):
            command.make_context("tunestack", arguments, parent=context)


def shown(text):
    """Return the lines of a message for a cell of a table."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("See `")]
    return "<br>".join(f"`` {line} ``" if "`" in line else f"`{line}`" for line in lines)


@pytest.mark.as_root
def test_page_is_current(cli, folder):
    """`WRITE_DOCS=1` updates the page."""
    rows = ["| mistake | command | what is printed | what to do |", "| --- | --- | --- | --- |"]
    for name, mistake in MISTAKES.items():
        _, _, err = cli(*shlex.split(mistake.line))
        fix = "<br>".join(f"`tunestack {line}`" for line in mistake.fix)
        cells = (name, f"`tunestack {mistake.line}`", shown(err), fix)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    text = PAGE.read_text().partition("| mistake")[0] + "\n".join(rows) + "\n"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(text)
    assert text == PAGE.read_text()
