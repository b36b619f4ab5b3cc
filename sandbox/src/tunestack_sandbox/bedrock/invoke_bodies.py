"""The request and response bodies of InvokeModel, which differ by model family.

Source: user guide, model-parameters-*, and the Nova user guide's request schema (read 2026-11-22).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock import converse_messages
from tunestack_sandbox.bedrock.completions import Completion, Prompt, split_into_chunks
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyFormat:
    """The bodies of a model family."""

    read_prompt: Callable[[Mapping[str, Any]], Prompt]
    build_response: Callable[[Completion], Mapping[str, Any]]
    build_stream: Callable[[Completion], list[Mapping[str, Any]]]


def find_body_format(publisher: str, family: str) -> BodyFormat:
    """Return the body format of a model family."""
    return _TITAN if family.startswith("titan") else _FORMATS[publisher]


def read_prompt(content: bytes, body_format: BodyFormat) -> Prompt:
    """Read the prompt from the body of a request.

    Raises:
        ServiceError: The body does not have the format of the family.
    """
    try:
        return body_format.read_prompt(json.loads(content))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ServiceError(
            "ValidationException",
            f"Malformed input request: {error}, please reformat your input and try again.",
        ) from error


def _read_nova(body: Mapping[str, Any]) -> Prompt:
    return converse_messages.read_prompt({**body, "messages": body["messages"]})


def _read_llama(body: Mapping[str, Any]) -> Prompt:
    return Prompt(text=_require_text(body["prompt"]), max_tokens=body.get("max_gen_len"))


def _build_llama(completion: Completion) -> dict[str, Any]:
    return {
        "generation": completion.text,
        "prompt_token_count": completion.input_tokens,
        "generation_token_count": completion.output_tokens,
        "stop_reason": "length" if completion.stop_reason == "max_tokens" else "stop",
    }


def _build_llama_stream(completion: Completion) -> list[Mapping[str, Any]]:
    *first, last = split_into_chunks(completion.text)
    empty = {"prompt_token_count": None, "generation_token_count": None, "stop_reason": None}
    return [
        *({**empty, "generation": chunk} for chunk in first),
        {**_build_llama(completion), "generation": last},
    ]


def _read_claude(body: Mapping[str, Any]) -> Prompt:
    _require_text(body["anthropic_version"])
    texts = [_read_claude_text(body["system"])] if "system" in body else []
    texts += [_read_claude_text(message["content"]) for message in body["messages"]]
    return Prompt(
        text="\n".join(texts),
        max_tokens=body["max_tokens"],
        stop_sequences=body.get("stop_sequences", ()),
    )


def _read_claude_text(content: str | Iterable[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def _build_claude(completion: Completion) -> dict[str, Any]:
    return {
        "id": "msg_bdrk_sandbox",
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": [{"type": "text", "text": completion.text}],
        "stop_reason": completion.stop_reason,
        "stop_sequence": completion.stop_sequence,
        "usage": {
            "input_tokens": completion.input_tokens,
            "output_tokens": completion.output_tokens,
        },
    }


def _build_claude_stream(completion: Completion) -> list[Mapping[str, Any]]:
    start = {**_build_claude(completion), "content": [], "stop_reason": None}
    end = {"stop_reason": completion.stop_reason, "stop_sequence": completion.stop_sequence}
    usage = {"output_tokens": completion.output_tokens}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": chunk},
            }
            for chunk in split_into_chunks(completion.text)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": usage},
        {"type": "message_stop"},
    ]


def _read_titan(body: Mapping[str, Any]) -> Prompt:
    config = body.get("textGenerationConfig", {})
    return Prompt(
        text=_require_text(body["inputText"]),
        max_tokens=config.get("maxTokenCount"),
        stop_sequences=config.get("stopSequences", ()),
    )


_TITAN_REASONS = {"max_tokens": "LENGTH", "stop_sequence": "STOP_CRITERIA_MET"}


def _build_titan(completion: Completion) -> dict[str, Any]:
    reason = _TITAN_REASONS.get(completion.stop_reason, "FINISH")
    return {
        "inputTextTokenCount": completion.input_tokens,
        "results": [
            {
                "tokenCount": completion.output_tokens,
                "outputText": completion.text,
                "completionReason": reason,
            }
        ],
    }


def _build_titan_stream(completion: Completion) -> list[Mapping[str, Any]]:
    *first, last = split_into_chunks(completion.text)
    common = {"index": 0, "inputTextTokenCount": completion.input_tokens}
    empty = {"totalOutputTextTokenCount": None, "completionReason": None}
    end = {
        "totalOutputTextTokenCount": completion.output_tokens,
        "completionReason": _TITAN_REASONS.get(completion.stop_reason, "FINISH"),
    }
    return [
        *({**common, "outputText": chunk, **empty} for chunk in first),
        {**common, "outputText": last, **end},
    ]


def _read_cohere(body: Mapping[str, Any]) -> Prompt:
    return Prompt(
        text=_require_text(body["prompt"]),
        max_tokens=body.get("max_tokens"),
        stop_sequences=body.get("stop_sequences", ()),
    )


def _build_cohere(completion: Completion) -> dict[str, Any]:
    reason = "MAX_TOKENS" if completion.stop_reason == "max_tokens" else "COMPLETE"
    return {
        "id": "sandbox",
        "prompt": completion.prompt,
        "generations": [{"id": "sandbox", "text": completion.text, "finish_reason": reason}],
    }


def _build_cohere_stream(completion: Completion) -> list[Mapping[str, Any]]:
    (generation,) = _build_cohere(completion)["generations"]
    return [
        *({"text": chunk, "is_finished": False} for chunk in split_into_chunks(completion.text)),
        {"is_finished": True, "finish_reason": generation["finish_reason"]},
    ]


def _require_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value


_TITAN = BodyFormat(
    read_prompt=_read_titan, build_response=_build_titan, build_stream=_build_titan_stream
)
_FORMATS = {
    "amazon": BodyFormat(
        read_prompt=_read_nova,
        build_response=converse_messages.build_response,
        build_stream=converse_messages.build_stream,
    ),
    "anthropic": BodyFormat(
        read_prompt=_read_claude, build_response=_build_claude, build_stream=_build_claude_stream
    ),
    "cohere": BodyFormat(
        read_prompt=_read_cohere, build_response=_build_cohere, build_stream=_build_cohere_stream
    ),
    "meta": BodyFormat(
        read_prompt=_read_llama, build_response=_build_llama, build_stream=_build_llama_stream
    ),
}
