"""One prompt and one completion: Llama 3.1 and 2, Cohere, Titan.

Messages are written with the chat template of the model family, one question and one answer too: all records of a file are
written the same way, see `records.target.Rendering`.
Source: user guide, model-customization-prepare; the project's specification for `inputText`/`outputText`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack.records.conversation import Conversation, Text, Turn
from tunestack.records.formats.converse import report_extras
from tunestack.records.formats.fields import report_record_fields, require_text, without_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.records.chat_templates import Template
    from tunestack.records.findings import Findings


def one_text(turn: Turn) -> str:
    """Return the text of a turn, for a format with one text per message."""
    return "".join(block.text for block in turn.blocks if isinstance(block, Text))


def reader(prompt: str, completion: str) -> Callable[..., Conversation]:
    """Create the reader of a format with two fields."""
    return partial(_read, prompt, completion)


def writer(prompt: str, completion: str) -> Callable[..., dict[str, Any] | None]:
    """Create the writer of a format with two fields."""
    return partial(_write, prompt, completion)


def _read(
    prompt: str,
    completion: str,
    record: Mapping[str, Any],
    findings: Findings,
    *,
    template: Template | None = None,
) -> Conversation:
    record = without_nulls(record, "$", findings)
    report_record_fields(record, (prompt, completion), findings)
    question = require_text(record, prompt, "$", findings)
    answer = require_text(record, completion, "$", findings)
    if question is None or answer is None:
        return Conversation(turns=())
    turns = None if template is None else template.parse(question, answer)
    if turns is not None:
        return Conversation(
            turns=tuple(
                Turn(role, (Text(content),), f"$.{completion if is_last else prompt}")
                for is_last, (role, content) in (
                    (index == len(turns) - 1, turn) for index, turn in enumerate(turns)
                )
            )
        )
    return Conversation(
        turns=(
            Turn("user", (Text(question),), f"$.{prompt}"),
            Turn("assistant", (Text(answer),), f"$.{completion}"),
        )
    )


def _write(
    prompt: str,
    completion: str,
    conversation: Conversation,
    findings: Findings,
    *,
    template: Template | None = None,
) -> dict[str, Any] | None:
    report_extras(conversation, findings, is_text_only=True)
    turns = [(turn.role, one_text(turn)) for turn in conversation.turns]
    if template is not None:
        question, answer = template.render(turns)
        return {prompt: question, completion: answer}
    if [role for role, _ in turns] != ["user", "assistant"]:
        findings.add(
            "turns",
            "$",
            "several messages or a system prompt: a raw rendering has one prompt and one completion",
        )
        return None
    return {prompt: turns[0][1], completion: turns[1][1]}
