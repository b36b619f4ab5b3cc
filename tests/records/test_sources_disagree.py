"""Content on which AWS's sources disagree is accepted, and the message has what each of them says."""

import json
from typing import Any

import pytest

from tests.records.samples import ASK, PLAIN, SAY, SYSTEM, WITH_TOOLS, image, row, turn
from tunestack.catalog import CATALOG
from tunestack.records import check, prepare

NOVA, NOVA_2 = CATALOG["nova-lite"], CATALOG["nova-2-lite"]
GPT4O = CATALOG["gpt-4o-2024-08-06"]
PDF: Any = {"format": "pdf", "source": {"s3Location": {"uri": "s3://bucket/a.pdf"}}}


def with_documents(*documents):
    blocks = [{"text": "What does it say?"}, *({"document": document} for document in documents)]
    answer = {"role": "assistant", "content": [{"text": "yes"}]}
    return {
        "schemaVersion": "bedrock-conversation-2024",
        "messages": [{"role": "user", "content": blocks}, answer],
    }


def messages(records, model, rule="sources-disagree"):
    return [problem.message for problem in check(records, model).problems if problem.rule == rule]


@pytest.mark.parametrize(
    ("model", "words"),
    [(NOVA, "accepts them for Nova 2 Lite only"), (NOVA_2, "says that they might fail the job")],
)
def test_tools_of_nova_are_accepted_and_the_conflict_is_reported_once(model, words):
    report = check([WITH_TOOLS] * 250, model)
    assert report.ok
    (message,) = messages([WITH_TOOLS] * 250, model)
    assert message.startswith("250 records with tools: ")
    assert words in message
    assert messages([PLAIN] * 250, model) == []


def test_a_document_is_written_for_nova_2_lite(tmp_path):
    records = [with_documents(PDF | {"name": "contract"})] * 250
    dataset = prepare(records, NOVA_2, tmp_path / "out.jsonl", owner="123456789012")
    written = json.loads(dataset.path.read_bytes().splitlines()[0])
    location = PDF["source"]["s3Location"] | {"bucketOwner": "123456789012"}
    assert written["messages"][0]["content"][1] == {
        "document": {"format": "pdf", "source": {"s3Location": location}}
    }
    (message,) = messages(records, NOVA_2)
    assert "250 records with documents: the Nova 2 user guide" in message


@pytest.mark.parametrize(
    ("record", "model", "rule"),
    [
        (with_documents(PDF), NOVA, "unsupported-media"),
        (with_documents(PDF, PDF), NOVA_2, "media-count"),
        (with_documents(PDF | {"format": "docx"}), NOVA_2, "media-format"),
    ],
)
def test_invalid_documents_are_errors(record, model, rule):
    assert {problem.rule for problem in check([record] * 250, model).errors} == {rule}


@pytest.mark.parametrize("slow", [False, True])
def test_a_system_prompt_in_some_records_is_a_warning_for_nova_only(slow):
    more = {"parallel_tool_calls": True} if slow else {}
    some = [row(SYSTEM, ASK, SAY, **more)] * 3 + [row(ASK, SAY, **more)] * 9
    (message,) = messages(some, NOVA, "mixed-content")
    assert message.startswith("3 of 12 records have a system prompt: ")
    assert messages(some, GPT4O, "mixed-content") == []
    assert messages([row(SYSTEM, ASK, SAY, **more)] * 12, NOVA, "mixed-content") == []


def test_tool_calls_in_some_records_are_a_warning_for_nova():
    (message,) = messages([WITH_TOOLS] * 3 + [PLAIN] * 9, NOVA, "mixed-content")
    assert message.startswith("3 of 12 records have tools: ")


def test_ten_images_of_ten_megabytes_are_accepted_by_openai(tmp_path):
    url = "data:image/png;base64," + "A" * 13_900_000
    file = tmp_path / "in.jsonl"
    record = row(turn("user", [image(url)] * 10), SAY)
    file.write_text("".join(json.dumps(line) + "\n" for line in (PLAIN, record, PLAIN)))
    report = check(file, GPT4O, ignore=["record-count"])
    assert report.errors == ()
    assert report.content == {"image": 1}
    (problem,) = check(file, NOVA, ignore=["record-count"]).errors
    assert (problem.rule, problem.line) == ("line-length", 2)
    assert "longer than 8 MiB" in problem.message


@pytest.mark.parametrize(
    ("characters", "rules"), [(96_002, set()), (96_003, {"tokens"})], ids=["limit", "above"]
)
def test_tokens_of_claude_are_counted_as_by_its_validator(characters, rules):
    # Four bytes for a character in JSON: bytes would exceed the limit long before.
    record = row(turn("user", "\u4f60" * (characters - len(SAY["content"]))), SAY)
    report = check([record], CATALOG["claude-3-haiku"], ignore=["record-count"])
    assert {problem.rule for problem in report.errors} == rules


@pytest.mark.parametrize("content", ["", None, []])
@pytest.mark.parametrize("model", [NOVA, GPT4O], ids=["nova", "openai"])
def test_an_empty_tool_result_is_kept(tmp_path, model, content):
    question, call, result, answer = WITH_TOOLS["messages"]
    record = {**WITH_TOOLS, "messages": [question, call, {**result, "content": content}, answer]}
    dataset = prepare([record] * 10, model, tmp_path / "out.jsonl")
    written = dataset.path.read_text().splitlines()[0]
    assert ('"content":[{"text":""}]' if model is NOVA else '"content":""') in written
