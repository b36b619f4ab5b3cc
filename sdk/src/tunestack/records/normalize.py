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
    supported = target.model.takes

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
