"""Writes OpenAI's formats for chat and preference data; see `chat` for the sources."""

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
from tunestack.records.findings import Findings, field_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def write(conversation: Conversation, findings: Findings) -> dict[str, Any]:
    """Write `{"messages": [...]}`."""
    if conversation.preferred:
        findings.add_loss("$.non_preferred_output", "the format supports only one answer")
    return _write_conversation(
        conversation, (*conversation.turns, *conversation.preferred), findings
    )


def write_preference(conversation: Conversation, findings: Findings) -> dict[str, Any] | None:
    """Write `{"input", "preferred_output", "non_preferred_output"}`."""
    if not conversation.preferred:
        findings.add(
            "preference",
            "$",
            "expected two answers: preferred_output and non_preferred_output",
        )
        return None
    return {
        "input": _write_conversation(conversation, conversation.turns, findings),
        "preferred_output": list(_messages(conversation.preferred, findings)),
        "non_preferred_output": list(_messages(conversation.rejected, findings)),
    }


def _write_conversation(
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
        if sorted(turn.blocks, key=_position) != list(turn.blocks):
            findings.add_loss(
                turn.path, "the order is lost: the format has results first, and calls last"
            )
        for result in results:
            yield _tool_message(result, turn, findings)
        rest = [block for block in turn.blocks if not isinstance(block, ToolResult)]
        if rest or not results:
            yield _message(turn, rest, findings)


def _position(block: Block) -> int:
    """Return the position of a kind of block in a message."""
    match block:
        case ToolResult():
            return 0
        case ToolUse():
            return 2
    return 1


def _message(turn: Turn, blocks: Sequence[Block], findings: Findings) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role}
    parts = [_write_part(block) for block in blocks if isinstance(block, Text | Media)]
    calls = [block for block in blocks if isinstance(block, ToolUse)]
    if len(parts) == 1 and "text" in parts[0]:
        message["content"] = parts[0]["text"]
    elif parts or calls:
        message["content"] = parts or None
    if calls:
        message["tool_calls"] = [_write_call(call) for call in calls]
    if turn.name is not None:
        message["name"] = turn.name
    if turn.weight is not None:
        message["weight"] = turn.weight
    if any(isinstance(block, Reasoning) for block in blocks):
        findings.add_loss(turn.path, "the format does not support reasoning")
    return message


def _write_part(block: Text | Media) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    image = {"url": block.uri} | ({"detail": block.detail} if block.detail else {})
    return {f"{block.kind}_url": image} | {"type": f"{block.kind}_url"}


def _write_call(call: ToolUse) -> dict[str, Any]:
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
        findings.add_loss(
            field_path(turn.path, "status"), "the format does not support the status of a result"
        )
    if any(not isinstance(part, Text) for part in result.content):
        findings.add_loss(
            turn.path, "the format does not support JSON in tool results: it is written as text"
        )
    return message


def _tool(tool: Tool) -> dict[str, Any]:
    fields = {
        "description": tool.description,
        "parameters": tool.schema,
        "strict": tool.strict,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return {"type": "function", "function": {"name": tool.name, **fields}}
