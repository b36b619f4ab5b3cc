"""Writes OpenAI's chat format, and its pairs of preferred answers; see `chat` for its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tunestack.records.conversation import (
    Block,
    Conversation,
    Media,
    Reasoning,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from tunestack.records.findings import Findings, below

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def write(conversation: Conversation, findings: Findings) -> dict[str, Any]:
    """Write `{"messages": [...]}`."""
    if conversation.preferred:
        findings.lose(
            "$.non_preferred_output", "this format has one answer, not two to choose from"
        )
    return _written(conversation, (*conversation.turns, *conversation.preferred), findings)


def write_preference(conversation: Conversation, findings: Findings) -> dict[str, Any] | None:
    """Write `{"input", "preferred_output", "non_preferred_output"}`."""
    if not conversation.preferred:
        findings.add(
            "preference",
            "$",
            "expected two answers to choose from: preferred_output and non_preferred_output",
        )
        return None
    return {
        "input": _written(conversation, conversation.turns, findings),
        "preferred_output": list(_messages(conversation.preferred, findings)),
        "non_preferred_output": list(_messages(conversation.rejected, findings)),
    }


def _written(
    conversation: Conversation, turns: Sequence[Turn], findings: Findings
) -> dict[str, Any]:
    record: dict[str, Any] = {"messages": list(_messages(turns, findings))}
    if conversation.tools:
        record["tools"] = [_tool(tool) for tool in conversation.tools]
    if conversation.parallel_tool_calls is not None:
        record["parallel_tool_calls"] = conversation.parallel_tool_calls
    return record


def _messages(turns: Sequence[Turn], findings: Findings) -> Iterator[dict[str, Any]]:
    for turn in turns:
        results = [block for block in turn.blocks if isinstance(block, ToolResult)]
        if sorted(turn.blocks, key=_place) != list(turn.blocks):
            findings.lose(turn.at, "the order is lost: results come first, and calls last")
        for result in results:
            yield _tool_message(result, turn, findings)
        rest = [block for block in turn.blocks if not isinstance(block, ToolResult)]
        if rest or not results:
            yield _message(turn, rest, findings)


def _place(block: Block) -> int:
    """Tell where a block stands in this format."""
    match block:
        case ToolResult():
            return 0
        case ToolUse():
            return 2
    return 1


def _message(turn: Turn, blocks: Sequence[Block], findings: Findings) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role}
    parts = [_part_of(block) for block in blocks if isinstance(block, Text | Media)]
    calls = [block for block in blocks if isinstance(block, ToolUse)]
    if len(parts) == 1 and "text" in parts[0]:
        message["content"] = parts[0]["text"]
    elif parts or calls:
        message["content"] = parts or None
    if calls:
        message["tool_calls"] = [_call_of(call) for call in calls]
    if turn.name is not None:
        message["name"] = turn.name
    if turn.weight is not None:
        message["weight"] = turn.weight
    if any(isinstance(block, Reasoning) for block in blocks):
        findings.lose(turn.at, "this format has no place for reasoning")
    return message


def _part_of(block: Text | Media) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    image = {"url": block.uri} | ({"detail": block.detail} if block.detail else {})
    return {f"{block.kind}_url": image} | {"type": f"{block.kind}_url"}


def _call_of(call: ToolUse) -> dict[str, Any]:
    arguments = orjson.dumps(call.input).decode() if call.arguments is None else call.arguments
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _tool_message(result: ToolResult, turn: Turn, findings: Findings) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "tool", "tool_call_id": result.id}
    texts = [
        part.text if isinstance(part, Text) else orjson.dumps(part).decode()
        for part in result.content
    ]
    message["content"] = (
        texts[0] if len(texts) == 1 else [{"type": "text", "text": part} for part in texts]
    )
    if result.name is not None:
        message["name"] = result.name
    if result.status is not None:
        findings.lose(below(turn.at, "status"), "this format has no place for a result's status")
    if any(not isinstance(part, Text) for part in result.content):
        findings.lose(turn.at, "this format has no JSON in a tool's result: it was written as text")
    return message


def _tool(tool: Tool) -> dict[str, Any]:
    optionally = {
        "description": tool.description,
        "parameters": tool.schema,
        "strict": tool.strict,
    }
    given = {name: value for name, value in optionally.items() if value is not None}
    return {"type": "function", "function": {"name": tool.name, **given}}
