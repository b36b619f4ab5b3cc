"""The format of Nova and of Llama 3.2 and 3.3: `bedrock-conversation-2024`, with the structures of the Converse operation.

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
from tunestack.records.findings import field_path, quote
from tunestack.records.formats.fields import (
    get_optional,
    iterate_objects,
    report_message_fields,
    report_record_fields,
    report_unknown,
    require_text,
    without_nulls,
)
from tunestack.records.jsonline import json_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.records.findings import Findings

SCHEMA_VERSION = "bedrock-conversation-2024"
_KINDS = ("text", "image", "video", "document", "toolUse", "toolResult", "reasoningContent")


def has_structures(record: Mapping[str, Any]) -> bool:
    """Return whether a record without `schemaVersion` has blocks or tools that only Converse has."""
    if not _starts_with(record.get("messages"), "role"):
        return False
    if "toolConfig" in record or _starts_with(record.get("system"), "text"):
        return True
    blocks = content_blocks(record)
    return bool(blocks) and all(isinstance(block, dict) and "type" not in block for block in blocks)


def _starts_with(value: Any, name: str) -> bool:
    """Return whether the first item of an array is an object with a field, and without a type."""
    is_object = isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    return is_object and name in value[0] and "type" not in value[0]


def content_blocks(record: Mapping[str, Any]) -> list[Any]:
    """Return the blocks of all messages whose content is an array."""
    contents = [turn.get("content") for turn in record["messages"] if isinstance(turn, dict)]
    return [block for content in contents if isinstance(content, list) for block in content]


def read(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"schemaVersion", "system": [...], "messages": [...], "toolConfig": {...}}`."""
    record = without_nulls(record, "$", findings)
    report_record_fields(record, ("schemaVersion", "system", "messages", "toolConfig"), findings)
    _check_version(record.get("schemaVersion"), findings)
    turns: list[Turn] = []
    if "system" in record:
        content = _as_blocks(record["system"], "$.system", findings)
        blocks = tuple(_blocks(content, "$.system", ("text",), findings))
        if blocks:
            turns.append(Turn(role="system", blocks=blocks, path="$.system"))
        elif content == []:
            findings.add("normalized", "$.system", "is empty, and was removed")
    for path, message in iterate_objects(
        record.get("messages"), "$.messages", "messages", findings
    ):
        message = without_nulls(message, path, findings)  # noqa: PLW2901
        report_message_fields(message, ("role", "content"), path, findings)
        role = message.get("role")
        if role not in ("user", "assistant"):
            findings.add(
                "role", f"{path}.role", f"invalid role {quote(role)}: use user or assistant"
            )
            continue
        content = _as_blocks(message.get("content"), f"{path}.content", findings)
        if content == []:
            findings.add("empty-text", f"{path}.content", "the content is empty")
        blocks = tuple(_blocks(content, f"{path}.content", _KINDS, findings))
        turns.append(Turn(role=role, blocks=blocks, path=path))
    return Conversation(turns=tuple(turns), tools=tuple(_tools(record, findings)))


def _check_version(version: Any, findings: Findings) -> None:
    """Check the version: the Nova guide allows any string, and AWS's data sets have others or none."""
    if version == SCHEMA_VERSION:
        return
    if version is None:
        findings.add(
            "normalized", "$.schemaVersion", f"is missing, and {SCHEMA_VERSION!r} was added"
        )
    elif isinstance(version, str):
        findings.add("normalized", "$.schemaVersion", f"was replaced by {SCHEMA_VERSION!r}")
    else:
        findings.add("field", "$.schemaVersion", f"expected {SCHEMA_VERSION!r}")


def _as_blocks(content: Any, path: str, findings: Findings) -> Any:
    """Return a text as an array of one block."""
    if not isinstance(content, str):
        return content
    findings.add("normalized", path, "is a string, and was written as an array of blocks")
    return [{"text": content}]


def write(
    conversation: Conversation, findings: Findings, *, owner: str | None = None
) -> dict[str, Any]:
    """Write a record. `owner` is the AWS account of the buckets of images without a bucketOwner."""
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
            # It limits what the model can answer, and is no part of what it learns.
            findings.add("normalized", "$.tools", "the setting strict of requests was left out")
    report_extras(conversation, findings)
    return record


