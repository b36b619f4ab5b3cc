"""Reads OpenAI's chat format, which DSPy writes too: messages, tools, weights; and its pairs of preferred answers.

Source: openai-openapi, FineTuneChatRequestInput and FineTunePreferenceRequestInput; the guides supervised-fine-tuning,
vision-fine-tuning and direct-preference-optimization (developers.openai.com, read 2026-11-22).
"""

from __future__ import annotations

import re
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
from tunestack.records.findings import Findings, quoted
from tunestack.records.formats.fields import lose_unknown, objects, optional, text
from tunestack.records.jsonline import decode, named_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {
        "role",
        "content",
        "name",
        "weight",
        "tool_calls",
        "function_call",
        "reasoning_content",
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
    lose_unknown(record, _RECORD, "$", findings)
    return _conversation(record, "$", findings)


def read_preference(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"input": {"messages"}, "preferred_output": [...], "non_preferred_output": [...]}`."""
    lose_unknown(record, ("input", "preferred_output", "non_preferred_output"), "$", findings)
    asked = record.get("input")
    if not isinstance(asked, dict):
        findings.add(
            "field", "$.input", f"expected an object with messages, found {named_type(asked)}"
        )
        asked = {}
    else:
        lose_unknown(asked, _RECORD, "$.input", findings)
    conversation = _conversation(asked, "$.input", findings)
    answers = []
    for name in ("preferred_output", "non_preferred_output"):
        turns = tuple(_turns(record.get(name), f"$.{name}", findings))
        if [turn.role for turn in turns] != ["assistant"]:
            findings.add("preference", f"$.{name}", "expected one message, the assistant's")
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
        parallel_tool_calls=optional(record, "parallel_tool_calls", bool, path, findings),
    )


def _turns(messages: Any, path: str, findings: Findings) -> Iterator[Turn]:
    results: list[ToolResult] = []
    answered = path
    called = ""
    for at, message in objects(messages, path, "messages", findings):
        role = message.get("role")
        if not isinstance(role, str) or role not in _FIELDS:
            known = ", ".join(_FIELDS)
            findings.add("role", f"{at}.role", f"{quoted(role)} is no role: use {known}")
            continue
        lose_unknown(message, _FIELDS[role], at, findings)
        if role in ("tool", "function"):
            answered = answered if results else at
            results.append(_result(message, at, findings, called))
            continue
        called = at if message.get("function_call") else called
        turn = Turn(
            role=_ROLES.get(role, role),
            blocks=tuple(_content(message, at, findings)),
            at=at,
            name=optional(message, "name", str, at, findings),
            weight=_weight(message, at, findings),
        )
        if results and role == "user":
            # What tools answer and what the user says next are one turn: elsewhere turns alternate.
            yield Turn("user", (*results, *turn.blocks), answered, turn.name, turn.weight)
        elif results:
            yield Turn("user", tuple(results), answered)
            yield turn
        else:
            yield turn
        results = []
    if results:
        yield Turn("user", tuple(results), answered)


def _weight(message: Mapping[str, Any], at: str, findings: Findings) -> int | None:
    weight: int | None = optional(message, "weight", int, at, findings)
    if weight in (None, 0, 1):
        return weight
    findings.add("weight", f"{at}.weight", "expected 0 or 1")
    return None


def _content(message: Mapping[str, Any], at: str, findings: Findings) -> Iterator[Block]:
    thought = optional(message, "reasoning_content", str, at, findings)
    if thought is not None:
        yield Reasoning(thought)
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    yield from _said(message, at, findings, has_calls=bool(calls or legacy))
    if legacy is not None:
        findings.add("legacy-functions", f"{at}.function_call", "is written as a tool call")
        yield from _call({"id": _id(at), "function": legacy}, at, findings)
    if calls is not None:
        for here, call in objects(calls, f"{at}.tool_calls", "tool calls", findings):
            yield from _call(call, here, findings)


def _said(
    message: Mapping[str, Any], at: str, findings: Findings, *, has_calls: bool
) -> Iterator[Block]:
    content = message.get("content")
    if isinstance(content, list):
        if not content:
            findings.add("empty-text", f"{at}.content", "is empty")
        for here, part in objects(content, f"{at}.content", "parts", findings):
            yield from _part(part, here, findings)
    elif isinstance(content, str):
        # Beside calls, OpenAI writes an empty text where there is none.
        if content or not has_calls:
            yield Text(content)
    elif content is not None or not has_calls:
        why = f"found {named_type(content)}" if "content" in message else "it is missing"
        findings.add("field", f"{at}.content", f"expected a text, or a list of parts, {why}")


def _part(part: Mapping[str, Any], at: str, findings: Findings) -> Iterator[Block]:
    kind = part.get("type", "text" if "text" in part else None)
    if kind == "text":
        lose_unknown(part, ("type", "text"), at, findings)
        found = text(part, "text", at, findings)
        if found is not None:
            yield Text(found)
    elif kind in ("image_url", "video_url"):
        lose_unknown(part, ("type", kind), at, findings)
        source = part.get(kind)
        if isinstance(source, dict):
            lose_unknown(source, ("url", "detail"), f"{at}.{kind}", findings)
            url = text(source, "url", f"{at}.{kind}", findings)
            detail = optional(source, "detail", str, f"{at}.{kind}", findings)
            if url is not None:
                yield _media(url, kind.removesuffix("_url"), detail)
        else:
            findings.add(
                "field", f"{at}.{kind}", f"expected an object with url, found {named_type(source)}"
            )
    elif kind in ("input_audio", "file", "document"):
        findings.add(
            "media-not-taken", at, f"a part of type {kind!r}: no model learns from it, leave it out"
        )
    else:
        findings.add(
            "field", f"{at}.type", f"{quoted(kind)} is no type of part: use text, image_url"
        )


def _media(url: str, kind: str, detail: str | None) -> Media:
    """Tell what a URL holds by its MIME type or its ending; it is never opened."""
    if match := _DATA.match(url):
        kind = (
            match["kind"].lower() if (match["kind"] or "").lower() in ("video", "audio") else kind
        )
        form = (match["format"] or "").lower()
    else:
        name = re.split("[?#]", url.rpartition("/")[2], maxsplit=1)[0]
        form = name.rpartition(".")[2].lower() if "." in name else ""
    return Media(kind=kind, format=_EXTENSIONS.get(form, form), uri=url, detail=detail)


def _call(call: Mapping[str, Any], at: str, findings: Findings) -> Iterator[Block]:
    lose_unknown(call, ("id", "type", "function"), at, findings)
    _check_type(call, at, findings)
    function = call.get("function")
    if not isinstance(function, dict):
        findings.add("field", f"{at}.function", f"expected an object, found {named_type(function)}")
        return
    lose_unknown(function, ("name", "arguments"), f"{at}.function", findings)
    identifier = text(call, "id", at, findings)
    name = text(function, "name", f"{at}.function", findings)
    arguments = text(function, "arguments", f"{at}.function", findings)
    if identifier is None or name is None or arguments is None:
        return
    inside = Findings()
    value = decode(arguments.encode("utf-8", "surrogatepass"), inside)
    if value is None or inside.problems:
        why = inside.problems[0].message
        findings.add("tool-arguments", f"{at}.function.arguments", f"expected a JSON object: {why}")
    else:
        yield ToolUse(id=identifier, name=name, input=value, arguments=arguments)


def _check_type(value: Mapping[str, Any], at: str, findings: Findings) -> None:
    if value.get("type", "function") != "function":
        findings.add(
            "field", f"{at}.type", "expected 'function': no model learns another kind of tool"
        )


def _id(at: str) -> str:
    """Make an id for a call that has none, of the place of its message."""
    return "call-" + "-".join(re.findall(r"\d+", at))


def _result(message: Mapping[str, Any], at: str, findings: Findings, called: str) -> ToolResult:
    content: list[Any] = []
    for block in _content(message, at, findings):
        if isinstance(block, Text):
            content.append(block)
        else:
            findings.add("media-not-taken", f"{at}.content", "what a tool answers is text only")
    legacy = message["role"] == "function"
    return ToolResult(
        id=_id(called) if legacy else text(message, "tool_call_id", at, findings) or "",
        content=tuple(content),
        name=optional(message, "name", str, at, findings),
    )


def _tools(tools: Any, path: str, findings: Findings) -> Iterator[Tool]:
    if tools is None:
        return
    for at, tool in objects(tools, path, "tools", findings):
        lose_unknown(tool, ("type", "function"), at, findings)
        _check_type(tool, at, findings)
        function = tool.get("function")
        if not isinstance(function, dict):
            findings.add(
                "field", f"{at}.function", f"expected an object, found {named_type(function)}"
            )
            continue
        here = f"{at}.function"
        lose_unknown(function, ("name", "description", "parameters", "strict"), here, findings)
        name = text(function, "name", here, findings)
        if name is not None:
            yield Tool(
                name=name,
                description=optional(function, "description", str, here, findings),
                schema=optional(function, "parameters", dict, here, findings),
                strict=optional(function, "strict", bool, here, findings),
            )


def _functions(functions: Any, path: str, findings: Findings) -> Iterator[Tool]:
    """Read what OpenAI had before tools."""
    if functions is None:
        return
    findings.add("legacy-functions", path, "are written as tools")
    wrapped = (
        [{"function": function} for function in functions]
        if isinstance(functions, list)
        else functions
    )
    yield from _tools(wrapped, path, findings)
