"""How many tokens a record has, as far as that can be told without the model's own tokenizer.

No vendor publishes the tokenizers of Nova and Titan. A token is taken to be four bytes of the text as JSON writes it in
UTF-8: about right for English and code, and for other scripts closer than a count of characters.
AWS's page says six characters a token, its script for Claude three.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from tunestack.records.conversation import Media, Reasoning, Text, ToolResult, ToolUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.records.conversation import Block, Conversation
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

METHOD = "a quarter of the bytes of the text as JSON in UTF-8"
BYTES_PER_TOKEN = 4
_IMAGE = 1601 * BYTES_PER_TOKEN
"""The least that an image takes in Llama 3.2 (user guide, model-customization-prepare); others are not documented."""
NEAR = 0.8
"""From which share of a limit on the estimate is too near to it."""


def tokens(size: int) -> int:
    """Estimate the tokens of a text of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def measured(text: str) -> int:
    """Measure a text: its bytes as JSON, without the quotes."""
    return len(orjson.dumps(text)) - 2


def content_size(conversation: Conversation) -> int:
    """Measure what a record says."""
    blocks = sum(_size(block) for turn in conversation.all_turns for block in turn.blocks)
    tools = sum(
        measured(tool.name) + measured(tool.description or "") + len(orjson.dumps(tool.schema))
        for tool in conversation.tools
    )
    return blocks + tools


def _size(block: Block) -> int:
    match block:
        case Text() | Reasoning():
            return measured(block.text)
        case Media():
            return _IMAGE
        case ToolUse():
            return measured(block.name) + len(orjson.dumps(block.input))
        case ToolResult():
            return sum(
                measured(part.text) if isinstance(part, Text) else len(orjson.dumps(part))
                for part in block.content
            )


def check_size(record: Mapping[str, Any], size: int, target: Target, findings: Findings) -> None:
    """Hold a record of so many bytes of text against the limits of tokens."""
    limits = target.model.limits
    parts = [("the record", "$", size, limits.max_tokens)]
    if target.form.templated and limits.max_prompt_tokens is not None:
        (asked, prompt), (answered, completion) = record.items()
        parts += [
            ("the prompt", f"$.{asked}", measured(prompt), limits.max_prompt_tokens),
            ("the answer", f"$.{answered}", measured(completion), limits.max_completion_tokens),
        ]
    for what, path, bytes_, most in parts:
        if most is None:
            continue
        count = tokens(bytes_)
        says = f"{what} has about {count:,} tokens (estimated), expected at most {most:,}"
        rule = None
        if count > most:
            rule = "tokens-truncated" if target.on_openai else "tokens"
            says += ": the rest is cut off" if target.on_openai else ""
        elif count > NEAR * most:
            rule = "tokens-near"
        if rule is not None:
            findings.add(rule, path, says)


def largest_size_below_limits(target: Target) -> float:
    """Return up to which size no limit of tokens is near; infinite if the model has none."""
    limits = target.model.limits
    known = [
        most
        for most in (limits.max_tokens, limits.max_prompt_tokens, limits.max_completion_tokens)
        if most is not None
    ]
    # Tokens are rounded up: this is the last size whose estimate is not above the share.
    return int(min(known) * NEAR) * BYTES_PER_TOKEN if known else math.inf
