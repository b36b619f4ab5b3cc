"""Bedrock's model invocation logs become training data; what is left out is counted with the reason."""

import json
from datetime import UTC, datetime

import pytest

from tests.records.log_samples import CLAUDE, FOLDER, chat, converse_entry, entry, pack
from tunestack import ConfigError, DataError, LogFilter, collect_logs
from tunestack.cli.commands import run
from tunestack.records.shapes import ShapeError
from tunestack.records.shapes.streams import join_stream

CALL = {"toolUseId": "call-1", "name": "weather", "input": {"city": "Bern"}}
REASONING = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "x"}}}


@pytest.fixture
def logs(tmp_path):
    """Return a function that writes entries as log files and returns the directory."""

    def write(*files, folder="2026/11/01/00"):
        directory = tmp_path / "logs" / FOLDER / folder
        directory.mkdir(parents=True, exist_ok=True)
        for number, entries in enumerate(files):
            (directory / f"part-{number:04}.json.gz").write_bytes(pack(entries))
        return tmp_path / "logs"

    return write


def collected(source, tmp_path, **options):
    dataset = collect_logs(source, tmp_path / "out.jsonl", **options)
    return dataset, [json.loads(line) for line in dataset.path.read_text().splitlines()]


def test_each_answer_is_a_record(logs, tmp_path):
    source = logs([converse_entry(1), converse_entry(2)], [converse_entry(3, model=CLAUDE)])
    dataset, records = collected(source, tmp_path)
    assert records == [chat(f"Question {number}?", f"Answer {number}.") for number in (1, 2, 3)]
    assert (dataset.files, dataset.entries, dataset.records) == (2, 3, 3)
    assert dataset.models == {"us.amazon.nova-pro-v1:0": 2, CLAUDE: 1}
    assert dataset.skipped == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "out.jsonl"]


@pytest.mark.parametrize(
    ("rejected", "options", "reason"),
    [
        (converse_entry(2, model=CLAUDE), {"models": ("nova",)}, "other models"),
        (converse_entry(90_000), {"until": datetime(2026, 11, 2, tzinfo=UTC)}, "other times"),
        (
            converse_entry(2, requestMetadata={"app": "other"}),
            {"metadata": {"app": "support"}},
            "other request metadata",
        ),
        (converse_entry(2, errorCode="ThrottlingException"), {}, "failed requests"),
        (converse_entry(2, stop="max_tokens"), {}, "truncated or blocked answers"),
        (converse_entry(2, stop="guardrail_intervened"), {}, "truncated or blocked answers"),
        (converse_entry(1), {}, "duplicates"),
        ({"other": 1}, {}, "entries that are no invocations"),
        (
            entry(2, {"inputText": "x"}, {"embedding": [0.5]}),
            {},
            "$: unknown format of the request or the response",
        ),
        (
            converse_entry(2) | {"output": {"outputBodyS3Path": "s3://bucket/data/2.json.gz"}},
            {},
            "$.output.outputBodyJson: the log has no text, or stored it in another object (above 100 KB): enable the delivery of text data",
        ),
    ],
)
def test_an_entry_is_left_out_with_the_reason(logs, tmp_path, rejected, options, reason):
    kept = converse_entry(1, requestMetadata={"app": "support"})
    dataset, records = collected(logs([kept, rejected]), tmp_path, log_filter=LogFilter(**options))
    assert records == [chat("Question 1?", "Answer 1.")]
    assert dataset.skipped == {reason: 1}


def test_short_answers_are_left_out(logs, tmp_path):
    source = logs([converse_entry(1), converse_entry(2) | {"output": {"outputTokenCount": 3}}])
    dataset, _ = collected(source, tmp_path, log_filter=LogFilter(min_output_tokens=5))
    assert dataset.skipped == {"answers with fewer tokens": 1}


def test_incomplete_answers_can_be_kept(logs, tmp_path):
    source = logs([converse_entry(1, stop="max_tokens")])
    dataset, _ = collected(source, tmp_path, log_filter=LogFilter(keep_incomplete=True))
    assert dataset.records == 1


