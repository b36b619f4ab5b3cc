"""Models, and what they answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack.sandbox.answers import LABEL, untrained
from tunestack.sandbox.openai.state import LIST, Project, Refusal, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel

_BORN = 1_700_000_000
# There for everybody, and not to be tuned: what follows the models that can be.
_OTHERS = ("gpt-6-luna",)
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
    name = str(asked.get("model"))
    turns = list(_turns(asked.get("messages")))
    text, label = _spoken(project, name, turns)
    reason = "stop"
    stops = asked.get("stop") or ()
    for stop in (stops,) if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    most = asked.get("max_completion_tokens") or asked.get("max_tokens")
    if isinstance(most, int) and _tokens(text) > most:
        text, reason = text[: 4 * (most - 1) + 3], "length"
    count = asked.get("n") or 1
    asked_tokens = sum(_tokens(text) for _, text in turns)
    answered = count * _tokens(text)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": [],
    }
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


def streamed(answer: Mapping[str, Any]) -> bytes:
    """Write an answer as a stream of events, of one piece."""
    head = {name: answer[name] for name in ("id", "created", "model")}
    pieces = [
        {"delta": {"role": "assistant", "content": choice["message"]["content"]}, "end": None}
        for choice in answer["choices"]
    ] + [{"delta": {}, "end": choice["finish_reason"]} for choice in answer["choices"]]
    lines = [
        {
            **head,
            "object": "chat.completion.chunk",
            "choices": [
                {
                    "index": number % len(answer["choices"]),
                    "delta": piece["delta"],
                    "finish_reason": piece["end"],
                }
            ],
        }
        for number, piece in enumerate(pieces)
    ]
    return "".join(f"data: {json.dumps(line)}\n\n" for line in lines).encode() + b"data: [DONE]\n\n"


def _tokens(text: str) -> int:
    return len(text.encode()) // 4 + 1
