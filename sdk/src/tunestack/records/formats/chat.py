"""Reads OpenAI's formats for chat and preference data; DSPy writes the chat format too.

Source: openai-openapi, FineTuneChatRequestInput and FineTunePreferenceRequestInput; the guides supervised-fine-tuning,
vision-fine-tuning and direct-preference-optimization (developers.openai.com, read 2026-11-22).
"""

from __future__ import annotations

import re
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
from tunestack.records.findings import Findings, quote
from tunestack.records.formats.fields import (
    get_optional,
    iterate_objects,
    report_message_fields,
    report_record_fields,
    report_unknown,
    require_text,
)
from tunestack.records.jsonline import decode, json_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name", "weight"},
    "assistant": {
        "role",
        "content",
        "name",
        "weight",
        "tool_calls",
        "function_call",
        "reasoning_content",
        "reasoning",
        "refusal",
        "audio",
    },
    "tool": {"role", "content", "tool_call_id", "name"},
    "function": {"role", "content", "name"},
}
_RECORD = ("messages", "tools", "functions", "parallel_tool_calls")
_ROLES = {"developer": "system"}
_EXTENSIONS = {"jpg": "jpeg", "svg+xml": "svg", "x-matroska": "mkv", "quicktime": "mov"}
_DATA = re.compile(r"(?i)data:(?:(?P<kind>\w+)/(?P<format>[\w.+-]+))?[;,]")


