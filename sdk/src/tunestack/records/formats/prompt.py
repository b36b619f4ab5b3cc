"""One prompt and one answer: Llama 3.1 and 2, Cohere, Titan.

A conversation of more than a question and its answer is written with its family's chat template.
Source: user guide, model-customization-prepare; the project's specification for `inputText`/`outputText`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack.records.conversation import Conversation, Text, Turn
from tunestack.records.formats.converse import lose_extras
from tunestack.records.formats.fields import lose_unknown, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.records.chat_templates import Template
    from tunestack.records.findings import Findings


def one_text(turn: Turn) -> str:
    """Return the text of a turn, for a format that has one text for it."""
    return "".join(block.text for block in turn.blocks if isinstance(block, Text))


def reader(prompt: str, completion: str) -> Callable[..., Conversation]:
    """Make the reader of a format with two fields."""
    return partial(_read, prompt, completion)


def writer(prompt: str, completion: str) -> Callable[..., dict[str, Any] | None]:
    """Make the writer of a format with two fields."""
    return partial(_write, prompt, completion)


def _read(
    prompt: str,
    completion: str,
    record: Mapping[str, Any],
    findings: Findings,
    *,
    template: Template | None = None,
) -> Conversation:
    lose_unknown(record, (prompt, completion), "$", findings)
    asked = text(record, prompt, "$", findings)
    answer = text(record, completion, "$", findings)
    if asked is None or answer is None:
        return Conversation(turns=())
    turns = None if template is None else template.parse(asked, answer)
    if turns is not None:
        return Conversation(
            turns=tuple(
                Turn(role, (Text(content),), f"$.{completion if last else prompt}")
                for last, (role, content) in (
                    (place == len(turns) - 1, turn) for place, turn in enumerate(turns)
                )
            )
        )
    return Conversation(
        turns=(
            Turn("user", (Text(asked),), f"$.{prompt}"),
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
    lose_extras(conversation, findings, text_only=True)
    turns = [(turn.role, one_text(turn)) for turn in conversation.turns]
    if [role for role, _ in turns] == ["user", "assistant"]:
        return {prompt: turns[0][1], completion: turns[1][1]}
    if template is None:
        findings.add(
            "turns",
            "$",
            "several turns or a system prompt: this model learns from one prompt and one answer",
        )
        return None
    asked, answer = template.render(turns)
    return {prompt: asked, completion: answer}
