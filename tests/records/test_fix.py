"""Variants of a format are rewritten without a change of their meaning; each kind of change is counted."""

import json

import pytest

from tests.records.my_data import FILES, PAIRS, RECORDS
from tests.records.samples import CALL, PLAIN, RESULT, TOOLS, WITH_REASONING, WITH_TOOLS, row
from tunestack import ConfigError, DataError
from tunestack.catalog import CATALOG
from tunestack.cli.commands import run
from tunestack.records import check, fix

CONVERSE = {
    "schemaVersion": "tooluse-dataset-2024",
    "system": [],
    "id": 7,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "question"}, {"text": " "}]},
        {"role": "assistant", "content": [{"text": "answer"}]},
    ],
}


def fixed(tmp_path, records, **options):
    file = tmp_path / "in.jsonl"
    if isinstance(records, bytes):
        file.write_bytes(records)
    else:
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    result = fix(file, tmp_path / "out.jsonl", **options)
    return result, result.path.read_bytes().splitlines(keepends=True)


def test_each_change_is_counted(tmp_path):
    result, lines = fixed(tmp_path, [CONVERSE] * 3)
    assert json.loads(lines[0]) == {
        "schemaVersion": "bedrock-conversation-2024",
        "messages": [
            {"role": "user", "content": [{"text": "question"}]},
            {"role": "assistant", "content": [{"text": "answer"}]},
        ],
    }
    assert (result.records, result.changed, result.rejected) == (3, 3, 0)
    assert result.changes == {
        "$.id: is not part of the format, and was left out as metadata": 3,
        "$.schemaVersion: was replaced by 'bedrock-conversation-2024'": 3,
        "$.system: is empty, and was removed": 3,
        "$.messages[*].content[*].type: is not part of the format, and was left out": 3,
        "$.messages[*]: has a blank part, which was removed": 3,
    }


def test_what_was_fixed_needs_no_change(tmp_path):
    _, lines = fixed(tmp_path, [CONVERSE] * 3)
    result, again = fixed(tmp_path, b"".join(lines))
    assert (result.changed, result.changes, again) == (0, {}, lines)
    assert check(tmp_path / "out.jsonl", CATALOG["nova-micro"]).counts.keys() <= {
        "record-count",
        "few-records",
        "duplicates",
    }


def test_a_valid_record_is_kept_byte_for_byte(tmp_path):
    content = b'{ "messages" : [{"role":"user","content":"\\u00fc"}, {"role":"assistant","content":"b"}]}\n'
    result, lines = fixed(tmp_path, content)
    assert lines == [content]
    assert result.changed == 0


def test_byte_order_mark_and_blank_lines_are_removed(tmp_path):
    line = json.dumps(PLAIN).encode() + b"\n"
    result, lines = fixed(tmp_path, b"\xef\xbb\xbf" + line + b"\n  \n" + line)
    assert lines == [line, line]
    assert result.changes["$: the line is empty and was skipped"] == 2


def test_a_record_with_content_that_its_format_would_lose_is_kept(tmp_path):
    record = WITH_REASONING | {"id": 1}
    result, lines = fixed(tmp_path, [record])
    assert [json.loads(line) for line in lines] == [record]
    assert result.changed == 0


def test_calls_in_consecutive_messages_are_merged(tmp_path):
    first, second = (
        {**CALL, "tool_calls": [{**CALL["tool_calls"][0], "id": name}]} for name in ("a", "b")
    )
    results = [{**RESULT, "tool_call_id": name} for name in ("a", "b")]
    record = row(
        WITH_TOOLS["messages"][0], first, second, *results, PLAIN["messages"][-1], tools=TOOLS
    )
    _, (line,) = fixed(tmp_path, [record])
    calls = json.loads(line)["messages"][1]["tool_calls"]
    assert [call["id"] for call in calls] == ["a", "b"]


def test_invalid_lines_are_errors_and_nothing_is_written(tmp_path):
    with pytest.raises(DataError) as raised:
        fixed(tmp_path, json.dumps(PLAIN).encode() + b"\n{torn\n" + b'{"messages": 1}\n')
    assert "2 invalid lines, and nothing was written" in str(raised.value)
    assert "line 2" in str(raised.value)
    assert "line 3, $.messages: expected an array" in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_invalid_lines_can_be_written_to_a_file_of_their_own(tmp_path):
    rejected = tmp_path / "rejected.jsonl"
    content = json.dumps(PLAIN).encode() + b"\n{torn\n"
    result, lines = fixed(tmp_path, content, rejected=rejected)
    assert (result.records, result.rejected, len(lines)) == (1, 1, 1)
    assert rejected.read_bytes() == b"{torn\n"


def test_a_file_without_valid_records_is_an_error(tmp_path):
    with pytest.raises(DataError, match="data has no valid record"):
        fixed(tmp_path, b"\n", rejected=tmp_path / "rejected.jsonl")


def test_the_data_is_never_overwritten(tmp_path):
    with pytest.raises(ConfigError, match="are the same file"):
        fixed(tmp_path, [PLAIN], rejected=tmp_path / "in.jsonl")


READ = [case for case in (*FILES, *RECORDS) if case.accepted and "--map" not in case.options]


@pytest.mark.parametrize("case", READ, ids=[case.title for case in READ])
def test_every_file_that_is_read_can_be_fixed(tmp_path, case):
    path = tmp_path / case.file
    case.write(path)
    result = fix(path, tmp_path / "fixed.jsonl")
    assert result.records == len(PAIRS)
    text = result.path.read_text()
    assert all(part in text for pair in PAIRS for part in pair)
    assert ("Be brief." in text) is case.system


def test_command_lists_the_changes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(json.dumps(CONVERSE) + "\n{torn\n")
    assert run(["data", "fix", "in.jsonl", "-o", "out.jsonl"]) == 1
    assert "--rejected FILE" in capsys.readouterr().err
    assert run(["data", "fix", "in.jsonl", "-o", "out.jsonl", "--rejected", "rejected.jsonl"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "1 records (bedrock-conversation-2024): 1 changed"
    assert "          1 x $.system: is empty, and was removed" in printed.out
    assert "wrote rejected.jsonl: 1 invalid lines" in printed.err
    assert (
        run(["data", "fix", "in.jsonl", "-o", "out.jsonl", "--rejected", "r.jsonl", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["rejected"] == 1
