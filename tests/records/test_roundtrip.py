"""What was written, read back, is what was said, but for the losses that were reported."""

import json
import re
from collections import Counter

import orjson
import pytest

from tests.records.samples import Generator
from tunestack.catalog import CATALOG
from tunestack.records.conversation import (
    Conversation,
    Media,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)
from tunestack.records.fast_path import FastPath
from tunestack.records.findings import Findings
from tunestack.records.formats import FORMATS, SourceFormat
from tunestack.records.slow_path import examine
from tunestack.records.target import Target

# The model, and what the generated conversations have beside text.
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
    """Take from a block what a loss has its own words for."""
    if isinstance(block, ToolResult):
        return ToolResult(block.id, block.content)
    if isinstance(block, ToolUse):
        return ToolUse(block.id, block.name, block.input)
    if isinstance(block, Media):
        return Media(block.kind, block.format, block.uri)
    return block


def merged(blocks, *, join):
    """Join texts, where that was reported."""
    texts = [block.text for block in blocks if isinstance(block, Text)]
    if not join:
        return tuple(map(plain, blocks))
    return (Text("".join(texts)),)


def without(conversation, losses, blank, target):
    """Leave out of a conversation what was reported as lost."""
    fields = {
        (match["at"], match["field"]) for path in losses if (match := LOST_FIELD.fullmatch(path))
    }
    turns = []
    for turn in conversation.turns:
        blocks = turn.blocks
        if turn.at in blank:
            blocks = tuple(
                block for block in blocks if not isinstance(block, Text) or block.text.strip()
            )
        name = None if (turn.at, "name") in fields else turn.name
        weight = None if (turn.at, "weight") in fields else turn.weight
        if weight == 1 and not target.on_openai:
            weight = None  # where there are no weights, every answer is learned
        turns.append(Turn(turn.role, merged(blocks, join=turn.at in losses), "", name, weight))
    return Conversation(tuple(turns), conversation.tools)


def nameless(conversation):
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
    options = {"template": target.template} if form.templated else {}
    conversation = form.read(record, findings, **options)
    assert not findings.problems
    assert not findings.losses
    return nameless(conversation)


def round_trips(seed, count):
    generator = Generator(seed)
    seen = Counter()
    targets = {key: Target.of(CATALOG[key], source="chat", on_loss="report") for key in MODELS}
    quick = {key: FastPath(target) for key, target in targets.items()}
    for number in range(count):
        key = [*MODELS][number % len(MODELS)]
        record = generator.conversation(**MODELS[key])
        line = orjson.dumps(record)
        examined = examine(line, targets[key])
        # What the quick look writes, the careful one writes too, to the byte; and it sees nothing wrong.
        for form in (line + b"\n", json.dumps(record).encode() + b"\n"):
            ((out,), sizes, _) = quick[key].convert([form])
            if out:
                seen[key, "quick"] += 1
                assert (out, sizes[0], (), ()) == (
                    examined.line,
                    examined.size,
                    examined.found,
                    examined.losses,
                )
        if examined.line is None:
            assert examined.is_bad
            seen[key, "refused"] += 1
            continue
        said = FORMATS[SourceFormat.CHAT].read(record, Findings())
        blank = {found.path for found in examined.found if found.rule == "blank-part"}
        lost = {loss.path for loss in examined.losses}
        assert without(said, lost, blank, targets[key]) == read_back(examined.line, targets[key]), (
            record
        )
        seen[key, "written"] += 1
    return seen


def shown_to_be_enough(seen, count):
    """A property that was hardly ever looked at holds of nothing."""
    for key in MODELS:
        assert seen[key, "written"] > 0.4 * count / len(MODELS), seen
        assert seen[key, "quick"] > 0.2 * count / len(MODELS), seen


def test_what_is_written_is_what_was_said():
    shown_to_be_enough(round_trips(1, 6000), 6000)


@pytest.mark.campaign
def test_what_is_written_is_what_was_said_a_hundred_thousand_times():
    shown_to_be_enough(round_trips(2, 100_000), 100_000)


@pytest.mark.parametrize(
    "broken",
    [
        lambda block: Text(block.text.strip()),
        lambda block: Text(block.text + " "),
        lambda block: Text(block.text.replace("\r", "\n")),
    ],
)
def test_a_writer_that_alters_texts_is_found(monkeypatch, broken):
    """The control: the property can fail."""
    from tunestack.records import slow_path

    written = slow_path._write

    def altered(conversation, target, findings):
        turns = tuple(
            Turn(
                turn.role,
                tuple(broken(block) if isinstance(block, Text) else block for block in turn.blocks),
                turn.at,
                turn.name,
                turn.weight,
            )
            for turn in conversation.turns
        )
        return written(Conversation(turns, conversation.tools), target, findings)

    monkeypatch.setattr(slow_path, "_write", altered)
    with pytest.raises(AssertionError):
        round_trips(1, 2000)
