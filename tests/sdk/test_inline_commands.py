"""The commands in the text of the documentation, in backquotes, exist with their options."""

import re
import shlex
from pathlib import Path

import pytest

from tests.sdk.test_cli_help import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
COMMAND = re.compile(r"`(tunestack [^`\n]+)`")
MISTAKES = {"tunestack jbos list", "tunestack jobs list --jsno", "tunestack jobs lsit"}
"""Commands of docs/troubleshooting.md that are wrong on purpose."""
ALIASES = {"ls": "list", "ps": "list", "logs": "events"}


def read_commands(page):
    """Return the commands in the text of a page, without its blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line for line in COMMAND.findall(text) if line not in MISTAKES]


def find_problem(line):
    """Return what is wrong with a command, or None."""
    words = [ALIASES.get(word, word) for word in shlex.split(line.replace("\\|", "|"))]
    path = words[:1]
    while " ".join((*path, *words[len(path) : len(path) + 1])) in COMMANDS and len(path) < len(
        words
    ):
        path.append(words[len(path)])
    command, _ = COMMANDS[" ".join(path)]
    rest = words[len(path) :]
    is_group = hasattr(command, "commands")
    if is_group and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        return f"no command {rest[0]!r}"
    options = {option for parameter in command.params for option in parameter.opts}
    options |= {"--help", "--version", "--debug"}
    own = rest[: rest.index("--")] if "--" in rest else rest
    unknown = [word for word in own if word.startswith("--") and word.split("=")[0] not in options]
    return f"no option {unknown[0]!r}" if unknown and not is_group else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page):
    problems = {line: find_problem(line) for line in read_commands(page)}
    assert {line: problem for line, problem in problems.items() if problem} == {}


def test_wrong_commands_are_found():
    assert find_problem("tunestack models nova") == "no command 'nova'"
    assert find_problem("tunestack jobs show latest --wb") == "no option '--wb'"
    assert find_problem("tunestack jobs ls --state failed") is None
    assert sum(len(read_commands(page)) for page in PAGES) > 100
