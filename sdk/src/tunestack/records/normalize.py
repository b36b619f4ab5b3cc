"""Changes to a conversation that make it fit a format: each is added to the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog import Content
from tunestack.records.conversation import (
    Conversation,
    Media,
    Reasoning,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from tunestack.records.conversation import Block
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target


def remove_blank_parts(conversation: Conversation, findings: Findings) -> Conversation:
    """Remove blank texts beside other parts, such as DSPy writes between two images."""

    def change(turn: Turn) -> Turn:
        blocks = tuple(
            block for block in turn.blocks if not isinstance(block, Text) or block.text.strip()
        )
        if not blocks or len(blocks) == len(turn.blocks):
            return turn
        findings.add("blank-part", turn.path, "has a blank part, which was removed")
        return _replace_blocks(turn, blocks)

    return conversation.map_turns(change)


def merge_calls(conversation: Conversation, findings: Findings) -> Conversation:
    """Merge consecutive assistant messages that call tools: agents write one message for each of several parallel calls."""
    turns: list[Turn] = []
    for turn in conversation.turns:
        last = turns[-1] if turns else None
        if last is not None and _are_calls(last) and _are_calls(turn):
            findings.add(
                "normalized",
                turn.path,
                "was merged with the message before, which calls a tool too",
            )
            turns[-1] = _replace_blocks(last, (*last.blocks, *turn.blocks))
        else:
            turns.append(turn)
    if len(turns) == len(conversation.turns):
        return conversation
    return msgspec.structs.replace(conversation, turns=tuple(turns))


def _are_calls(turn: Turn) -> bool:
    """Return whether a message of the assistant calls tools, and has no text after its calls."""
    return turn.role == "assistant" and bool(turn.blocks) and isinstance(turn.blocks[-1], ToolUse)


def join_texts(conversation: Conversation, findings: Findings) -> Conversation:
    """Join the texts of each message, for formats that have one text per message. litellm does the same in requests."""

    def change(turn: Turn) -> Turn:
        texts = [block.text for block in turn.blocks if isinstance(block, Text)]
        if len(texts) < 2 or len(texts) < len(turn.blocks):
            return turn
        findings.add_loss(turn.path, f"{len(texts)} texts are joined without a separator")
        return _replace_blocks(turn, (Text("".join(texts)),))

    return conversation.map_turns(change)


def remove_unsupported(
    conversation: Conversation, target: Target, findings: Findings
) -> Conversation:
    """Remove content that the model can't be trained on, and add it as a loss."""
    supported = target.model.supports

    def change(turn: Turn) -> Turn:
        blocks = tuple(block for block in turn.blocks if _is_supported(block, supported))
        if len(blocks) == len(turn.blocks):
            return turn
        findings.add_loss(turn.path, "the model does not support other content than text here")
        return _replace_blocks(turn, blocks)

    changed = conversation.map_turns(change)
    if not changed.tools or Content.TOOLS in supported:
        return changed
    findings.add_loss("$.tools", "the model does not support tools in training data")
    return msgspec.structs.replace(changed, tools=())


def _replace_blocks(turn: Turn, blocks: tuple[Block, ...]) -> Turn:
    return msgspec.structs.replace(turn, blocks=blocks)


def _is_supported(block: Block, supported: Collection[str]) -> bool:
    match block:
        case Media():
            return block.kind in supported
        case ToolUse() | ToolResult():
            return Content.TOOLS in supported
        case Reasoning():
            return Content.REASONING in supported
    return True