def report_extras(
    conversation: Conversation, findings: Findings, *, is_text_only: bool = False
) -> None:
    """Add content that the formats of Bedrock don't support as losses."""
    called: dict[str, str] = {}
    for turn in conversation.turns:
        if is_text_only and not all(isinstance(block, Text) for block in turn.blocks):
            findings.add_loss(turn.path, "the format supports text only")
        if turn.weight == 0:
            why = "the format does not support weights: the model learns every answer"
            findings.add_loss(f"{turn.path}.weight", why)
        called |= {block.id: block.name for block in turn.blocks if isinstance(block, ToolUse)}
        # The name of a result is the name of its call.
        names = {turn.name} | {
            block.name
            for block in turn.blocks
            if isinstance(block, ToolResult) and block.name != called.get(block.id)
        }
        if names != {None}:
            findings.add_loss(f"{turn.path}.name", "the format does not support names")
    if is_text_only and conversation.tools:
        findings.add_loss("$.tools", "the format does not support tools")
    if conversation.parallel_tool_calls is not None:
        findings.add(
            "normalized", "$.parallel_tool_calls", "is a setting of requests, and was left out"
        )


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
                findings.add_loss(
                    f"{turn.path}.status", "no status of a tool's result is documented for training"
                )
            return {"toolResult": result}
        case Media():
            if block.detail is not None:
                findings.add_loss(f"{turn.path}.detail", "this format has no place for `detail`")
            location = {"uri": block.uri}
            if account := block.owner or owner:
                location["bucketOwner"] = account
            return {block.kind: {"format": block.format, "source": {"s3Location": location}}}


def _blocks(content: Any, path: str, kinds: tuple[str, ...], findings: Findings) -> Iterator[Block]:
    for block_path, block in iterate_objects(content, path, "blocks", findings):
        if "cachePoint" in block:
            findings.add("normalized", block_path, "is a cache point of requests, and was left out")
            continue
        block = without_nulls(block, block_path, findings)  # noqa: PLW2901
        found = [kind for kind in kinds if kind in block]
        if len(found) != 1:
            findings.add("field", block_path, f"expected one of {', '.join(kinds)}")
            continue
        (kind,) = found
        if block.get("type", "") in (kind, _TYPES.get(kind, kind)):
            findings.add(
                "normalized", f"{block_path}.type", "is not part of the format, and was left out"
            )
            block = {kind: block[kind]}  # noqa: PLW2901
        report_unknown(block, found, block_path, findings)
        if kind == "text":
            text = require_text(block, "text", block_path, findings)
            if text is not None:
                yield Text(text)
            continue
        inner = block[kind]
        if not isinstance(inner, dict):
            findings.add(
                "field", f"{block_path}.{kind}", f"expected an object, found {json_type(inner)}"
            )
            continue
        parsed = _READERS[kind](inner, f"{block_path}.{kind}", findings)
        if parsed is not None:
            yield parsed


_TYPES = {"toolUse": "tool_use", "toolResult": "tool_result", "reasoningContent": "reasoning"}
"""The types of blocks in other APIs."""


def _media(kind: str) -> Any:
    def read_media(inner: Mapping[str, Any], path: str, findings: Findings) -> Media | None:
        if kind == "document" and "name" in inner:
            findings.add("normalized", f"{path}.name", "is a setting of requests, and was left out")
            inner = {name: value for name, value in inner.items() if name != "name"}
        report_unknown(inner, ("format", "source"), path, findings)
        media_format = require_text(inner, "format", path, findings)
        source = inner.get("source")
        location = source.get("s3Location") if isinstance(source, dict) else None
        if isinstance(source, dict):
            report_unknown(source, ("s3Location",), f"{path}.source", findings)
        if not isinstance(location, dict):
            findings.add("media-source", f"{path}.source", "expected an s3Location with a uri")
            return None
        report_unknown(location, ("uri", "bucketOwner"), f"{path}.source.s3Location", findings)
        uri = require_text(location, "uri", f"{path}.source.s3Location", findings)
        owner = get_optional(location, "bucketOwner", str, f"{path}.source.s3Location", findings)
        if media_format is None or uri is None:
            return None
        return Media(kind=kind, format=media_format, uri=uri, owner=owner)

    return read_media


def _tool_use(inner: Mapping[str, Any], path: str, findings: Findings) -> ToolUse | None:
    report_unknown(inner, ("toolUseId", "name", "input"), path, findings)
    identifier, name = (
        require_text(inner, field, path, findings) for field in ("toolUseId", "name")
    )
    if not isinstance(inner.get("input"), dict):
        findings.add(
            "field", f"{path}.input", f"expected an object, found {json_type(inner.get('input'))}"
        )
        return None
    if identifier is None or name is None:
        return None
    return ToolUse(id=identifier, name=name, input=inner["input"])