@pytest.mark.parametrize(("unique", "count"), [("none", 3), ("record", 2), ("prompt", 1)])
def test_duplicates_are_found_by_record_or_prompt(logs, tmp_path, unique, count):
    same = {"question": "Same?"}
    source = logs([converse_entry(1, **same, answer=answer) for answer in ("a", "a", "b")])
    assert collected(source, tmp_path, unique=unique)[0].records == count


def test_a_period_skips_the_folders_of_other_days(logs, tmp_path):
    logs([converse_entry(1)])
    source = logs([{"broken": 1}], folder="2026/11/20/00")
    (tmp_path / "logs" / FOLDER / "2026/11/20/00/part-0000.json.gz").write_bytes(
        pack([converse_entry(2)])[:-9]
    )
    before = LogFilter(until=datetime(2026, 11, 10, tzinfo=UTC))
    dataset, _ = collected(source, tmp_path, log_filter=before)
    assert (dataset.files, dataset.records) == (1, 1)
    with pytest.raises(
        DataError, match="2026/11/20/00/part-0000.json.gz is not a complete compressed file"
    ):
        collected(source, tmp_path)


def test_bodies_in_objects_of_their_own_are_no_log_files(logs, tmp_path):
    source = logs([converse_entry(1)])
    logs([{"messages": []}], folder="2026/11/01/00/data")
    assert collected(source, tmp_path)[0].files == 1


def test_a_hook_changes_and_removes_records(logs, tmp_path):
    def hook(record, log):
        if log["requestId"] == "request-2":
            return None
        record["messages"][1]["content"] = "[removed]"
        return record

    source = logs([converse_entry(1), converse_entry(2)])
    dataset, records = collected(source, tmp_path, hook=hook)
    assert records == [chat("[removed]", "Answer 1.")]
    assert dataset.skipped == {"records that the filter left out": 1}


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        (
            lambda record, log: 1 / 0,
            "the filter failed for request request-1 in .*ZeroDivisionError",
        ),
        (lambda record, log: "text", "the filter returned a value of type str"),
    ],
)
def test_a_failing_hook_is_an_error_with_the_request(logs, tmp_path, hook, message):
    with pytest.raises(DataError, match=message):
        collected(logs([converse_entry(1)]), tmp_path, hook=hook)


def test_an_interrupted_collection_continues_after_the_last_complete_file(logs, tmp_path):
    source = logs(*([converse_entry(number), converse_entry(0)] for number in range(1, 9)))
    expected, records = collected(source, tmp_path)
    for stop_after in range(1, 8):
        out = tmp_path / f"out-{stop_after}.jsonl"

        def stop(files, _, stop_after=stop_after):
            if files == stop_after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            collect_logs(source, out, progress=stop)
        assert not out.exists()
        with (tmp_path / f"{out.name}.partial").open("ab") as file:
            file.write(b'{"torn')
        seen = []
        dataset = collect_logs(source, out, progress=lambda files, _: seen.append(files))  # noqa: B023
        assert seen == [*range(stop_after + 1, 9)]
        assert [json.loads(line) for line in out.read_text().splitlines()] == records
        assert (dataset.entries, dataset.skipped) == (expected.entries, expected.skipped)


def test_other_settings_start_again_with_a_warning(logs, tmp_path, caplog):
    source = logs([converse_entry(1)], [converse_entry(2, model=CLAUDE)])

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_logs(source, tmp_path / "out.jsonl", progress=stop)
    _, records = collected(source, tmp_path, log_filter=LogFilter(models=("claude",)))
    assert records == [chat("Question 2?", "Answer 2.")]
    assert "starts again, because the interrupted call had other arguments" in caplog.text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no log files: expected names that end in .json.gz"),
        (
            [[converse_entry(1, errorCode="X")]],
            "no record is left of 1 log entries in 1 files: 1 failed requests",
        ),
    ],
)
def test_no_record_is_an_error(logs, tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        collect_logs(logs(*files), tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique": "first"}, "invalid unique 'first': use record, prompt, none"),
        ({"source": "s3://"}, "invalid S3 URI 's3://'"),
        (
            {"source": "missing"},
            "'missing' does not exist: use a file, a directory or s3://bucket/prefix/",
        ),
    ],
)
def test_invalid_arguments(tmp_path, options, message):
    source = options.pop("source", str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        collect_logs(source, tmp_path / "out.jsonl", **options)
    with pytest.raises(ConfigError, match="since must be before until"):
        LogFilter(since=datetime(2026, 11, 2, tzinfo=UTC), until=datetime(2026, 11, 1))  # noqa: DTZ001


CONVERSE_EVENTS = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "H"}}}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "m."}}}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "x"}}}},
    {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": "I lo"}}},
    {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": "ok."}}},
    {"contentBlockStart": {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "call-1", "name": "weather"}}}},
    {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city":'}}}},
    {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"toolUse": {"input": ' "Bern"}'}}}},
    {"contentBlockStop": {"contentBlockIndex": 2}},
    {"messageStop": {"stopReason": "tool_use"}},
    {"metadata": {"usage": {"totalTokens": 9}}},
]  # fmt: skip
ANTHROPIC_EVENTS = [
    {"type": "message_start", "message": {"role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I look."}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "call-1", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city": "Bern"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
]  # fmt: skip
ANSWER = {
    "role": "assistant",
    "content": "I look.",
    "reasoning_content": "Hm.",
    "tool_calls": [
        {
            "id": "call-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Bern"}'},
        }
    ],
}


