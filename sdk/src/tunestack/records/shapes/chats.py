"""Shapes with a list of messages that is not in OpenAI's chat format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.records.formats import converse
from tunestack.records.shapes.base import (
    Message,
    Record,
    Shape,
    ShapeError,
    conversation,
    dump,
    function,
    has_items,
    join_texts,
    message,
    require_list,
    system,
    tool_call,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "call",
}
"""The role of each speaker in ShareGPT, Gemini and LangChain."""


def role_of(name: Any, path: str) -> str:
    """Return the role of a speaker."""
    role = _SPEAKERS.get(name.lower()) if isinstance(name, str) else None
    if role is None:
        raise ShapeError(path, f"unknown speaker: use one of {', '.join(_SPEAKERS)}")
    return role


def _spoken(turns: Any, path: str, speaker: str, text: str) -> Iterator[Message]:
    """Convert turns with a speaker and a text; calls and results are matched in their order."""
    last_call = ""
    for index, turn in enumerate(require_list(turns, path)):
        role = role_of(turn.get(speaker), f"{path}[{index}].{speaker}")
        content = turn.get(text)
        if role == "call":
            last_call = f"call-{index}"
            call = _parse_call(content, f"{path}[{index}].{text}")
            yield {
                "role": "assistant",
                "content": None,
                "tool_calls": [tool_call(last_call, call["name"], call.get("arguments", {}))],
            }
        elif role == "tool" and last_call:
            yield {"role": "tool", "tool_call_id": last_call, "content": dump(content)}
        elif role == "tool":
            raise ShapeError(f"{path}[{index}]", "is the result of a tool that was not called")
        else:
            yield message(role, content)


def _parse_call(content: Any, path: str) -> dict[str, Any]:
    import orjson  # noqa: PLC0415 - few files have calls

    try:
        call = orjson.loads(content) if isinstance(content, str) else content
    except orjson.JSONDecodeError:
        call = None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise ShapeError(path, "expected a tool call as JSON, with name and arguments")
    return call


def _turns_field(record: Record) -> str:
    return "conversations" if "conversations" in record else "conversation"


def _sharegpt(record: Record) -> dict[str, Any]:
    name = _turns_field(record)
    turns = _spoken(record.get(name), f"$.{name}", "from", "value")
    return conversation(system(record.get("system")), *turns, **_tools(record))


def _named_chat(record: Record) -> dict[str, Any]:
    name = _turns_field(record)
    turns = require_list(record.get(name), f"$.{name}")
    return conversation(system(record.get("system")), *turns, **_tools(record))


def _tools(record: Record) -> dict[str, Any]:
    """Return the tools of a record: in OpenAI's format, or definitions as JSON text."""
    tools = record.get("tools")
    if isinstance(tools, str):
        import orjson  # noqa: PLC0415 - few files have tools

        try:
            tools = orjson.loads(tools) if tools.strip() else None
        except orjson.JSONDecodeError as error:
            raise ShapeError("$.tools", "expected an array of tools as JSON") from error
    if not tools:
        return {}
    return {
        "tools": [
            tool
            if "function" in tool
            else function(tool.get("name", ""), tool.get("description"), tool.get("parameters"))
            for tool in require_list(tools, "$.tools")
        ]
    }


def _gemini(record: Record) -> dict[str, Any]:
    instruction = record.get("systemInstruction") or record.get("system_instruction")
    turns = []
    for index, turn in enumerate(require_list(record.get("contents"), "$.contents")):
        path = f"$.contents[{index}]"
        role = role_of(turn.get("role", "user"), f"{path}.role")
        turns.append(message(role, _gemini_text(turn.get("parts"), f"{path}.parts")))
    text = None
    if isinstance(instruction, dict):
        text = _gemini_text(instruction.get("parts"), "$.systemInstruction.parts")
    return conversation(system(text), *turns)


def _gemini_text(parts: Any, path: str) -> str:
    for index, part in enumerate(require_list(parts, path)):
        if set(part) != {"text"}:
            raise ShapeError(f"{path}[{index}]", "expected a part with text only")
    return join_texts(parts, path)


_LANGCHAIN = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


def _langchain(record: Record) -> dict[str, Any]:
    turns = []
    for index, item in enumerate(require_list(record.get("messages"), "$.messages")):
        path = f"$.messages[{index}]"
        data = item["data"] if isinstance(item.get("data"), dict) else item
        role = _LANGCHAIN.get(str(item.get("type")))
        if role is None:
            raise ShapeError(f"{path}.type", f"unknown type: use one of {', '.join(_LANGCHAIN)}")
        turn = message(role, data.get("content"))
        if role == "tool":
            turn["tool_call_id"] = data.get("tool_call_id")
        elif data.get("tool_calls"):
            calls = require_list(data["tool_calls"], f"{path}.tool_calls")
            turn["tool_calls"] = [
                tool_call(call.get("id", ""), call.get("name", ""), call.get("args", {}))
                for call in calls
            ]
        turns.append(turn)
    return conversation(*turns, **_tools(record))


