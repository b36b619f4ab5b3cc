"""The rules on tools, tool calls and their results."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tunestack.catalog import Content
from tunestack.records.conversation import ToolResult, ToolUse
from tunestack.records.findings import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tunestack.records.conversation import Conversation, Turn
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

Calls = list[tuple["Turn", ToolUse | ToolResult]]


def check_tools(conversation: Conversation, target: Target, findings: Findings) -> None:
    """Check the tools of a record, and the calls and results in its messages."""
    calls: Calls = [
        (turn, block)
        for turn, block in conversation.blocks()
        if isinstance(block, ToolUse | ToolResult)
    ]
    if not calls and not conversation.tools:
        return
    first_path = calls[0][0].path if calls else "$.tools"
    if Content.TOOLS not in target.model.supports and "unsupported-tools" not in target.ignored:
        message = f"{target.model.name} does not support tools in training data"
        findings.add("unsupported-tools", first_path, message)
        return
    if not conversation.tools:
        message = "calls tools, but the record does not define any, while requests to the model define them"
        findings.add("tools-undefined", first_path, message)
    names = Counter(tool.name for tool in conversation.tools)
    _check_definitions(conversation, names, target, findings)
    _check_unanswered_calls(calls, conversation.all_turns, findings)
    _check_tool_uses(calls, names, target, findings)
    _check_tool_results(calls, findings)


def _check_definitions(
    conversation: Conversation, names: Counter[str], target: Target, findings: Findings
) -> None:
    for index, tool in enumerate(conversation.tools):
        path = f"$.tools[{index}]"
        if not _TOOL_NAME.fullmatch(tool.name):
            message = "the name must have 1 to 64 letters, digits, underscores and hyphens"
            findings.add("tool-name", path, message)
        if names[tool.name] > 1:
            findings.add("tool-definition", path, f"{quote(tool.name)} is defined twice")
        if target.is_openai:
            continue
        if not (tool.description or "").strip():
            findings.add("tool-definition", path, "has no description, which Bedrock requires")
        if tool.schema is not None and not isinstance(tool.schema.get("type"), str):
            findings.add("tool-definition", path, "the schema has no type, which Bedrock requires")


def _check_tool_uses(
    calls: Calls, names: Collection[str], target: Target, findings: Findings
) -> None:
    identifiers: set[str] = set()
    for turn, block in calls:
        if not isinstance(block, ToolUse):
            continue
        if turn.role != "assistant":
            findings.add("tool-call", turn.path, "only assistant messages can call tools")
        if names and block.name not in names:
            message = f"calls {quote(block.name)}, which is not one of the record's tools"
            findings.add("tool-call", turn.path, message)
        is_valid = target.is_openai or TOOL_USE_ID.fullmatch(block.id)
        if block.id in identifiers or not is_valid:
            message = "the id must be unique, and have 1 to 64 letters, digits and _ . : -"
            findings.add("tool-call", turn.path, message)
        identifiers.add(block.id)


def _check_tool_results(calls: Calls, findings: Findings) -> None:
    called: set[str] = set()
    answered: set[str] = set()
    for turn, block in calls:
        if isinstance(block, ToolUse):
            called.add(block.id)
            continue
        if turn.role != "user" or block.id not in called or block.id in answered:
            message = "is not the result of an earlier call, or the call has two results"
            findings.add("tool-result", turn.path, message)
        if not block.content:
            findings.add("tool-result", turn.path, "the result is empty")
        answered.add(block.id)


def _check_unanswered_calls(calls: Calls, turns: Sequence[Turn], findings: Findings) -> None:
    """Check that every call has a result, except in the last message."""
    results = {block.id for _, block in calls if isinstance(block, ToolResult)}
    last = next((turn for turn in reversed(turns) if turn.blocks), None)
    for turn, block in calls:
        if isinstance(block, ToolUse) and block.id not in results and turn is not last:
            message = "calls a tool, but the conversation continues without the result"
            findings.add("unanswered-call", turn.path, message)