def _tool_result(inner: Mapping[str, Any], path: str, findings: Findings) -> ToolResult | None:
    report_unknown(inner, ("toolUseId", "content", "status"), path, findings)
    identifier = require_text(inner, "toolUseId", path, findings)
    content: list[Any] = []
    if inner.get("content") == []:
        findings.add("normalized", f"{path}.content", "is empty, and was written as an empty text")
        inner = {**inner, "content": [{"text": ""}]}
    for item_path, part in iterate_objects(
        inner.get("content"), f"{path}.content", "texts or JSON", findings
    ):
        if part.keys() == {"text"} and isinstance(part["text"], str):
            content.append(Text(part["text"]))
        elif part.keys() == {"json"} and isinstance(part["json"], dict):
            content.append(part["json"])
        else:
            findings.add(
                "field", item_path, "expected text or json, tool results support nothing else"
            )
    status = get_optional(inner, "status", str, path, findings)
    if status == "success":
        findings.add("normalized", f"{path}.status", "is that of every result, and was left out")
        status = None
    if identifier is None:
        return None
    return ToolResult(id=identifier, content=tuple(content), status=status)


def _reasoning(inner: Mapping[str, Any], path: str, findings: Findings) -> Reasoning | None:
    report_unknown(inner, ("reasoningText",), path, findings)
    thought = inner.get("reasoningText")
    if not isinstance(thought, dict):
        findings.add(
            "field", f"{path}.reasoningText", f"expected an object, found {json_type(thought)}"
        )
        return None
    if "signature" in thought:
        findings.add(
            "normalized",
            f"{path}.reasoningText.signature",
            "is only for requests, and was left out",
        )
    report_unknown(thought, ("text", "signature"), f"{path}.reasoningText", findings)
    text = require_text(thought, "text", f"{path}.reasoningText", findings)
    return None if text is None else Reasoning(text)


_READERS = {
    "image": _media("image"),
    "video": _media("video"),
    "document": _media("document"),
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
}


def _tools(record: Mapping[str, Any], findings: Findings) -> Iterator[Tool]:
    if "toolConfig" not in record:
        return
    config = record["toolConfig"]
    if not isinstance(config, dict):
        findings.add("field", "$.toolConfig", f"expected an object, found {json_type(config)}")
        return
    if not config.get("tools"):
        findings.add("normalized", "$.toolConfig", "has no tools, and was removed")
        return
    if "toolChoice" in config:
        findings.add(
            "normalized", "$.toolConfig.toolChoice", "is a setting of requests, and was left out"
        )
    report_unknown(config, ("tools", "toolChoice"), "$.toolConfig", findings)
    for tool_path, tool in iterate_objects(
        config.get("tools"), "$.toolConfig.tools", "tools", findings
    ):
        yield from _tool(tool, tool_path, findings)


def _tool(tool: Mapping[str, Any], path: str, findings: Findings) -> Iterator[Tool]:
    if "cachePoint" in tool:
        findings.add("normalized", path, "is a cache point of requests, and was left out")
        return
    spec = tool.get("toolSpec")
    if tool.keys() != {"toolSpec"} or not isinstance(spec, dict):
        findings.add("field", path, "expected an object with toolSpec")
        return
    spec_path = f"{path}.toolSpec"
    if "strict" in spec:
        findings.add(
            "normalized", f"{spec_path}.strict", "is a setting of requests, and was left out"
        )
    report_unknown(spec, ("name", "description", "inputSchema", "strict"), spec_path, findings)
    name = require_text(spec, "name", spec_path, findings)
    schema = spec.get("inputSchema")
    if not isinstance(schema, dict) or not isinstance(schema.get("json"), dict):
        findings.add("field", field_path(spec_path, "inputSchema"), "expected an object with json")
        return
    report_unknown(schema, ("json",), field_path(spec_path, "inputSchema"), findings)
    if name is not None:
        description = get_optional(spec, "description", str, spec_path, findings)
        yield Tool(name=name, description=description, schema=schema["json"])


def _spec(tool: Tool) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        spec["description"] = tool.description
    schema = {"type": "object", "properties": {}} if tool.schema is None else tool.schema
    return spec | {"inputSchema": {"json": schema}}
