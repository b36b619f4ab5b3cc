"""Conversion of every record format keeps each text, role, tool call and result, or reports what it does not keep."""

import json
import sys
from typing import Any

import orjson
import pytest

from tests.records.shape_writers import WRITERS, generate
from tunestack.catalog import CATALOG, RecordFormat
from tunestack.records.findings import Severity
from tunestack.records.formats import detect_format
from tunestack.records.rules import RULES
from tunestack.records.shapes import SHAPES, detect_shape
from tunestack.records.shapes.table import is_native
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target

NOVA = CATALOG["nova-pro"]
SHAPES_BY_NAME = {shape.name: shape for shape in SHAPES}


def test_every_shape_and_format_has_a_writer():
    formats = {"chat", "completion", "input-output-text", "bedrock-conversation-2024", "messages"}
    assert WRITERS.keys() == SHAPES_BY_NAME.keys() | formats


def events_of_chat(messages):
    """Return the events of messages in OpenAI's format."""
    found: list[Any] = []
    for message in messages:
        if message["role"] == "tool":
            found.append(("result", message["tool_call_id"], _text(message["content"])))
            continue
        if message.get("content"):
            found.append((message["role"], _text(message["content"])))
        for call in message.get("tool_calls", ()):
            arguments = json.loads(call["function"]["arguments"])
            found.append(("call", call["id"], call["function"]["name"], arguments))
    return with_numbered_calls(found)


def events_of_converse(record):
    """Return the events of a record in Converse's format."""
    found: list[Any] = [("system", block["text"]) for block in record.get("system", ())]
    for message in record["messages"]:
        for block in message["content"]:
            if "toolUse" in block:
                use = block["toolUse"]
                found.append(("call", use["toolUseId"], use["name"], use["input"]))
            elif "toolResult" in block:
                (part,) = block["toolResult"]["content"]
                found.append(("result", block["toolResult"]["toolUseId"], part["text"]))
            else:
                found.append((message["role"], block["text"]))
    return with_numbered_calls(found)


def with_numbered_calls(events):
    """Replace ids by their order, because some formats have no ids."""
    numbers: dict[str, int] = {}
    return [
        (event[0], numbers.setdefault(event[1], len(numbers)), *event[2:])
        if event[0] in ("call", "result")
        else event
        for event in events
    ]


def _text(content):
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def expected_events(name, talk):
    events = with_numbered_calls(talk.events)
    if name == "HH-RLHF":  # its turns are separated by spaces
        return [(kind, text.strip()) for kind, text in events]
    return events


def to_chat(name, record):
    """Return a record in one of Tunestack's formats, and the format."""
    shape = detect_shape([record], "data")
    if shape is None:
        assert is_native(record)
        return record, detect_format(record)
    assert shape is SHAPES_BY_NAME[name]
    return shape.convert(record), shape.format


def mapped_events(record, record_format):
    if record_format is RecordFormat.CONVERSE:
        return events_of_converse(record)
    if record_format is RecordFormat.PREFERENCE:
        return events_of_chat([*record["input"]["messages"], *record["preferred_output"]])
    if record_format is RecordFormat.CHAT:
        return events_of_chat(record["messages"])
    if record_format is RecordFormat.MESSAGES:
        system = [("system", record["system"])] if "system" in record else []
        return [*system, *events_of_chat(record["messages"])]
    names = ("inputText", "outputText") if "inputText" in record else ("prompt", "completion")
    return [("user", record[names[0]]), ("assistant", record[names[1]])]


def check_format(name, seed, count):
    """Check records of a format; return how many were converted for Nova."""
    converted = 0
    for talk, record in generate(name, seed, count):
        mapped, record_format = to_chat(name, json.loads(json.dumps(record)))
        assert mapped_events(mapped, record_format) == expected_events(name, talk), record
        if record_format is RecordFormat.PREFERENCE:
            continue  # Nova has no such training
        result = convert_record(orjson.dumps(mapped), Target.create(NOVA, source=record_format))
        if result.line is None:
            assert any(RULES[found.rule].severity is Severity.ERROR for found in result.problems)
            continue
        converted += 1
        assert not result.losses
        assert events_of_converse(json.loads(result.line)) == expected_events(name, talk), record
    return converted


@pytest.mark.parametrize("name", WRITERS)
def test_content_is_kept(name):
    converted = check_format(name, 1, 250)
    assert converted > 200 or SHAPES_BY_NAME[name].format is RecordFormat.PREFERENCE


@pytest.mark.campaign
@pytest.mark.parametrize("name", WRITERS)
def test_content_of_a_hundred_thousand_records_is_kept(name, figure):
    figure(f"{name}: 100,000 records, {check_format(name, 2, 100_000):,} converted for Nova")


@pytest.mark.parametrize("lost", ["system", "user", "assistant", "tool"])
def test_property_finds_a_conversion_that_loses_messages(lost, monkeypatch):
    """Negative control."""
    convert = to_chat

    def lose(name, record):
        mapped, record_format = convert(name, record)
        kept = [message for message in mapped["messages"] if message["role"] != lost]
        return {**mapped, "messages": kept}, record_format

    monkeypatch.setattr(sys.modules[__name__], "to_chat", lose)
    with pytest.raises(AssertionError):
        check_format("ShareGPT", 1, 50)