def read(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"messages": [...], "tools": [...], "parallel_tool_calls": ...}`."""
    report_record_fields(record, _RECORD, findings)
    return _conversation(record, "$", findings)


def read_preference(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"input": {"messages"}, "preferred_output": [...], "non_preferred_output": [...]}`."""
    report_record_fields(record, ("input", "preferred_output", "non_preferred_output"), findings)
    prompt = record.get("input")
    if not isinstance(prompt, dict):
        findings.add(
            "field", "$.input", f"expected an object with messages, found {json_type(prompt)}"
        )
        prompt = {}
    else:
        report_unknown(prompt, _RECORD, "$.input", findings)
    conversation = _conversation(prompt, "$.input", findings)
    answers = []
    for name in ("preferred_output", "non_preferred_output"):
        turns = tuple(_turns(record.get(name), f"$.{name}", findings))
        if [turn.role for turn in turns] != ["assistant"]:
            findings.add("preference", f"$.{name}", "expected one assistant message")
        answers.append(turns)
    return Conversation(
        turns=conversation.turns,
        tools=conversation.tools,
        parallel_tool_calls=conversation.parallel_tool_calls,
        preferred=answers[0],
        rejected=answers[1],
    )


def _conversation(record: Mapping[str, Any], path: str, findings: Findings) -> Conversation:
    return Conversation(
        turns=tuple(_turns(record.get("messages"), f"{path}.messages", findings)),
        tools=(
            *_tools(record.get("tools"), f"{path}.tools", findings),
            *_functions(record.get("functions"), f"{path}.functions", findings),
        ),
        parallel_tool_calls=get_optional(record, "parallel_tool_calls", bool, path, findings),
    )


def _turns(messages: Any, path: str, findings: Findings) -> Iterator[Turn]:
    results: list[ToolResult] = []
    results_path = path
    call_path = ""
    for message_path, message in iterate_objects(messages, path, "messages", findings):
        role = message.get("role")
        if not isinstance(role, str) or role not in _FIELDS:
            known = ", ".join(_FIELDS)
            findings.add("role", f"{message_path}.role", f"invalid role {quote(role)}: use {known}")
            continue
        report_message_fields(message, _FIELDS[role], message_path, findings)
        if role in ("tool", "function"):
            results_path = results_path if results else message_path
            results.append(_result(message, message_path, findings, call_path))
            continue
        call_path = message_path if message.get("function_call") else call_path
        turn = Turn(
            role=_ROLES.get(role, role),
            blocks=tuple(_content(message, message_path, findings)),
            path=message_path,
            name=get_optional(message, "name", str, message_path, findings),
            weight=_weight(message, message_path, findings),
        )
        if results and role == "user":
            # Tool results and the next user message are one turn, so that turns alternate.
            yield Turn("user", (*results, *turn.blocks), results_path, turn.name, turn.weight)
        elif results:
            yield Turn("user", tuple(results), results_path)
            yield turn
        else:
            yield turn
        results = []
    if results:
        yield Turn("user", tuple(results), results_path)


def _weight(message: Mapping[str, Any], path: str, findings: Findings) -> int | None:
    weight = message.get("weight")
    if weight is not None and message["role"] != "assistant":
        findings.add("normalized", f"{path}.weight", "only answers have a weight: it was left out")
        return None
    if isinstance(weight, float) and weight in (0.0, 1.0):
        findings.add("normalized", f"{path}.weight", "was written as an integer")
        return int(weight)
    weight = get_optional(message, "weight", int, path, findings)
    if weight in (None, 0, 1):
        return weight  # type: ignore[no-any-return]
    findings.add("weight", f"{path}.weight", "expected 0 or 1")
    return None


def _content(message: Mapping[str, Any], path: str, findings: Findings) -> Iterator[Block]:
    name = "reasoning_content" if message.get("reasoning_content") is not None else "reasoning"
    reasoning = get_optional(message, name, str, path, findings)
    if reasoning is not None:
        yield Reasoning(reasoning)
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    yield from _read_content(message, path, findings, has_calls=bool(calls or legacy))
    if legacy is not None:
        findings.add("legacy-functions", f"{path}.function_call", "is converted to a tool call")
        yield from _call({"id": _create_id(path), "function": legacy}, path, findings)
    if calls is not None:
        for item_path, call in iterate_objects(calls, f"{path}.tool_calls", "tool calls", findings):
            yield from _call(call, item_path, findings)


def _read_content(
    message: Mapping[str, Any], path: str, findings: Findings, *, has_calls: bool
) -> Iterator[Block]:
    content = message.get("content")
    refusal = get_optional(message, "refusal", str, path, findings)
    if message.get("audio") is not None:
        findings.add(
            "unsupported-media",
            f"{path}.audio",
            "no model supports audio in training data: remove it",
        )
    if refusal and content is None:
        # A refusal is an answer, in a field of its own.
        findings.add("normalized", f"{path}.refusal", "was written as the content of the answer")
        content = refusal
    if has_calls and content in ("null", "None"):
        findings.add(
            "normalized", f"{path}.content", "is the word null beside tool calls, and was removed"
        )
        content = None
    if isinstance(content, list):
        if not content:
            findings.add("empty-text", f"{path}.content", "the content is empty")
        for item_path, part in iterate_objects(content, f"{path}.content", "parts", findings):
            yield from _part(part, item_path, findings)
    elif isinstance(content, str):
        # OpenAI writes an empty string beside tool calls.
        if content or not has_calls:
            yield Text(content)
    elif content is not None or not has_calls:
        found = f"found {json_type(content)}" if "content" in message else "the field is missing"
        findings.add("field", f"{path}.content", f"expected a string or an array of parts, {found}")


def _part(part: Mapping[str, Any], path: str, findings: Findings) -> Iterator[Block]:
    kind = part.get("type", "text" if "text" in part else None)
    if kind == "text":
        report_unknown(part, ("type", "text"), path, findings)
        text = require_text(part, "text", path, findings)
        if text is not None:
            yield Text(text)
    elif kind in ("image_url", "video_url"):
        report_unknown(part, ("type", kind), path, findings)
        source = part.get(kind)
        if isinstance(source, dict):
            report_unknown(source, ("url", "detail"), f"{path}.{kind}", findings)
            url = require_text(source, "url", f"{path}.{kind}", findings)
            detail = get_optional(source, "detail", str, f"{path}.{kind}", findings)
            if url is not None:
                yield _media(url, kind.removesuffix("_url"), detail)
        else:
            findings.add(
                "field", f"{path}.{kind}", f"expected an object with url, found {json_type(source)}"
            )
    elif kind in ("input_audio", "file", "document"):
        findings.add(
            "unsupported-media",
            path,
            f"no model supports parts of type {kind!r} in training data: remove it",
        )
    else:
        findings.add(
            "field", f"{path}.type", f"invalid part type {quote(kind)}: use text or image_url"
        )


def _media(url: str, kind: str, detail: str | None) -> Media:
    """Detect the kind and format of media by the MIME type or the extension of its URL, which is never opened."""
    if match := _DATA.match(url):
        kind = (
            match["kind"].lower() if (match["kind"] or "").lower() in ("video", "audio") else kind
        )
        media_format = (match["format"] or "").lower()
    else:
        name = re.split("[?#]", url.rpartition("/")[2], maxsplit=1)[0]
        media_format = name.rpartition(".")[2].lower() if "." in name else ""
    return Media(
        kind=kind, format=_EXTENSIONS.get(media_format, media_format), uri=url, detail=detail
    )


def _call(call: Mapping[str, Any], path: str, findings: Findings) -> Iterator[Block]:
    report_message_fields(call, ("id", "type", "function"), path, findings)
    _check_type(call, path, findings)
    function = call.get("function")
    if not isinstance(function, dict):
        findings.add(
            "field", f"{path}.function", f"expected an object, found {json_type(function)}"
        )
        return
    report_unknown(function, ("name", "arguments"), f"{path}.function", findings)
    identifier = require_text(call, "id", path, findings)
    name = require_text(function, "name", f"{path}.function", findings)
    arguments = _arguments(function, f"{path}.function", findings)
    if identifier is None or name is None or arguments is None:
        return
    argument_findings = Findings()
    value = decode(arguments.encode("utf-8", "surrogatepass"), argument_findings)
    if value is None or argument_findings.problems:
        why = argument_findings.problems[0].message
        findings.add(
            "tool-arguments", f"{path}.function.arguments", f"expected a JSON object: {why}"
        )
    else:
        yield ToolUse(id=identifier, name=name, input=value, arguments=arguments)


def _arguments(function: Mapping[str, Any], path: str, findings: Findings) -> str | None:
    """Return the arguments as text: some programs write an object, or an empty string for a call without arguments."""
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        findings.add(
            "normalized", f"{path}.arguments", "is an object, and was written as JSON text"
        )
        return orjson.dumps(arguments).decode()
    if isinstance(arguments, str) and not arguments.strip():
        findings.add("normalized", f"{path}.arguments", "is empty, and was written as {}")
        return "{}"
    return require_text(function, "arguments", path, findings)


def _check_type(value: Mapping[str, Any], path: str, findings: Findings) -> None:
    if value.get("type", "function") != "function":
        findings.add(
            "field", f"{path}.type", "expected 'function', the only type of tool in training data"
        )


def _create_id(path: str) -> str:
    """Create an id for a call without id, from the path of its message."""
    return "call-" + "-".join(re.findall(r"\d+", path))


def _result(
    message: Mapping[str, Any], path: str, findings: Findings, call_path: str
) -> ToolResult:
    content: list[Any] = []
    if message.get("content") in (None, []):
        findings.add("normalized", f"{path}.content", "is empty, and was written as an empty text")
        message = {**message, "content": ""}
    for block in _content(message, path, findings):
        if isinstance(block, Text):
            content.append(block)
        else:
            findings.add("unsupported-media", f"{path}.content", "tool results support text only")
    legacy = message["role"] == "function"
    return ToolResult(
        id=_create_id(call_path)
        if legacy
        else require_text(message, "tool_call_id", path, findings) or "",
        content=tuple(content),
        name=get_optional(message, "name", str, path, findings),
    )


def _tools(tools: Any, path: str, findings: Findings) -> Iterator[Tool]:
    if tools is None:
        return
    for tool_path, tool in iterate_objects(tools, path, "tools", findings):
        report_unknown(tool, ("type", "function"), tool_path, findings)
        _check_type(tool, tool_path, findings)
        function = tool.get("function")
        if not isinstance(function, dict):
            findings.add(
                "field", f"{tool_path}.function", f"expected an object, found {json_type(function)}"
            )
            continue
        function_path = f"{tool_path}.function"
        report_unknown(
            function, ("name", "description", "parameters", "strict"), function_path, findings
        )
        name = require_text(function, "name", function_path, findings)
        if name is not None:
            yield Tool(
                name=name,
                description=get_optional(function, "description", str, function_path, findings),
                schema=get_optional(function, "parameters", dict, function_path, findings),
                strict=get_optional(function, "strict", bool, function_path, findings),
            )


def _functions(functions: Any, path: str, findings: Findings) -> Iterator[Tool]:
    """Read the deprecated definitions of functions."""
    if functions is None:
        return
    findings.add("legacy-functions", path, "are converted to tools")
    wrapped = (
        [{"function": function} for function in functions]
        if isinstance(functions, list)
        else functions
    )
    yield from _tools(wrapped, path, findings)
