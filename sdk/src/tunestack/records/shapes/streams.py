"""Joins the events of a streamed answer, as invocation logs have them, to the response without streaming.

Sources: botocore, bedrock-runtime ConverseStreamOutput; Anthropic's reference on streaming messages; user guide,
model-parameters-meta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tunestack.records.shapes.base import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATH = "$.output.outputBodyJson"


def join_stream(events: Sequence[Any]) -> dict[str, Any]:
    """Return the response of Converse, of Claude or of Llama that a stream's events contain.

    Raises:
        ShapeError: an event is unknown or invalid.
    """
    if not events or not all(isinstance(event, dict) for event in events):
        raise ShapeError(_PATH, "expected an array of events")
    try:
        if any("generation" in event for event in events):
            return {
                **events[-1],
                "generation": "".join(event.get("generation") or "" for event in events),
            }
        if any(event.get("type") == "content_block_delta" for event in events):
            return _join_anthropic(events)
        return _join_converse(events)
    except (AttributeError, KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise ShapeError(_PATH, "unknown events of a stream") from error


def _join_converse(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    blocks: dict[int, dict[str, Any]] = {}
    stop_reason = None
    for event in events:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            use = start.get("start", {}).get("toolUse")
            if use is not None:
                blocks[start.get("contentBlockIndex", 0)] = {"toolUse": {**use, "input": ""}}
        elif "contentBlockDelta" in event:
            delta = event["contentBlockDelta"]
            block = blocks.setdefault(delta.get("contentBlockIndex", 0), {})
            _add_converse(block, delta["delta"])
        elif "messageStop" in event:
            stop_reason = event["messageStop"].get("stopReason")
    content = [blocks[index] for index in sorted(blocks)]
    for block in content:
        if "toolUse" in block:
            block["toolUse"]["input"] = orjson.loads(block["toolUse"]["input"] or "{}")
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": stop_reason}


def _add_converse(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "text" in delta.get("reasoningContent", {}):
        reasoning = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})
        reasoning["reasoningText"]["text"] += delta["reasoningContent"]["text"]


_ANTHROPIC_DELTAS = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("input", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
}
"""The field of a block to which a delta adds, and the field of the delta."""


def _add_anthropic(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] in _ANTHROPIC_DELTAS:
        name, delta_name = _ANTHROPIC_DELTAS[delta["type"]]
        block[name] = block.get(name, "") + delta[delta_name]


def _join_anthropic(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    blocks: dict[int, dict[str, Any]] = {}
    stop_reason = None
    for event in events:
        match event.get("type"):
            case "content_block_start":
                block = dict(event["content_block"])
                if block["type"] == "tool_use":
                    block["input"] = ""
                blocks[event["index"]] = block
            case "content_block_delta":
                _add_anthropic(blocks[event["index"]], event["delta"])
            case "message_delta":
                stop_reason = event["delta"].get("stop_reason", stop_reason)
    content = [blocks[index] for index in sorted(blocks)]
    for block in content:
        if block["type"] == "tool_use":
            block["input"] = orjson.loads(block["input"] or "{}")
    return {"content": content, "stop_reason": stop_reason}
