"""Shapes with one question and one answer in fields of their own, and preferences in pairs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tunestack.catalog import RecordFormat
from tunestack.records.shapes.base import (
    Record,
    Shape,
    ShapeError,
    conversation,
    has_items,
    is_text,
    message,
    require_list,
    require_text,
    system,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTEXT = ("input", "context")
_TURN = re.compile(r"\n\n(Human|Assistant):")


def _instruction(record: Record) -> dict[str, Any]:
    """Convert Alpaca and Dolly: the instruction, and the text that it is about, are one message."""
    answer = "output" if "output" in record else "response"
    question = require_text(record, "instruction")
    for name in _CONTEXT:
        text = record.get(name)
        if isinstance(text, str) and text.strip():
            question = f"{question}\n\n{text}" if question.strip() else text
    turns = []
    history = record.get("history") or []
    if not isinstance(history, list):
        raise ShapeError("$.history", "expected pairs of a question and an answer")
    for pair in history:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ShapeError("$.history", "expected pairs of a question and an answer")
        turns += [message("user", pair[0]), message("assistant", pair[1])]
    return conversation(
        system(record.get("system")),
        *turns,
        message("user", question),
        message("assistant", require_text(record, answer)),
    )


def _pair(prompt: str, completion: str) -> Shape:
    """Create the shape of two fields with other names."""
    fields = (prompt, completion)

    def convert(record: Record) -> dict[str, Any]:
        if system(record.get("system")) is not None:
            raise ShapeError("$.system", "has a system prompt, and the first record has none")
        question, answer = (require_text(record, name) for name in fields)
        return {"prompt": question, "completion": answer}

    return Shape(
        name=f"{prompt}/{completion}",
        mapping=f"{prompt} is the prompt, {completion} is the completion",
        fields=(*fields, "system"),
        matches=lambda record: (
            is_text(record, *fields) and not isinstance(record.get("system"), str)
        ),
        convert=convert,
        format=RecordFormat.COMPLETION,
    )


def _pair_with_system(prompt: str, completion: str) -> Shape:
    pair = _pair(prompt, completion)

    def convert(record: Record) -> dict[str, Any]:
        return conversation(
            system(record.get("system")),
            message("user", require_text(record, prompt)),
            message("assistant", require_text(record, completion)),
        )

    return Shape(
        name=f"system/{pair.name}",
        mapping=f"system, {prompt} (user) and {completion} (assistant) are the messages",
        fields=pair.fields,
        matches=lambda record: is_text(record, prompt, completion, "system"),
        convert=convert,
    )


_NAMES = (
    ("question", "answer"),
    ("Question", "Answer"),
    ("query", "response"),
    ("query", "answer"),
    ("prompt", "response"),
    ("input", "output"),
    ("input", "target"),
    ("inputs", "targets"),
    ("input_text", "output_text"),
    ("user", "assistant"),
    ("Prompt", "Completion"),
)


def _answer(value: Any, path: str) -> list[dict[str, Any]]:
    """Return an answer as messages."""
    if isinstance(value, str):
        return [message("assistant", value)]
    return require_list(value, path)


def _preference(record: Record) -> dict[str, Any]:
    """Convert TRL's preferences: with a prompt, or with two conversations that begin with the same messages."""
    prompt = record.get("prompt")
    chosen = _answer(record.get("chosen"), "$.chosen")
    rejected = _answer(record.get("rejected"), "$.rejected")
    if isinstance(prompt, str):
        messages = [message("user", prompt)]
    elif prompt is not None:
        messages = require_list(prompt, "$.prompt")
    else:
        messages = []
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    # Some tools repeat the prompt in both conversations.
    if chosen[: len(messages)] != messages:
        messages = messages + chosen[:shared]
    else:
        messages = chosen[:shared] or messages
    if not messages:
        raise ShapeError("$", "expected a prompt, or two conversations with the same beginning")
    return {
        "input": {"messages": messages},
        "preferred_output": chosen[shared:],
        "non_preferred_output": rejected[shared:],
    }


def _transcript(text: str, path: str) -> Iterator[dict[str, Any]]:
    parts = _TURN.split(text)
    if parts[0].strip() or len(parts) < 3:
        raise ShapeError(
            path, "expected turns that begin with '\\n\\nHuman:' and '\\n\\nAssistant:'"
        )
    for speaker, content in zip(parts[1::2], parts[2::2], strict=True):
        yield message("user" if speaker == "Human" else "assistant", content.strip())


def _harmless(record: Record) -> dict[str, Any]:
    """Convert Anthropic's HH-RLHF: two transcripts."""
    return _preference(
        {
            name: list(_transcript(require_text(record, name), f"$.{name}"))
            for name in ("chosen", "rejected")
        }
    )


def _is_transcript(record: Record) -> bool:
    return is_text(record, "chosen", "rejected") and "\n\nHuman:" in record["chosen"]


def _is_preference(record: Record) -> bool:
    if not {"chosen", "rejected"} <= record.keys():
        return False
    chosen = record["chosen"]
    if isinstance(chosen, str):
        return "prompt" in record
    return has_items(chosen, "role", "content")


PAIRS = (
    Shape(
        name="HH-RLHF",
        mapping="chosen and rejected are transcripts, which are split into messages",
        fields=("chosen", "rejected"),
        matches=_is_transcript,
        convert=_harmless,
        format=RecordFormat.PREFERENCE,
    ),
    Shape(
        name="TRL preferences",
        mapping="chosen is the preferred output, rejected is the other one",
        fields=("prompt", "chosen", "rejected"),
        matches=_is_preference,
        convert=_preference,
        format=RecordFormat.PREFERENCE,
    ),
    Shape(
        name="Alpaca",
        mapping="instruction and input are the user message, output is the answer",
        fields=("instruction", "input", "output", "system", "history"),
        matches=lambda record: is_text(record, "instruction", "output"),
        convert=_instruction,
    ),
    Shape(
        name="Dolly",
        mapping="instruction and context are the user message, response is the answer",
        fields=("instruction", "context", "response", "system", "history"),
        matches=lambda record: is_text(record, "instruction", "response"),
        convert=_instruction,
    ),
    *(_pair_with_system(*names) for names in (*_NAMES, ("prompt", "completion"))),
    *(_pair(*names) for names in _NAMES),
)
