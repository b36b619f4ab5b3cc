"""Converted records that are read back are equal to the original, except for the reported losses."""

import json
import re
from collections import Counter
from typing import Any

import orjson
import pytest

from tests.records.samples import Generator
from tunestack.catalog import CATALOG, RecordFormat
from tunestack.records.conversation import (
    Conversation,
    Media,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)
from tunestack.records.fast_path import FastPath
from tunestack.records.findings import Findings, Severity
from tunestack.records.formats import FORMATS
from tunestack.records.rules import RULES
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target

# The content other than text in the generated conversations of each model.
MODELS = {
    "nova-pro": {"tools": True, "images": True},
    "nova-micro": {"tools": True, "weights": True},
    "llama-3-2-11b": {"images": True},
    "llama-3-3-70b": {},
    "claude-3-haiku": {},
    "llama-3-1-8b": {"weights": True},
    "llama-2-13b": {},
    "cohere-command": {},
    "titan-text-express": {},
    "gpt-4.1-2025-04-14": {"tools": True, "weights": True},
}
LOST_FIELD = re.compile(r"(?P<at>\$\.messages\[\d+\])\.(?P<field>weight|name)")


def plain(block):
    """Remove the attributes of a block that have their own losses."""
    if isinstance(block, ToolResult):
        return ToolResult(block.id, block.content)
    if isinstance(block, ToolUse):
        return ToolUse(block.id, block.name, block.input)
    if isinstance(block, Media):
        return Media(block.kind, block.format, block.uri)
    return block


def merge_texts(blocks, *, join):
    """Join texts if that was reported."""
    texts = [block.text for block in blocks if isinstance(block, Text)]
    if not join:
        return tuple(map(plain, blocks))
    return (Text("".join(texts)),)


def without(conversation, losses, blank, target):
    """Remove the reported losses from a conversation."""
    fields = {
        (match["at"], match["field"]) for path in losses if (match := LOST_FIELD.fullmatch(path))
    }
    turns = []
    for turn in conversation.turns:
        blocks = turn.blocks
        if turn.path in blank:
            blocks = tuple(
                block for block in blocks if not isinstance(block, Text) or block.text.strip()
            )
        name = None if (turn.path, "name") in fields else turn.name
        weight = None if (turn.path, "weight") in fields else turn.weight
        if weight == 1 and not target.is_openai:
            weight = None  # where there are no weights, every answer is learned
        turns.append(
            Turn(turn.role, merge_texts(blocks, join=turn.path in losses), "", name, weight)
        )
    return Conversation(tuple(turns), conversation.tools)


def without_paths(conversation):
    return Conversation(
        tuple(
            Turn(turn.role, tuple(map(plain, turn.blocks)), "", turn.name, turn.weight)
            for turn in conversation.turns
        ),
        conversation.tools,
    )


def read_back(line, target):
    findings = Findings()
    record = json.loads(line)
    form = FORMATS[target.format]
    options = {"template": target.template} if form.is_templated else {}
    conversation = form.read(record, findings, **options)
    assert not findings.problems
    assert not findings.losses
    return without_paths(conversation)


def round_trips(seed, count):
    generator = Generator(seed)
    seen: Counter[Any] = Counter()
    targets = {key: Target.create(CATALOG[key], source="chat", on_loss="report") for key in MODELS}
    fast_paths = {key: FastPath(target) for key, target in targets.items()}
    for number in range(count):
        key = [*MODELS][number % len(MODELS)]
        record = generator.conversation(**MODELS[key])
        line = orjson.dumps(record)
        result = convert_record(line, targets[key])
        # The slow path writes the same bytes as the fast path, and finds no problem.
        for form in (line + b"\n", json.dumps(record).encode() + b"\n"):
            converted = fast_paths[key].convert([form])
            if not converted.remaining:
                seen[key, "fast path"] += 1
                assert (converted.lines[0], converted.sizes[0], (), ()) == (
                    result.line,
                    result.size,
                    result.problems,
                    result.losses,
                )
        if result.line is None:
            assert any(
                RULES[problem.rule].severity is Severity.ERROR for problem in result.problems
            )
            seen[key, "refused"] += 1
            continue
        said = FORMATS[RecordFormat.CHAT].read(record, Findings())
        blank = {found.path for found in result.problems if found.rule == "blank-part"}
        lost = {loss.path for loss in result.losses}
        assert without(said, lost, blank, targets[key]) == read_back(result.line, targets[key]), (
            record
        )
        seen[key, "written"] += 1
    return seen


def check_coverage(seen, count):
    """Check that enough records of each model were converted."""
    for key in MODELS:
        assert seen[key, "written"] > 0.4 * count / len(MODELS), seen
        assert seen[key, "fast path"] > 0.2 * count / len(MODELS), seen


def test_converted_records_are_equal_to_the_original():
    check_coverage(round_trips(1, 6000), 6000)


@pytest.mark.campaign
def test_a_hundred_thousand_converted_records_are_equal_to_the_original():
    check_coverage(round_trips(2, 100_000), 100_000)


@pytest.mark.parametrize(
    "broken",
    [
        lambda block: Text(block.text.strip()),
        lambda block: Text(block.text + " "),
        lambda block: Text(block.text.replace("\r", "\n")),
    ],
)
def test_property_finds_a_writer_that_changes_texts(monkeypatch, broken):
    """Negative control."""
    from tunestack.records import slow_path

    written = slow_path._write

    def altered(conversation, target, findings):
        turns = tuple(
            Turn(
                turn.role,
                tuple(broken(block) if isinstance(block, Text) else block for block in turn.blocks),
                turn.path,
                turn.name,
                turn.weight,
            )
            for turn in conversation.turns
        )
        return written(Conversation(turns, conversation.tools), target, findings)

    monkeypatch.setattr(slow_path, "_write", altered)
    with pytest.raises(AssertionError):
        round_trips(1, 2000)
