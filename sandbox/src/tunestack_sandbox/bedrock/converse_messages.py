"""The messages of Converse, and of Nova's InvokeModel body, which has the same form."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.completions import (
    LATENCY_MS,
    Completion,
    Prompt,
    split_into_chunks,
)
from tunestack_sandbox.bedrock.tool_choice import find_forced_tool
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def read_prompt(params: Mapping[str, Any]) -> Prompt:
    """Read the prompt from the parameters of Converse, or from Nova's body.

    Raises:
        ServiceError: The turns are out of order, or a message is empty.
    """
    _check_messages(params.get("messages", ()))
    blocks = [
        *params.get("system", ()),
        *(block for message in params["messages"] for block in message["content"]),
    ]
    config = params.get("inferenceConfig", {})
    return Prompt(
        text=_join_text(blocks),
        turns=[
            ("system", _join_text(params.get("system", ()))),
            *((message["role"], _join_text(message["content"])) for message in params["messages"]),
        ],
        max_tokens=config.get("maxTokens", config.get("max_new_tokens")),
        stop_sequences=config.get("stopSequences", ()),
        tool=find_forced_tool(params),
    )


def _join_text(blocks: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(block["text"] for block in blocks if "text" in block)


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """Raise the first problem of the messages, with AWS's message."""
    for message in messages:
        if not isinstance(message["content"], list):
            raise TypeError("content is not a list of blocks")
    problem = next(_find_problems(messages), None)
    if problem is not None:
        raise ServiceError("ValidationException", problem)


def _find_problems(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user":
        yield (
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )
    if any(role == following for role, following in pairwise(roles)):
        yield (
            "A conversation must alternate between user and assistant roles. Make sure the "
            "conversation alternates between user and assistant roles and try again."
        )
    for number, message in enumerate(messages):
        if not message["content"]:
            yield (
                f"The content field in the Message object at messages.{number} is empty. "
                "Add a ContentBlock object to the content field and try again."
            )
        for position, block in enumerate(message["content"]):
            if not str(block.get("text", "-")).strip():
                yield (
                    "The text field in the ContentBlock object at "
                    f"messages.{number}.content.{position} is blank. "
                    "Add text to the text field, and try again."
                )


def build_response(completion: Completion) -> dict[str, Any]:
    """Build the response of Converse, or of Nova."""
    tool = completion.tool_use
    block: dict[str, Any] = {"text": completion.text}
    if tool is not None:
        block = {"toolUse": {"toolUseId": tool.id, "name": tool.name, "input": tool.input}}
    return {
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": completion.stop_reason,
        "usage": _build_usage(completion),
    }


def build_stream(completion: Completion) -> list[Mapping[str, Any]]:
    """Build the events of ConverseStream, or of Nova's stream."""
    return [
        {"messageStart": {"role": "assistant"}},
        *_build_content_events(completion),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": completion.stop_reason}},
        {"metadata": {"usage": _build_usage(completion), "metrics": {"latencyMs": LATENCY_MS}}},
    ]


def _build_content_events(completion: Completion) -> list[Mapping[str, Any]]:
    tool = completion.tool_use
    start: list[Mapping[str, Any]] = []
    deltas: list[Mapping[str, Any]] = [
        {"text": chunk} for chunk in split_into_chunks(completion.text)
    ]
    if tool is not None:
        tool_start = {"toolUse": {"toolUseId": tool.id, "name": tool.name}}
        start = [{"contentBlockStart": {"start": tool_start, "contentBlockIndex": 0}}]
        chunks = split_into_chunks(json.dumps(tool.input))
        deltas = [{"toolUse": {"input": chunk}} for chunk in chunks]
    return [
        *start,
        *({"contentBlockDelta": {"delta": delta, "contentBlockIndex": 0}} for delta in deltas),
    ]


def _build_usage(completion: Completion) -> dict[str, int]:
    return {
        "inputTokens": completion.input_tokens,
        "outputTokens": completion.output_tokens,
        "totalTokens": completion.input_tokens + completion.output_tokens,
    }
