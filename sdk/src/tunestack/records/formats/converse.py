"""The format of Nova and of Llama 3.2 and 3.3: `bedrock-conversation-2024`, in the terms of the Converse operation.

Source: user guide, model-customization-prepare; Nova user guide, fine-tune-prepare-data-understanding; Nova 2 user guide,
nova-data-prep-sft-2; AWS's validator in aws-samples/amazon-nova-samples@1e88f24 (read 2026-11-22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from tunestack.records.findings import below, quoted
from tunestack.records.formats.fields import lose_unknown, objects, optional, text
from tunestack.records.jsonline import named_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.records.findings import Findings

SCHEMA_VERSION = "bedrock-conversation-2024"
_KINDS = ("text", "image", "video", "toolUse", "toolResult", "reasoningContent")


def read(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"schemaVersion", "system": [...], "messages": [...], "toolConfig": {...}}`."""
    lose_unknown(record, ("schemaVersion", "system", "messages", "toolConfig"), "$", findings)
    if record.get("schemaVersion") != SCHEMA_VERSION:
        findings.add("field", "$.schemaVersion", f"expected {SCHEMA_VERSION!r}")
    turns: list[Turn] = []
    if "system" in record:
        blocks = tuple(_blocks(record["system"], "$.system", ("text",), findings))
        turns += [Turn(role="system", blocks=blocks, at="$.system")] if blocks else []
    for at, message in objects(record.get("messages"), "$.messages", "messages", findings):
        lose_unknown(message, ("role", "content"), at, findings)
        role = message.get("role")
        if role not in ("user", "assistant"):
            findings.add("role", f"{at}.role", f"{quoted(role)} is no role: use user, assistant")
            continue
        content = message.get("content")
        if content == []:
            findings.add("empty-text", f"{at}.content", "is empty")
        blocks = tuple(_blocks(content, f"{at}.content", _KINDS, findings))
        turns.append(Turn(role=role, blocks=blocks, at=at))
    return Conversation(turns=tuple(turns), tools=tuple(_tools(record, findings)))


def write(
    conversation: Conversation, findings: Findings, *, owner: str | None = None
) -> dict[str, Any]:
    """Write a record; the account `owner` is said to own the buckets of images that do not say it themselves."""
    record: dict[str, Any] = {"schemaVersion": SCHEMA_VERSION}
    system = [
        {"text": block.text}
        for turn in conversation.turns
        if turn.role == "system"
        for block in turn.blocks
        if isinstance(block, Text)
    ]
    if system:
        record["system"] = system
    record["messages"] = [
        {
            "role": turn.role,
            "content": [_written(block, turn, findings, owner) for block in turn.blocks],
        }
        for turn in conversation.turns
        if turn.role != "system"
    ]
    if conversation.tools:
        record["toolConfig"] = {"tools": [{"toolSpec": _spec(tool)} for tool in conversation.tools]}
        if any(tool.strict is not None for tool in conversation.tools):
            findings.lose("$.tools", "this format has no place for `strict`")
    lose_extras(conversation, findings)
    return record


def lose_extras(conversation: Conversation, findings: Findings, *, text_only: bool = False) -> None:
    """Note what OpenAI's records have and no format of Bedrock has a place for, or one that holds text only has not."""
    called: dict[str, str] = {}
    for turn in conversation.turns:
        if text_only and not all(isinstance(block, Text) for block in turn.blocks):
            findings.lose(turn.at, "this format holds text only")
        if turn.weight == 0:
            why = "this format has no weights: every answer is learned"
            findings.lose(f"{turn.at}.weight", why)
        called |= {block.id: block.name for block in turn.blocks if isinstance(block, ToolUse)}
        # The name of a result is that of its call.
        names = {turn.name} | {
            block.name
            for block in turn.blocks
            if isinstance(block, ToolResult) and block.name != called.get(block.id)
        }
        if names != {None}:
            findings.lose(f"{turn.at}.name", "this format has no place for a name")
    if text_only and conversation.tools:
        findings.lose("$.tools", "this format has no place for tools")
    if conversation.parallel_tool_calls is not None:
        findings.lose("$.parallel_tool_calls", "this format has no place for it")


def _written(block: Block, turn: Turn, findings: Findings, owner: str | None) -> dict[str, Any]:
    match block:
        case Text():
            return {"text": block.text}
        case Reasoning():
            return {"reasoningContent": {"reasoningText": {"text": block.text}}}
        case ToolUse():
            return {"toolUse": {"toolUseId": block.id, "name": block.name, "input": block.input}}
        case ToolResult():
            result: dict[str, Any] = {
                "toolUseId": block.id,
                "content": [
                    {"text": part.text} if isinstance(part, Text) else {"json": part}
                    for part in block.content
                ],
            }
            if block.status is not None:
                findings.lose(
                    f"{turn.at}.status", "no status of a tool's result is documented for training"
                )
            return {"toolResult": result}
        case Media():
            if block.detail is not None:
                findings.lose(f"{turn.at}.detail", "this format has no place for `detail`")
            location = {"uri": block.uri}
            if account := block.owner or owner:
                location["bucketOwner"] = account
            return {block.kind: {"format": block.format, "source": {"s3Location": location}}}