@pytest.mark.parametrize(
    ("request_body", "response"),
    [
        ({"messages": [{"role": "user", "content": [{"text": "Rain?"}]}]}, CONVERSE_EVENTS),
        (
            {"messages": [{"role": "user", "content": [{"text": "Rain?"}]}]},
            {"output": {"message": {"role": "assistant", "content": [REASONING, {"text": "I look."}, {"toolUse": CALL}]}}},
        ),
        ({"messages": [{"role": "user", "content": "Rain?"}]}, ANTHROPIC_EVENTS),
    ],
    ids=["ConverseStream", "Converse", "InvokeModelWithResponseStream"],
)  # fmt: skip
def test_text_reasoning_and_calls_of_an_answer_are_kept(logs, tmp_path, request_body, response):
    _, (record,) = collected(logs([entry(1, request_body, response)]), tmp_path)
    question, answer = record["messages"]
    assert question["content"] in ("Rain?", [{"type": "text", "text": "Rain?"}])
    content = answer["content"]
    answer["content"] = content if isinstance(content, str) else content[0]["text"]
    assert answer == ANSWER


def test_the_answer_of_llama_is_joined(logs, tmp_path):
    events = [{"generation": "It ra"}, {"generation": "ins.", "stop_reason": "stop"}]
    _, (record,) = collected(logs([entry(1, {"prompt": "Rain?"}, events)]), tmp_path)
    assert [turn["content"] for turn in record["messages"]] == ["Rain?", "It rains."]


@pytest.mark.parametrize(
    "events",
    [
        [],
        ["text"],
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [{"contentBlockDelta": {"delta": {"toolUse": {"input": "{"}}}}],
        [{"contentBlockDelta": 1}],
    ],
)
def test_unknown_events_are_a_problem_of_the_entry(events):
    with pytest.raises(ShapeError, match="events"):
        join_stream(events)


def test_command_prints_what_was_left_out(logs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "privacy.py").write_text(
        "def clean(record, log):\n    return None if log['requestId'] == 'request-3' else record\n"
    )
    logs([converse_entry(1), converse_entry(2, model=CLAUDE), converse_entry(3)])
    command = (
        "data from-logs logs -o out.jsonl --model nova --filter privacy:clean --since 2026-11-01"
    )
    assert run(command.split()) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "1 records of 3 log entries in 1 files",
        "records by model:",
        "          1  us.amazon.nova-pro-v1:0",
        "left out:",
        "          1  other models",
        "          1  records that the filter left out",
    ]
    assert "data check out.jsonl" in printed.err
    assert run([*command.split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--since yesterday", "'yesterday' is not a time: use a duration before now"),
        ("--filter clean", "invalid function 'clean': use module:function"),
        ("--filter no_such_module:clean", "can't be imported"),
        ("--filter json:clean", "the module 'json' has no function 'clean'"),
    ],
)
def test_invalid_options(logs, tmp_path, monkeypatch, capsys, option, message):
    monkeypatch.chdir(tmp_path)
    logs([converse_entry(1)])
    assert run(f"data from-logs logs -o out.jsonl {option}".split()) == 2
    assert message in capsys.readouterr().err
