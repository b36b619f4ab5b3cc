"""The rules on one record, except those on its size."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import orjson

from tunestack.catalog import Content, RecordFormat
from tunestack.records.conversation import Conversation, Reasoning, Text, ToolResult, Turn
from tunestack.records.media_checks import check_media
from tunestack.records.text_rules import (
    ANSWER,
    PROMPT,
    check_dspy,
    check_special_tokens,
    check_texts,
)
from tunestack.records.tool_checks import check_tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.records.findings import Findings
    from tunestack.records.target import Target


def check(conversation: Conversation, target: Target, findings: Findings) -> None:
    """Check a record."""
    _check_empty_messages(conversation, findings)
    turns = [turn for turn in conversation.turns if turn.role != "system"]
    if conversation.preferred:
        _check_preference(conversation, turns, target, findings)
    elif target.form.has_strict_turns:
        _check_system_prompt(conversation, target, findings)
        _check_order(turns, findings)
    else:
        _check_answers(turns, findings)
    _check_weights(conversation, findings)
    check_tools(conversation, target, findings)
    check_media(conversation, target, findings)
    _check_reasoning(conversation, target, findings)
    texts = list(_texts(conversation))
    check_texts(texts, target, findings)
    if target.template is not None:
        check_special_tokens(texts, target.template.special_tokens, findings)
    check_dspy(conversation, findings)


def _texts(conversation: Conversation) -> Iterator[tuple[str, str, str]]:
    """Return all texts with their path and kind."""
    for turn, block in conversation.blocks():
        if isinstance(block, Text | Reasoning):
            yield turn.path, ANSWER if turn.role == "assistant" else PROMPT, block.text
        elif isinstance(block, ToolResult):
            for part in block.content:
                # Not a prompt: one of AWS's validators only looks for reserved keywords there.
                text = part.text if isinstance(part, Text) else orjson.dumps(part).decode()
                yield turn.path, ANSWER, text
    for index, tool in enumerate(conversation.tools):
        if tool.description:
            yield f"$.tools[{index}]", ANSWER, tool.description
        yield f"$.tools[{index}]", ANSWER, orjson.dumps(tool.schema).decode()


def _check_empty_messages(conversation: Conversation, findings: Findings) -> None:
    for turn in conversation.all_turns:
        if not any(not isinstance(block, Text) or block.text.strip() for block in turn.blocks):
            findings.add("empty-text", turn.path, f"the {turn.role} message is empty")


def _check_preference(
    conversation: Conversation, turns: list[Turn], target: Target, findings: Findings
) -> None:
    if target.form.has_strict_turns:
        message = "has two answers: this model does not support preference data"
        findings.add("preference", "$", message)
    if not turns or turns[-1].role != "user":
        findings.add("preference", "$.input.messages", "the last message must be a user message")
    preferred, rejected = (
        [turn.blocks for turn in answer]
        for answer in (conversation.preferred, conversation.rejected)
    )
    if preferred == rejected:
        findings.add("preference", "$.non_preferred_output", "is equal to preferred_output")


def _check_system_prompt(conversation: Conversation, target: Target, findings: Findings) -> None:
    systems = [turn for turn in conversation.turns if turn.role == "system"]
    if not systems:
        return
    misplaced = [turn for turn in systems if turn is not conversation.turns[0]]
    if misplaced:
        message = "only the first message can be a system message"
        findings.add("system-place", misplaced[0].path, message)
    limit = target.model.limits.max_system_texts
    count = len(systems[0].blocks)
    if limit is not None and count > limit:
        message = f"the system prompt has {count} texts, the maximum is {limit}: join them"
        findings.add("system-texts", systems[0].path, message)


def _check_order(turns: list[Turn], findings: Findings) -> None:
    if not turns:
        findings.add("turns", "$", "at least one user and one assistant message is required")
        return
    if turns[0].role != "user":
        findings.add("turns", turns[0].path, "the first message must be a user message")
    for previous, turn in pairwise(turns):
        if previous.role == turn.role:
            message = f"two {turn.role} messages in a row: user and assistant must alternate"
            findings.add("turns", turn.path, message)
    if turns[-1].role != "assistant":
        message = "the last message must be the assistant message that the model learns"
        findings.add("turns", turns[-1].path, message)


def _check_answers(turns: list[Turn], findings: Findings) -> None:
    answers = [turn for turn in turns if turn.role == "assistant"]
    if not any(turn.weight != 0 for turn in answers):
        findings.add("no-answer", "$.messages", "has no assistant message that the model learns")
    elif turns[-1].role != "assistant":
        message = "follows the last assistant message, and has no effect"
        findings.add("last-turn", turns[-1].path, message)


def _check_weights(conversation: Conversation, findings: Findings) -> None:
    for turn in conversation.all_turns:
        if turn.weight is not None and turn.role != "assistant":
            message = "only assistant messages can have a weight"
            findings.add("weight", f"{turn.path}.weight", message)


def _check_reasoning(conversation: Conversation, target: Target, findings: Findings) -> None:
    for turn in conversation.all_turns:
        blocks = [block for block in turn.blocks if isinstance(block, Reasoning)]
        if not blocks:
            continue
        if Content.REASONING not in target.model.supports:
            # Formats without reasoning report it as a loss.
            if target.format is RecordFormat.CONVERSE:
                message = f"{target.model.name} does not support reasoning in training data"
                findings.add("reasoning", turn.path, message)
            continue
        if turn.role != "assistant" or blocks != [turn.blocks[0]]:
            message = "expected one reasoning block, before the text of the assistant"
            findings.add("reasoning", turn.path, message)
        if len(turn.blocks) == len(blocks):
            findings.add("reasoning", turn.path, "expected an answer after the reasoning")
        if not all(block.text.strip() for block in blocks):
            findings.add("reasoning", turn.path, "the reasoning is empty")