def _blocks(content: Any, path: str, kinds: tuple[str, ...], findings: Findings) -> Iterator[Block]:
    for at, block in objects(content, path, "blocks", findings):
        found = [kind for kind in kinds if kind in block]
        if len(found) != 1:
            findings.add("field", at, f"expected one of {', '.join(kinds)}")
            continue
        (kind,) = found
        lose_unknown(block, found, at, findings)
        if kind == "text":
            words = text(block, "text", at, findings)
            if words is not None:
                yield Text(words)
            continue
        inner = block[kind]
        if not isinstance(inner, dict):
            findings.add("field", f"{at}.{kind}", f"expected an object, found {named_type(inner)}")
            continue
        made = _READERS[kind](inner, f"{at}.{kind}", findings)
        if made is not None:
            yield made


def _media(kind: str) -> Any:
    def read_media(inner: Mapping[str, Any], at: str, findings: Findings) -> Media | None:
        lose_unknown(inner, ("format", "source"), at, findings)
        form = text(inner, "format", at, findings)
        source = inner.get("source")
        location = source.get("s3Location") if isinstance(source, dict) else None
        if isinstance(source, dict):
            lose_unknown(source, ("s3Location",), f"{at}.source", findings)
        if not isinstance(location, dict):
            findings.add("media-source", f"{at}.source", "expected an s3Location with a uri")
            return None
        lose_unknown(location, ("uri", "bucketOwner"), f"{at}.source.s3Location", findings)
        uri = text(location, "uri", f"{at}.source.s3Location", findings)
        owner = optional(location, "bucketOwner", str, f"{at}.source.s3Location", findings)
        if form is None or uri is None:
            return None
        return Media(kind=kind, format=form, uri=uri, owner=owner)

    return read_media


def _tool_use(inner: Mapping[str, Any], at: str, findings: Findings) -> ToolUse | None:
    lose_unknown(inner, ("toolUseId", "name", "input"), at, findings)
    identifier, name = (text(inner, field, at, findings) for field in ("toolUseId", "name"))
    if not isinstance(inner.get("input"), dict):
        findings.add(
            "field", f"{at}.input", f"expected an object, found {named_type(inner.get('input'))}"
        )
        return None
    if identifier is None or name is None:
        return None
    return ToolUse(id=identifier, name=name, input=inner["input"])


def _tool_result(inner: Mapping[str, Any], at: str, findings: Findings) -> ToolResult | None:
    lose_unknown(inner, ("toolUseId", "content", "status"), at, findings)
    identifier = text(inner, "toolUseId", at, findings)
    content: list[Any] = []
    for here, part in objects(inner.get("content"), f"{at}.content", "texts or JSON", findings):
        if part.keys() == {"text"} and isinstance(part["text"], str):
            content.append(Text(part["text"]))
        elif part.keys() == {"json"} and isinstance(part["json"], dict):
            content.append(part["json"])
        else:
            findings.add("field", here, "expected text or json: what a tool answers holds no more")
    status = optional(inner, "status", str, at, findings)
    if identifier is None:
        return None
    return ToolResult(id=identifier, content=tuple(content), status=status)


def _reasoning(inner: Mapping[str, Any], at: str, findings: Findings) -> Reasoning | None:
    lose_unknown(inner, ("reasoningText",), at, findings)
    thought = inner.get("reasoningText")
    if not isinstance(thought, dict):
        findings.add(
            "field", f"{at}.reasoningText", f"expected an object, found {named_type(thought)}"
        )
        return None
    lose_unknown(thought, ("text",), f"{at}.reasoningText", findings)
    words = text(thought, "text", f"{at}.reasoningText", findings)
    return None if words is None else Reasoning(words)


_READERS = {
    "image": _media("image"),
    "video": _media("video"),
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
}


def _tools(record: Mapping[str, Any], findings: Findings) -> Iterator[Tool]:
    if "toolConfig" not in record:
        return
    config = record["toolConfig"]
    if not isinstance(config, dict) or config.get("tools") == []:
        why = "expected an object with at least one tool: leave it out where there is none"
        findings.add("field", "$.toolConfig", why)
        return
    lose_unknown(config, ("tools",), "$.toolConfig", findings)
    for at, tool in objects(config.get("tools"), "$.toolConfig.tools", "tools", findings):
        spec = tool.get("toolSpec")
        if tool.keys() != {"toolSpec"} or not isinstance(spec, dict):
            findings.add("field", at, "expected an object with toolSpec")
            continue
        here = f"{at}.toolSpec"
        lose_unknown(spec, ("name", "description", "inputSchema"), here, findings)
        name = text(spec, "name", here, findings)
        schema = spec.get("inputSchema")
        if not isinstance(schema, dict) or not isinstance(schema.get("json"), dict):
            findings.add("field", below(here, "inputSchema"), "expected an object with json")
            continue
        lose_unknown(schema, ("json",), below(here, "inputSchema"), findings)
        if name is not None:
            description = optional(spec, "description", str, here, findings)
            yield Tool(name=name, description=description, schema=schema["json"])


def _spec(tool: Tool) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        spec["description"] = tool.description
    schema = {"type": "object", "properties": {}} if tool.schema is None else tool.schema
    return spec | {"inputSchema": {"json": schema}}
