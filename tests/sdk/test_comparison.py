"""docs/comparison.md names only commands and options of tunestack that exist."""

import re
from pathlib import Path

from tests.sdk.test_cli_help import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"


def cells():
    """Yield the cells of tunestack's column."""
    for line in PAGE.read_text().splitlines():
        columns = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(columns) == 9 and columns[2] not in ("tunestack", "---"):
            yield columns[2]


def test_commands_and_options_of_tunestack_exist():
    names = {part for path in COMMANDS for part in path.split()} | {"ls", "ps", "logs", "rm"}
    options = {
        option
        for command, _ in COMMANDS.values()
        for parameter in command.params
        for option in parameter.opts
    }
    found = 0
    for cell in cells():
        for code in re.findall(r"`([^`]+)`", cell.partition("(")[0]):
            for word in code.split():
                if word.startswith("-"):
                    assert word in options, cell
                    found += 1
                elif word.islower() and word not in ("latest", "jq"):
                    assert word in names, cell
                    found += 1
    assert found > 40


def test_every_row_has_a_cell_for_each_tool():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4, 8}
