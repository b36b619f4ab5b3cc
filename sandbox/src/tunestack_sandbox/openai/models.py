"""Operations on models, and chat completions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack_sandbox.openai.state import LIST, ApiError, Project, new_id
from tunestack_sandbox.openai.tool_choice import build_forced_message, build_message
from tunestack_sandbox.simulated_models import LABEL, answer_untrained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel

_CREATED = 1_700_000_000
# Models that can't be fine-tuned: the successors of those that can.
_OTHER_MODELS = ("gpt-6-luna",)
_WORD = re.compile(r"\s*\S+|\s+$")
"""A chunk of a stream: a word with the space before it."""
_PARAMETERS = {
    *("model", "messages", "temperature", "top_p", "n", "stream", "stop", "max_tokens", "user"),
    *("max_completion_tokens", "presence_penalty", "frequency_penalty", "logit_bias", "seed"),
    *("logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "metadata", "store"),
    *("parallel_tool_calls", "service_tier", "stream_options", "reasoning_effort"),
    *("prompt_cache_key", "safety_identifier"),
}


def _list_base_models(project: Project) -> dict[str, BaseModel]:
    today = project.clock.now().date()
    return {
        name: model
        for model in CATALOG
        if model.provider == "openai" and model.lifecycle.state(today) is not LifecycleState.RETIRED
        for name in (model.customization_id, *model.aliases)
    }


def _describe_model(name: str, owner: str, created: int, end: object = None) -> dict[str, Any]:
    row = {"id": name, "object": "model", "created": created, "owned_by": owner}
    return row if end is None else row | {"shutdown_date": str(end)}


def _build_rows(project: Project) -> list[dict[str, Any]]:
    base_models = _list_base_models(project)
    return [
        *(
            _describe_model(name, "system", _CREATED, model.lifecycle.end_of_life)
            for name, model in base_models.items()
        ),
        *(_describe_model(name, "system", _CREATED) for name in _OTHER_MODELS),
        *(
            _describe_model(name, "sandbox", int((job.ended or job.created).timestamp()))
            for name, job in project.models.items()
            if job.base.customization_id in base_models
        ),
    ]


def list_models(project: Project) -> dict[str, Any]:
    """Handle listModels."""
    return {"object": LIST, "data": _build_rows(project)}


def retrieve_model(project: Project, name: str) -> dict[str, Any]:
    """Handle retrieveModel."""
    for row in _build_rows(project):
        if row["id"] == name:
            return row
    raise _build_not_found(name)


def delete_model(project: Project, name: str) -> dict[str, Any]:
    """Handle deleteModel, which deletes fine-tuned models only."""
    if name not in project.models:
        raise _build_not_found(name)
    del project.models[name]
    return {"id": name, "object": "model", "deleted": True}


def _build_not_found(name: str) -> ApiError:
    return ApiError(
        f"The model `{name}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
    )


def create_chat_completion(
    project: Project, body: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Handle createChatCompletion; return the completion, and a header that describes it."""
    unknown = body.keys() - _PARAMETERS
    if unknown:
        raise ApiError(f"Unrecognized request argument supplied: {min(unknown)}")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise ApiError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    name = str(body.get("model"))
    turns = list(_read_turns(body.get("messages")))
    answer, label = _find_answer(project, name, turns)
    forced = build_forced_message(body, turns, answer)
    text, reason = _truncate(answer, body)
    message = build_message(text)
    if forced is not None:
        message, reason = forced
        label = f"simulated JSON; {label}"
    count = body.get("n") or 1
    prompt_tokens = sum(_estimate_tokens(text) for _, text in turns)
    completion_tokens = count * _estimate_tokens(text)
    completion = {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(project.clock.now().timestamp()),
        "model": name,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
            for index in range(count)
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
        "service_tier": "default",
    }
    return completion, {LABEL: label}


def _truncate(text: str, body: Mapping[str, Any]) -> tuple[str, str]:
    """Truncate an answer at stop sequences and the token limit; return it with the finish reason."""
    stops = body.get("stop") or ()
    for stop in (stops,) if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int) and _estimate_tokens(text) > limit:
        return text[: 4 * (limit - 1) + 3], "length"
    return text, "stop"


def _find_answer(project: Project, name: str, turns: list[tuple[str, str]]) -> tuple[str, str]:
    """Return the answer of a model, and a label that describes it."""
    base_models = _list_base_models(project)
    if name in project.models:
        job = project.models[name]
        if job.base.customization_id not in base_models or job.answer_index is None:
            raise _build_not_found(name)
        text, similarity = job.answer_index.find_answer("\n".join(text for _, text in turns))
        return text, f"nearest training answer; nearness={similarity:.2f}"
    if name not in base_models and name not in _OTHER_MODELS:
        raise _build_not_found(name)
    return answer_untrained(base_models[name].name if name in base_models else name, turns)


def _read_turns(messages: object) -> Iterator[tuple[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise ApiError("Invalid 'messages': expected a list that is not empty.", param="messages")
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            raise ApiError("Invalid 'messages': expected objects with a role.", param="messages")
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content)
        role = "system" if message["role"] == "developer" else str(message["role"])
        yield role, str(content)


def build_stream(completion: Mapping[str, Any], *, has_usage: bool) -> list[bytes]:
    """Build the events of a stream, one for each word.

    Args:
        completion: The completion.
        has_usage: End with an event that has the usage and no choices (`stream_options.include_usage`).
    """
    head = {name: completion[name] for name in ("id", "created", "model")}
    head |= {"object": "chat.completion.chunk"} | ({"usage": None} if has_usage else {})
    lines = [
        {
            **head,
            "choices": [
                {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": end}
            ],
        }
        for choice in completion["choices"]
        for delta, end in _build_deltas(choice)
    ]
    if has_usage:
        lines.append({**head, "choices": [], "usage": completion["usage"]})
    return [f"data: {json.dumps(line)}\n\n".encode() for line in lines] + [b"data: [DONE]\n\n"]


def _build_deltas(choice: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    message = choice["message"]
    calls = message.get("tool_calls", ())
    yield {"role": "assistant", "content": None if calls else "", "refusal": None}, None
    for index, call in enumerate(calls):
        function = call["function"]
        start = {"name": function["name"], "arguments": ""}
        yield {"tool_calls": [{**call, "index": index, "function": start}]}, None
        for chunk in _WORD.findall(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": chunk}}]}, None
    for chunk in _WORD.findall(message["content"] or ""):
        yield {"content": chunk}, None
    yield {}, choice["finish_reason"]


def _estimate_tokens(text: str) -> int:
    return len(text.encode()) // 4 + 1
