"""Forced tool calls and structured outputs of chat completions.

Source: OpenAI's guides on function calling and structured outputs, and the API reference of chat completions (2026-11).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.openai.state import ApiError, new_id
from tunestack_sandbox.schemas import build_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def build_forced_message(
    body: Mapping[str, Any], turns: Sequence[tuple[str, str]], answer: str
) -> tuple[dict[str, Any], str] | None:
    """Return the message and the finish reason, if the request forces a tool call or JSON; otherwise `None`.

    The values are taken from the model's answer where possible.

    Args:
        body: The body of the request.
        turns: The conversation, as (role, text).
        answer: The model's answer.

    Raises:
        ApiError: The request does not have the tool, or the format is unknown.
    """
    try:
        function = _find_forced_function(body)
    except (AttributeError, KeyError, TypeError) as error:
        raise ApiError(
            "Invalid type for 'tools': expected an array of objects with a function.",
            param="tools",
        ) from error
    if function is not None:
        arguments = build_value({"type": "object", **(function.get("parameters") or {})}, answer)
        call = {
            "id": new_id("call"),
            "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(arguments)},
        }
        # The finish reason is `stop` if `tool_choice` names a function.
        is_named = isinstance(body.get("tool_choice"), dict)
        message = {**build_message(None), "tool_calls": [call]}
        return message, "stop" if is_named else "tool_calls"
    text = _format_answer(body.get("response_format"), turns, answer)
    return None if text is None else (build_message(text), "stop")


def build_message(content: str | None) -> dict[str, Any]:
    """Build the message of an assistant."""
    return {"role": "assistant", "content": content, "refusal": None, "annotations": []}


def _find_forced_function(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the function to call: the named one, or each of them once and then the last one again."""
    choice = body.get("tool_choice")
    tools = body.get("tools") or []
    if choice is not None and not tools:
        raise ApiError(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            param="tool_choice",
        )
    functions: list[dict[str, Any]] = [
        tool["function"] for tool in tools if tool.get("type") == "function"
    ]
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = choice.get("function", {}).get("name")
        for function in functions:
            if function["name"] == name:
                return function
        raise ApiError(
            f"Invalid value for 'tool_choice': tool choice '{name}' not found in 'tools' parameter.",
            param="tool_choice",
        )
    if choice != "required" or not functions:
        return None
    used = {
        call.get("function", {}).get("name")
        for message in body["messages"]
        for call in message.get("tool_calls") or ()
    }
    return next((row for row in functions if row["name"] not in used), functions[-1])


def _format_answer(
    response_format: Any, turns: Sequence[tuple[str, str]], answer: str
) -> str | None:
    is_object = isinstance(response_format, dict)
    kind = response_format.get("type") if is_object else response_format
    if kind in (None, "text"):
        return None
    if kind == "json_schema":
        schema = (response_format.get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict):
            raise ApiError(
                "Missing required parameter: 'response_format.json_schema'.",
                param="response_format.json_schema",
            )
        return json.dumps(build_value(schema, answer))
    if kind != "json_object":
        raise ApiError(
            f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            param="response_format.type",
        )
    if not any("json" in text.lower() for _, text in turns):
        raise ApiError(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
            "'json_object'.",
            param="messages",
        )
    return answer if _is_json_object(answer) else json.dumps({"answer": answer})


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
