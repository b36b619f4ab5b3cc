"""Estimates of the number of tokens in a record.

The tokenizers of Nova and Titan are not public. A token is estimated as four bytes of the text as JSON in UTF-8, which is
about right for English and code, and closer than a count of characters for other scripts.
AWS's user guide uses six characters per token, and its script for Claude three.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.conversation import Media, Reasoning, Text, ToolResult, ToolUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.records.conversation import Block, Conversation
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

METHOD = "a quarter of the bytes of the text as JSON in UTF-8"
BYTES_PER_TOKEN = 4
_CLAUDE_CHARACTERS = 3
"""Characters of a token in AWS's data_validation.py for Claude 3 Haiku."""
_IMAGE_SIZE = 1601 * BYTES_PER_TOKEN
"""The minimum for an image in Llama 3.2 (user guide, model-customization-prepare); not documented for other models."""
_NEAR = 0.8
"""Share of a limit from which the estimate may hide that the limit is exceeded."""


def count_tokens(size: int) -> int:
    """Estimate the number of tokens of a text of `size` bytes."""
    return -(-size // BYTES_PER_TOKEN)


def text_size(text: str) -> int:
    """Return the bytes of a text as JSON, without quotes."""
    return len(orjson.dumps(text)) - 2


def content_size(conversation: Conversation) -> int:
    """Return the bytes of a record's content."""
    blocks = sum(_block_size(block) for _, block in conversation.blocks())
    tools = sum(
        text_size(tool.name) + text_size(tool.description or "") + len(orjson.dumps(tool.schema))
        for tool in conversation.tools
    )
    return blocks + tools


def _block_size(block: Block) -> int:
    match block:
        case Text() | Reasoning():
            return text_size(block.text)
        case Media():
            return _IMAGE_SIZE
        case ToolUse():
            return text_size(block.name) + len(orjson.dumps(block.input))
        case ToolResult():
            return sum(
                text_size(part.text) if isinstance(part, Text) else len(orjson.dumps(part))
                for part in block.content
            )


def check_size(record: Mapping[str, Any], size: int, target: Target, findings: Findings) -> None:
    """Check the estimated tokens of a converted record with `size` bytes of text."""
    limits = target.model.limits
    parts = [("the record", "$", size, limits.max_tokens)]
    if target.form.is_templated and limits.max_prompt_tokens is not None:
        (prompt_key, prompt), (completion_key, completion) = record.items()
        parts += [
            ("the prompt", f"$.{prompt_key}", text_size(prompt), limits.max_prompt_tokens),
            (
                "the completion",
                f"$.{completion_key}",
                text_size(completion),
                limits.max_completion_tokens,
            ),
        ]
    if target.format is RecordFormat.MESSAGES and limits.max_tokens is not None:
        _check_characters(record, limits.max_tokens, findings)
        return
    for name, path, part_size, limit in parts:
        if limit is None:
            continue
        count = count_tokens(part_size)
        message = f"{name} has about {count:,} tokens (estimate), the maximum is {limit:,}"
        if count > limit and target.is_openai:
            findings.add("tokens-truncated", path, f"{message}: OpenAI truncates it")
        elif count > limit:
            findings.add("tokens", path, message)
        elif count > _NEAR * limit:
            findings.add("tokens-near", path, message)


def _check_characters(record: Mapping[str, Any], limit: int, findings: Findings) -> None:
    """Check a record for Claude as AWS's script does, which counts a token for three characters."""
    texts = [record.get("system", ""), *(turn["content"] for turn in record["messages"])]
    count = sum(map(len, texts)) // _CLAUDE_CHARACTERS
    message = f"the record has {count:,} tokens as AWS's validator counts them (a third of the characters), the maximum is {limit:,}"
    if count > limit:
        findings.add("tokens", "$", message)
    elif count > _NEAR * limit:
        findings.add("tokens-near", "$", message)


def largest_size_below_limits(target: Target) -> float:
    """Return the largest size at which no token limit is near; infinite if the model has no limits."""
    limits = target.model.limits
    known = [
        limit
        for limit in (limits.max_tokens, limits.max_prompt_tokens, limits.max_completion_tokens)
        if limit is not None
    ]
    # Tokens are rounded up: this is the last size whose estimate is not above the share. A text has at most as many characters.
    divisor = _CLAUDE_CHARACTERS if target.format is RecordFormat.MESSAGES else BYTES_PER_TOKEN
    return int(min(known) * _NEAR) * divisor if known else math.inf
