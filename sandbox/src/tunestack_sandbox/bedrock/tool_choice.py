"""The tools of Converse and of Nova's InvokeModel body: a simulated model calls one only if the request forces it to.

Source: Bedrock user guide, tool-use and conversation-inference-supported-models-features; botocore's model of ToolChoice.
Error messages: run-llama/llama_index#19886, strands-agents/harness-sdk#1241 (read 2026-11-28).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.messages import ServiceError
from tunestack_sandbox.schemas import build_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

_PUBLISHERS_WITH_TOOLS = ("amazon", "anthropic", "meta")
_MODELS_WITHOUT_TOOLS = ("llama-3-2-1b", "llama-3-2-3b")
_TOOL_BLOCKS = ("toolUse", "toolResult")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool that the model must call."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolUse:
    """A call of a tool."""

    name: str
    input: Mapping[str, Any]
    id: str = field(default_factory=lambda: f"tooluse_{secrets.token_urlsafe(16)}")


def build_tool_use(tool: Tool, answer: str) -> ToolUse:
    """Build the call of a tool. Its input is valid for the schema, with values from the model's answer where possible."""
    return ToolUse(name=tool.name, input=build_value({"type": "object", **tool.schema}, answer))


def find_forced_tool(params: Mapping[str, Any]) -> Tool | None:
    """Return the tool that a request forces the model to call; `None` if the model decides.

    The simulated model never decides to call one. If it can choose between several, it calls each of them once, then the
    last one again.

    Raises:
        ServiceError: The tool does not exist, or the messages use tools without a `toolConfig`.
    """
    config = params.get("toolConfig")
    blocks = [block for message in params["messages"] for block in message["content"]]
    if config is None:
        if any(name in block for block in blocks for name in _TOOL_BLOCKS):
            raise ServiceError(
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
        name = choice["tool"]["name"]
        for tool in tools:
            if tool.name == name:
                return tool
        names = ", ".join(tool.name for tool in tools)
        raise ServiceError(
            "ValidationException", f"toolChoice names the tool {name}, not in: {names}"
        )
    if "any" not in choice or not tools:
        return None
    used = {block["toolUse"]["name"] for block in blocks if "toolUse" in block}
    return next((tool for tool in tools if tool.name not in used), tools[-1])


def require_tool_support(base: BaseModel, params: Mapping[str, Any], *, streams: bool) -> None:
    """Check that a model supports the tools and the output format of a Converse request.

    Raises:
        ServiceError: The model does not support tools, tools in a stream, the tool choice, or structured output.
    """
    # User guide, structured-output: newer Claude and open-weight models only, none in the catalog.
    if "textFormat" in params.get("outputConfig", {}):
        raise _build_unsupported_error("outputConfig.textFormat")
    config = params.get("toolConfig")
    if config is None:
        return
    if (
        base.publisher not in _PUBLISHERS_WITH_TOOLS
        or base.family == "titan-text"
        or base.key in _MODELS_WITHOUT_TOOLS
    ):
        raise ServiceError("ValidationException", "This model doesn't support tool use.")
    if base.publisher != "meta":
        return
    if streams:
        raise ServiceError(
            "ValidationException", "This model doesn't support tool use in streaming mode."
        )
    for choice in ("any", "tool"):
        if choice in (config.get("toolChoice") or {}):
            raise _build_unsupported_error(f"toolConfig.toolChoice.{choice}")


def _build_unsupported_error(name: str) -> ServiceError:
    text = f"This model doesn't support the {name} field. Remove {name} and try again."
    return ServiceError("ValidationException", text)
