"""Single records are shown as the model will see them."""

import json

import pytest

from tests.records.samples import ASK, PLAIN, PREFERENCE, SAY, SYSTEM, WITH_TOOLS, row, turn
from tunestack import ConfigError, DataError
from tunestack.catalog import CATALOG
from tunestack.cli.commands import run
from tunestack.records import view

NOVA, LLAMA = CATALOG["nova-micro"], CATALOG["llama-3-1-8b"]
RECORDS = [row(turn("user", f"question {number}"), SAY) for number in range(1, 301)]


def texts(*args, **options):
    return [record.text() for record in view(*args, **options)]


def test_messages_are_shown_by_role():
    (text,) = texts([row(SYSTEM, ASK, SAY)], NOVA, lines=[1])
    head, *rest = text.split("\n")
    assert head.startswith("line 1, about ")
    assert rest[::2] == ["--- system", "--- user", "--- assistant"]
    assert rest[1::2] == [SYSTEM["content"], ASK["content"], SAY["content"]]


def test_a_prompt_is_shown_with_the_chat_template():
    (text,) = texts([row(ASK, SAY)], LLAMA, lines=[1])
    prompt = text.partition("--- prompt\n")[2].partition("\n--- completion\n")[0]
    assert prompt.startswith("<|begin_of_text|><|start_header_id|>user<|end_header_id|>")
    (raw,) = texts([row(ASK, SAY)], LLAMA, lines=[1], rendering="raw")
    assert f"--- prompt\n{ASK['content']}\n--- completion\n{SAY['content']}" in raw


def test_tools_calls_and_preferences_are_shown_as_json():
    (text,) = texts([WITH_TOOLS], NOVA, lines=[1])
    assert '"toolUse"' in text
    assert '--- toolConfig\n{"tools"' in text
    (text,) = texts(
        [PREFERENCE], CATALOG["gpt-4.1-2025-04-14"], lines=[1], record_format="preference"
    )
    assert "--- preferred_output\n" in text
    assert "--- non_preferred_output\n" in text


def test_lines_of_a_file_are_found_in_every_chunk(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    found = view(file, NOVA, lines=[300, 7])
    assert [record.line for record in found] == [7, 300]
    assert "question 300" in found[1].text()
    with pytest.raises(DataError, match="data has 300 lines: line 301 does not exist"):
        view(file, NOVA, lines=[301])


def test_a_sample_is_reproducible_and_covers_the_file():
    first, again, other = (
        [record.line for record in view(RECORDS, NOVA, sample=20, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first == sorted(set(first))
    seen = {
        record.line for seed in range(60) for record in view(RECORDS, NOVA, sample=20, seed=seed)
    }
    assert len(seen) > 280


def test_a_sample_of_a_small_file_is_the_file():
    assert [record.line for record in view([PLAIN] * 3, NOVA, sample=10)] == [1, 2, 3]


def test_problems_are_shown_instead_of_an_invalid_record():
    (record,) = view([row(SAY)], NOVA, lines=[1])
    assert record.record is None
    assert "the first message must be a user message [turns]" in record.text()


def test_escape_sequences_of_the_data_are_not_printed():
    (text,) = texts([row(turn("user", "a\x1b[2Jb\x9bc\td"), SAY)], NOVA, lines=[1])
    assert "a\\x1b[2Jb\\x9bc\td" in text


@pytest.mark.parametrize(
    "options", [{}, {"lines": [1], "sample": 1}, {"lines": [0]}, {"sample": -1}]
)
def test_invalid_choices(options):
    with pytest.raises(ConfigError, match="use either lines, from 1, or the size of a sample"):
        view([PLAIN], NOVA, **options)


def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in RECORDS[:9]))
    assert run(["data", "show", "in.jsonl", "2", "3", "-m", "nova-micro"]) == 0
    out = capsys.readouterr().out
    assert "question 2" in out
    assert "\n\nline 3, " in out
    assert run(["data", "sample", "in.jsonl", "-m", "nova-micro", "-n", "2", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 2
    assert rows[0]["record"]["schemaVersion"] == "bedrock-conversation-2024"
    (tmp_path / "bad.jsonl").write_text(json.dumps(row(SAY)) + "\n")
    assert run(["data", "show", "bad.jsonl", "1", "-m", "nova-micro"]) == 1
