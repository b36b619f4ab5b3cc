"""Tools of Converse, and of Nova's own body: a simulated model calls one where the request forces it to.

Source: Bedrock user guide, tool-use and conversation-inference-supported-models-features; botocore's model of ToolChoice. Texts
of refusals: run-llama/llama_index#19886, strands-agents/harness-sdk#1241 (read 2026-11-28).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.schemas import value_for
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

_VENDORS = ("amazon", "anthropic", "meta")
_WITHOUT_TOOLS = ("llama-3-2-1b", "llama-3-2-3b")
_BLOCKS = ("toolUse", "toolResult")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool that the model has to call."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolUse:
    """A call of a tool."""

    name: str
    input: Mapping[str, Any]
    id: str = field(default_factory=lambda: f"tooluse_{secrets.token_urlsafe(16)}")


def use(tool: Tool, answer: str) -> ToolUse:
    """Call a tool with an input that its schema allows, of the model's answer as far as it fits."""
    found = value_for({"type": "object", **tool.schema}, answer)
    return ToolUse(name=tool.name, input=found)


def forced_tool(params: Mapping[str, Any]) -> Tool | None:
    """Return the tool that a request forces the model to call; `None` if the model decides.

    The simulated model never decides to call one. Where it may choose among several, it calls each once, the last one again.

    Raises:
        Fault: the tool does not exist, or the messages use tools that are not configured.
    """
    config = params.get("toolConfig")
    blocks = [block for message in params["messages"] for block in message["content"]]
    if config is None:
        if any(name in block for block in blocks for name in _BLOCKS):
            raise Fault(
                "ValidationException",
                "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
            )
        return None
    tools = [
        Tool(name=spec["name"], schema=spec.get("inputSchema", {}).get("json") or {})
        for spec in (tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool)
    ]
    choice = config.get("toolChoice") or {}
    if "tool" in choice:
        wanted = choice["tool"]["name"]
        for tool in tools:
            if tool.name == wanted:
                return tool
        names = ", ".join(tool.name for tool in tools)
        raise Fault("ValidationException", f"toolChoice names the tool {wanted}, not in: {names}")
    if "any" not in choice or not tools:
        return None
    used = {block["toolUse"]["name"] for block in blocks if "toolUse" in block}
    return next((tool for tool in tools if tool.name not in used), tools[-1])


def require_support(base: BaseModel, params: Mapping[str, Any], *, streams: bool) -> None:
    """Refuse tools and formats that Converse does not offer with a model.

    Raises:
        Fault: the model takes no tools, not in a stream, can't be forced to call one, or writes no JSON by a schema.
    """
    # User guide, structured-output: newer Claude and open-weight models only, none of the catalog.
    if "textFormat" in params.get("outputConfig", {}):
        raise _unsupported("outputConfig.textFormat")
    config = params.get("toolConfig")
    if config is None:
        return
    if base.vendor not in _VENDORS or base.family == "titan-text" or base.key in _WITHOUT_TOOLS:
        raise Fault("ValidationException", "This model doesn't support tool use.")
    if base.vendor != "meta":
        return
    if streams:
        raise Fault("ValidationException", "This model doesn't support tool use in streaming mode.")
    for choice in ("any", "tool"):
        if choice in (config.get("toolChoice") or {}):
            raise _unsupported(f"toolConfig.toolChoice.{choice}")


def _unsupported(name: str) -> Fault:
    text = f"This model doesn't support the {name} field. Remove {name} and try again."
    return Fault("ValidationException", text)
