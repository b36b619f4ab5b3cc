"""Models, and what they answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack_sandbox.answers import LABEL, untrained
from tunestack_sandbox.openai.forced import forced_message
from tunestack_sandbox.openai.state import LIST, Project, Refusal, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel

_BORN = 1_700_000_000
# There for everybody, and not to be tuned: what follows the models that can be.
_OTHERS = ("gpt-6-luna",)
_WORD = re.compile(r"\s*\S+|\s+$")
"""A word with the space before it: what a stream brings at a time."""
_PARAMETERS = {
    *("model", "messages", "temperature", "top_p", "n", "stream", "stop", "max_tokens", "user"),
    *("max_completion_tokens", "presence_penalty", "frequency_penalty", "logit_bias", "seed"),
    *("logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "metadata", "store"),
    *("parallel_tool_calls", "service_tier", "stream_options", "reasoning_effort"),
    *("prompt_cache_key", "safety_identifier"),
}


def _living(project: Project) -> dict[str, BaseModel]:
    today = project.clock.now().date()
    return {
        name: model
        for model in CATALOG
        if model.provider == "openai" and model.lifecycle.state(today) is not LifecycleState.RETIRED
        for name in (model.customization_id, *model.aliases)
    }


def _described(name: str, owner: str, created: int, end: object = None) -> dict[str, Any]:
    row = {"id": name, "object": "model", "created": created, "owned_by": owner}
    return row if end is None else row | {"shutdown_date": str(end)}


def _rows(project: Project) -> list[dict[str, Any]]:
    living = _living(project)
    return [
        *(
            _described(name, "system", _BORN, model.lifecycle.end_of_life)
            for name, model in living.items()
        ),
        *(_described(name, "system", _BORN) for name in _OTHERS),
        *(
            _described(name, "sandbox", int((job.ended or job.created).timestamp()))
            for name, job in project.models.items()
            if job.base.customization_id in living
        ),
    ]


def list_models(project: Project) -> dict[str, Any]:
    """List models."""
    return {"object": LIST, "data": _rows(project)}


def retrieve(project: Project, name: str) -> dict[str, Any]:
    """Describe a model."""
    for row in _rows(project):
        if row["id"] == name:
            return row
    raise _missing(name)


def delete(project: Project, name: str) -> dict[str, Any]:
    """Forget a tuned model."""
    if name not in project.models:
        raise _missing(name)
    del project.models[name]
    return {"id": name, "object": "model", "deleted": True}


def _missing(name: str) -> Refusal:
    return Refusal(
        f"The model `{name}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
    )


def chat(project: Project, asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Answer a conversation; returns the answer and a header that says what it is."""
    unknown = asked.keys() - _PARAMETERS
    if unknown:
        raise Refusal(f"Unrecognized request argument supplied: {min(unknown)}")
    if asked.get("stream_options") is not None and not asked.get("stream"):
        raise Refusal(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    name = str(asked.get("model"))
    turns = list(_turns(asked.get("messages")))
    text, label = _spoken(project, name, turns)
    reason = "stop"
    forced = forced_message(asked, turns, text)
    stops = asked.get("stop") or ()
    for stop in (stops,) if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    most = asked.get("max_completion_tokens") or asked.get("max_tokens")
    if isinstance(most, int) and _tokens(text) > most:
        text, reason = text[: 4 * (most - 1) + 3], "length"
    count = asked.get("n") or 1
    asked_tokens = sum(_tokens(text) for _, text in turns)
    answered = count * _tokens(text)
    if forced is None:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": [],
        }
    else:
        message, reason = forced
        label = f"simulated JSON; {label}"
    answer = {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(project.clock.now().timestamp()),
        "model": name,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
            for index in range(count)
        ],
        "usage": {
            "prompt_tokens": asked_tokens,
            "completion_tokens": answered,
            "total_tokens": asked_tokens + answered,
        },
        "service_tier": "default",
    }
    return answer, {LABEL: label}


def _spoken(project: Project, name: str, turns: list[tuple[str, str]]) -> tuple[str, str]:
    living = _living(project)
    if name in project.models:
        job = project.models[name]
        if job.base.customization_id not in living or job.memory is None:
            raise _missing(name)
        text, nearness = job.memory.answer("\n".join(text for _, text in turns))
        return text, f"nearest training answer; nearness={nearness:.2f}"
    if name not in living and name not in _OTHERS:
        raise _missing(name)
    return untrained(living[name].name if name in living else name, turns)


def _turns(messages: object) -> Iterator[tuple[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise Refusal("Invalid 'messages': expected a list that is not empty.", param="messages")
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            raise Refusal("Invalid 'messages': expected objects with a role.", param="messages")
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content)
        role = "system" if message["role"] == "developer" else str(message["role"])
        yield role, str(content)


def streamed(answer: Mapping[str, Any], *, has_usage: bool) -> list[bytes]:
    """Write an answer as the events of a stream, a word each.

    Args:
        answer: the answer.
        has_usage: end with an event that has the usage and no choices (`stream_options.include_usage`).
    """
    head = {name: answer[name] for name in ("id", "created", "model")}
    head |= {"object": "chat.completion.chunk"} | ({"usage": None} if has_usage else {})
    lines = [
        {
            **head,
            "choices": [
                {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": end}
            ],
        }
        for choice in answer["choices"]
        for delta, end in _deltas(choice)
    ]
    if has_usage:
        lines.append({**head, "choices": [], "usage": answer["usage"]})
    return [f"data: {json.dumps(line)}\n\n".encode() for line in lines] + [b"data: [DONE]\n\n"]


def _deltas(choice: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    message = choice["message"]
    calls = message.get("tool_calls", ())
    yield {"role": "assistant", "content": None if calls else "", "refusal": None}, None
    for index, call in enumerate(calls):
        function = call["function"]
        start = {"name": function["name"], "arguments": ""}
        yield {"tool_calls": [{**call, "index": index, "function": start}]}, None
        for piece in _WORD.findall(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    for piece in _WORD.findall(message["content"] or ""):
        yield {"content": piece}, None
    yield {}, choice["finish_reason"]


def _tokens(text: str) -> int:
    return len(text.encode()) // 4 + 1
