"""docs/my-data.md has a row for each file, with what the command line prints for it."""

import json
import os
from pathlib import Path

import pytest

from tests.records.my_data import FILES, PAIRS, RECORDS
from tunestack.cli.commands import run

PAGE = Path(__file__).parents[2] / "docs/my-data.md"
CASES = [*FILES, *RECORDS]


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    """Return a function that converts the file of a case and returns the exit code and the lines about the file."""
    monkeypatch.chdir(tmp_path)

    def convert(case):
        case.write(tmp_path / case.file)
        ignored = "--ignore record-count --ignore few-records"
        command = (
            f"data convert {case.file} -m {case.model} {case.options} {ignored} -o converted.jsonl"
        )
        code = run(command.split())
        out, err = capsys.readouterr()
        kept = [
            line.strip()
            for line in [*out.splitlines(), *err.splitlines()]
            if line.startswith(("  read as", "  fields", "  line", "error:"))
        ]
        return code, kept

    return convert


def first_turns(path):
    """Return the system prompt, the question and the answer of the first converted record."""
    record = json.loads(path.read_text().splitlines()[0])
    if "preferred_output" in record:
        turns = [*record["input"]["messages"], *record["preferred_output"]]
        return "", *(turn["content"] for turn in turns)
    texts = ["".join(block["text"] for block in turn["content"]) for turn in record["messages"]]
    return "".join(block["text"] for block in record.get("system", [])), *texts


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_file_is_read_or_refused(case, printed, tmp_path):
    code, lines = printed(case)
    assert code == (0 if case.accepted else 1), lines
    made = tmp_path / "converted.jsonl"
    assert made.exists() is case.accepted
    if case.accepted:
        assert first_turns(made) == ("Be brief." if case.system else "", *PAIRS[0])
        assert made.read_text().count("\n") == len(PAIRS)
    else:
        assert lines, "an error says what is wrong"


def row(case, lines):
    shown = "<br>".join(f"`{line}`" for line in lines).replace("|", "\\|")
    options = f" {case.options}" if case.options else ""
    return (
        f"| {case.title} | `{case.file}{options}` | {'yes' if case.accepted else 'no'} | {shown} |"
    )


def test_page_lists_every_case(printed):
    """`WRITE_DOCS=1` updates the page."""
    tables = []
    for title, cases in (("Files", FILES), ("Records", RECORDS)):
        rows = [row(case, printed(case)[1]) for case in cases]
        head = f"## {title}\n\n| my data is | file and options | read | what is printed |\n| --- | --- | --- | --- |"
        tables.append("\n".join([head, *rows]))
    text = PAGE.read_text().partition("## Files")[0] + "\n\n".join(tables) + "\n"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(text)
    assert text == PAGE.read_text()
