"""What a chat completion has to be: a tool call, or JSON of a schema.

Source: OpenAI's guides on function calling and structured outputs, and the API reference of chat completions (2026-11).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.openai.state import Refusal, new_id
from tunestack_sandbox.schemas import value_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def forced_message(
    asked: Mapping[str, Any], turns: Sequence[tuple[str, str]], answer: str
) -> tuple[dict[str, Any], str] | None:
    """Return the message and the reason why it ends, where the request forces a tool call or JSON; `None` if it does not.

    The values come from the model's answer as far as they fit.

    Raises:
        Refusal: the tool is not one of those of the request, or the format is unknown.
    """
    try:
        function = _forced_function(asked)
    except (AttributeError, KeyError, TypeError) as error:
        raise Refusal(
            "Invalid type for 'tools': expected an array of objects with a function.",
            param="tools",
        ) from error
    if function is not None:
        arguments = value_for({"type": "object", **(function.get("parameters") or {})}, answer)
        call = {
            "id": new_id("call"),
            "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(arguments)},
        }
        # A function that is named in `tool_choice` ends with `stop`.
        named = isinstance(asked.get("tool_choice"), dict)
        message = {**_message(None), "tool_calls": [call]}
        return message, "stop" if named else "tool_calls"
    text = _formatted(asked.get("response_format"), turns, answer)
    return None if text is None else (_message(text), "stop")


def _message(content: str | None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "refusal": None, "annotations": []}


def _forced_function(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the function to call: the one that is named, or each once and the last one again."""
    choice = asked.get("tool_choice")
    tools = asked.get("tools") or []
    if choice is not None and not tools:
        raise Refusal(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            param="tool_choice",
        )
    functions: list[dict[str, Any]] = [
        tool["function"] for tool in tools if tool.get("type") == "function"
    ]
    if isinstance(choice, dict) and choice.get("type") == "function":
        wanted = choice.get("function", {}).get("name")
        for function in functions:
            if function["name"] == wanted:
                return function
        raise Refusal(
            f"Invalid value for 'tool_choice': tool choice '{wanted}' not found in 'tools' parameter.",
            param="tool_choice",
        )
    if choice != "required" or not functions:
        return None
    used = {
        call.get("function", {}).get("name")
        for message in asked["messages"]
        for call in message.get("tool_calls") or ()
    }
    return next((row for row in functions if row["name"] not in used), functions[-1])


def _formatted(wanted: Any, turns: Sequence[tuple[str, str]], answer: str) -> str | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind in (None, "text"):
        return None
    if kind == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict):
            raise Refusal(
                "Missing required parameter: 'response_format.json_schema'.",
                param="response_format.json_schema",
            )
        return json.dumps(value_for(schema, answer))
    if kind != "json_object":
        raise Refusal(
            f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            param="response_format.type",
        )
    if not any("json" in text.lower() for _, text in turns):
        raise Refusal(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
            "'json_object'.",
            param="messages",
        )
    return answer if _is_object(answer) else json.dumps({"answer": answer})


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