def anthropic(record: Record) -> dict[str, Any]:
    """Convert a request of Anthropic's Messages API, with the answer as its last message."""
    turns: list[Message] = []
    for index, turn in enumerate(require_list(record.get("messages"), "$.messages")):
        turns += _anthropic_turn(turn, f"$.messages[{index}]")
    instruction = record.get("system")
    if isinstance(instruction, list):
        instruction = join_texts(instruction, "$.system", separator="\n")
    tools = {}
    if record.get("tools"):
        tools["tools"] = [
            function(tool.get("name", ""), tool.get("description"), tool.get("input_schema"))
            for tool in require_list(record["tools"], "$.tools")
        ]
    return conversation(system(instruction), *turns, **tools)


def _anthropic_turn(turn: Message, path: str) -> Iterable[Message]:
    """Convert a message; tool results become messages of their own."""
    content = turn.get("content")
    if isinstance(content, str):
        return [message(turn.get("role", ""), content)]
    parts, calls, results, reasoning = [], [], [], []
    for index, block in enumerate(require_list(content, f"{path}.content")):
        block_path = f"{path}.content[{index}]"
        match block.get("type", "text"):
            case "text":
                parts.append({"type": "text", "text": block.get("text")})
            case "thinking":
                reasoning.append(str(block.get("thinking", "")))
            case "tool_use":
                calls.append(
                    tool_call(block.get("id", ""), block.get("name", ""), block.get("input", {}))
                )
            case "tool_result":
                content = block.get("content") or ""
                result = join_texts(content, f"{block_path}.content", separator="\n")
                results.append(
                    {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": result}
                )
            case "image":
                parts.append(_anthropic_image(block, block_path))
            case _:
                raise ShapeError(
                    f"{block_path}.type",
                    "unsupported block: use text, image, tool_use or tool_result",
                )
    converted: Message = message(turn.get("role", ""), parts or None)
    if calls:
        converted["tool_calls"] = calls
    if reasoning:
        converted["reasoning_content"] = "\n".join(reasoning)
    return [*results, converted] if parts or calls or not results else results


def _anthropic_image(block: Message, path: str) -> dict[str, Any]:
    source = block.get("source")
    if not isinstance(source, dict):
        raise ShapeError(f"{path}.source", "expected an object")
    url = source.get("url")
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    return {"type": "image_url", "image_url": {"url": url}}


_ANTHROPIC_BLOCKS = ("tool_use", "tool_result", "thinking", "image")


def is_anthropic(record: Record) -> bool:
    """Return whether a record has content blocks, a system prompt or tools that only Anthropic's API has."""
    if not has_items(record.get("messages"), "role") or converse.has_structures(record):
        return False
    if has_items(record.get("system"), "type") or has_items(record.get("tools"), "input_schema"):
        return True
    blocks = converse.content_blocks(record)
    if isinstance(record.get("system"), str) and blocks:
        return all(isinstance(block, dict) and "type" in block for block in blocks)
    return any(
        isinstance(block, dict) and block.get("type") in _ANTHROPIC_BLOCKS for block in blocks
    )


CHATS = (
    Shape(
        name="Anthropic messages",
        mapping="content blocks become texts, images, tool calls and tool results",
        fields=("system", "messages", "tools"),
        matches=is_anthropic,
        convert=anthropic,
    ),
    Shape(
        name="LangChain messages",
        mapping="human, ai, system and tool become the roles",
        fields=("messages", "tools"),
        matches=lambda record: (
            has_items(record.get("messages"), "type") and "role" not in record["messages"][0]
        ),
        convert=_langchain,
    ),
    Shape(
        name="ShareGPT",
        mapping="from and value of each turn become role and content",
        fields=("conversations", "conversation", "system", "tools"),
        matches=lambda record: has_items(
            record.get("conversations", record.get("conversation")), "from", "value"
        ),
        convert=_sharegpt,
    ),
    Shape(
        name="conversations",
        mapping="conversations are the messages",
        fields=("conversations", "conversation", "system", "tools"),
        matches=lambda record: has_items(
            record.get("conversations", record.get("conversation")), "role", "content"
        ),
        convert=_named_chat,
    ),
    Shape(
        name="Gemini",
        mapping="contents and systemInstruction are the messages",
        fields=("contents", "systemInstruction", "system_instruction"),
        matches=lambda record: has_items(record.get("contents"), "parts"),
        convert=_gemini,
    ),
)
