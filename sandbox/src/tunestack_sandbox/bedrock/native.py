"""The request and answer bodies of InvokeModel, which differ by family.

Source: user guide, model-parameters-*, and the Nova user guide's request schema (read 2026-11-22).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.tools import forced_tool
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tunestack_sandbox.bedrock.tools import Tool, ToolUse


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is asked of a model, whichever operation asks."""

    text: str
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    turns: Sequence[tuple[str, str]] = ()
    """The conversation, (role, text), where there is one."""
    tool: Tool | None = None
    """The tool that the model has to call."""

    def __post_init__(self) -> None:
        """Refuse what is of another type: a body is read by nobody before."""
        most = self.max_tokens
        if most is not None and (not isinstance(most, int) or most < 1):
            raise TypeError(f"{most!r} is no number of tokens")
        if isinstance(self.stop, str) or not all(isinstance(text, str) for text in self.stop):
            raise TypeError(f"{self.stop!r} is no list of stop sequences")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """What a model answers."""

    text: str
    asked: int
    """Tokens of the question."""
    answered: int
    """Tokens of the answer."""
    reason: str
    """Why it ends: `end_turn`, `max_tokens`, `stop_sequence` or `tool_use`."""
    stop: str | None = None
    """The stop sequence that ended it."""
    question: str = ""
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    tool: ToolUse | None = None
    """The call of a tool, instead of the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """How a family writes."""

    ask: Callable[[Mapping[str, Any]], Question]
    answer: Callable[[Spoken], Mapping[str, Any]]
    stream: Callable[[Spoken], list[Mapping[str, Any]]]


def body_of(vendor: str, family: str) -> Body:
    """Tell how a family writes."""
    return _TITAN if family.startswith("titan") else _BODIES[vendor]


def question(content: bytes, body: Body) -> Question:
    """Read the body of a request.

    Raises:
        Fault: it is not as the family writes it.
    """
    try:
        return body.ask(json.loads(content))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Fault(
            "ValidationException",
            f"Malformed input request: {error}, please reformat your input and try again.",
        ) from error


def converse_question(params: Mapping[str, Any]) -> Question:
    """Read what Converse, or Nova's body, which is alike, asks.

    Raises:
        Fault: its turns are not in order.
    """
    _check_turns(params.get("messages", ()))
    blocks = [
        *params.get("system", ()),
        *(block for message in params["messages"] for block in message["content"]),
    ]
    config = params.get("inferenceConfig", {})
    return Question(
        text=_joined(blocks),
        turns=[
            ("system", _joined(params.get("system", ()))),
            *((message["role"], _joined(message["content"])) for message in params["messages"]),
        ],
        max_tokens=config.get("maxTokens", config.get("max_new_tokens")),
        stop=config.get("stopSequences", ()),
        tool=forced_tool(params),
    )


def _joined(blocks: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(block["text"] for block in blocks if "text" in block)


def _check_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse turns that are out of order or empty, in AWS's words.

    Raises:
        Fault: they are.
    """
    roles = [message["role"] for message in messages]
    problem = None
    if not roles or roles[0] != "user":
        problem = (
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )
    elif any(role == after for role, after in pairwise(roles)):
        problem = (
            "A conversation must alternate between user and assistant roles. Make sure the "
            "conversation alternates between user and assistant roles and try again."
        )
    for turn, message in enumerate(messages):
        if not isinstance(message["content"], list):
            raise TypeError("content is no list of blocks")
        if not message["content"]:
            problem = problem or (
                f"The content field in the Message object at messages.{turn} is empty. "
                "Add a ContentBlock object to the content field and try again."
            )
        for place, block in enumerate(message["content"]):
            if not str(block.get("text", "-")).strip():
                problem = problem or (
                    f"The text field in the ContentBlock object at messages.{turn}.content.{place} "
                    "is blank. Add text to the text field, and try again."
                )
    if problem is not None:
        raise Fault("ValidationException", problem)


def converse_answer(spoken: Spoken) -> dict[str, Any]:
    """Write what Converse, and Nova's body, answer."""
    tool = spoken.tool
    block: dict[str, Any] = {"text": spoken.text}
    if tool is not None:
        block = {"toolUse": {"toolUseId": tool.id, "name": tool.name, "input": tool.input}}
    return {
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": spoken.reason,
        "usage": _usage(spoken),
    }


def converse_stream(spoken: Spoken) -> list[Mapping[str, Any]]:
    """Write the events of ConverseStream, and of Nova's stream."""
    return [
        {"messageStart": {"role": "assistant"}},
        *_content(spoken),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": spoken.reason}},
        {"metadata": {"usage": _usage(spoken), "metrics": {"latencyMs": 1}}},
    ]


def _content(spoken: Spoken) -> list[Mapping[str, Any]]:
    """Write the events of the content."""
    tool = spoken.tool
    start: list[Mapping[str, Any]] = []
    deltas: list[Mapping[str, Any]] = [{"text": piece} for piece in pieces(spoken.text)]
    if tool is not None:
        named = {"toolUse": {"toolUseId": tool.id, "name": tool.name}}
        start = [{"contentBlockStart": {"start": named, "contentBlockIndex": 0}}]
        deltas = [{"toolUse": {"input": piece}} for piece in pieces(json.dumps(tool.input))]
    return [
        *start,
        *({"contentBlockDelta": {"delta": delta, "contentBlockIndex": 0}} for delta in deltas),
    ]


def pieces(text: str) -> list[str]:
    """Cut a text into what a stream brings at a time: a word with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def _usage(spoken: Spoken) -> dict[str, int]:
    return {
        "inputTokens": spoken.asked,
        "outputTokens": spoken.answered,
        "totalTokens": spoken.asked + spoken.answered,
    }


def _ask_nova(body: Mapping[str, Any]) -> Question:
    return converse_question({**body, "messages": body["messages"]})


def _ask_llama(body: Mapping[str, Any]) -> Question:
    return Question(text=_text(body["prompt"]), max_tokens=body.get("max_gen_len"))


def _llama(spoken: Spoken) -> dict[str, Any]:
    return {
        "generation": spoken.text,
        "prompt_token_count": spoken.asked,
        "generation_token_count": spoken.answered,
        "stop_reason": "length" if spoken.reason == "max_tokens" else "stop",
    }


def _llama_stream(spoken: Spoken) -> list[Mapping[str, Any]]:
    *first, last = pieces(spoken.text)
    open_end = {"prompt_token_count": None, "generation_token_count": None, "stop_reason": None}
    return [
        *({**open_end, "generation": piece} for piece in first),
        {**_llama(spoken), "generation": last},
    ]


def _ask_claude(body: Mapping[str, Any]) -> Question:
    _text(body["anthropic_version"])
    texts = [_claude_text(body["system"])] if "system" in body else []
    texts += [_claude_text(message["content"]) for message in body["messages"]]
    return Question(
        text="\n".join(texts),
        max_tokens=body["max_tokens"],
        stop=body.get("stop_sequences", ()),
    )


def _claude_text(content: str | Iterable[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def _claude(spoken: Spoken) -> dict[str, Any]:
    return {
        "id": "msg_bdrk_sandbox",
        "type": "message",
        "role": "assistant",
        "model": spoken.model,
        "content": [{"type": "text", "text": spoken.text}],
        "stop_reason": spoken.reason,
        "stop_sequence": spoken.stop,
        "usage": {"input_tokens": spoken.asked, "output_tokens": spoken.answered},
    }


def _claude_stream(spoken: Spoken) -> list[Mapping[str, Any]]:
    start = {**_claude(spoken), "content": [], "stop_reason": None}
    delta = {"stop_reason": spoken.reason, "stop_sequence": spoken.stop}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }
            for piece in pieces(spoken.text)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": spoken.answered}},
        {"type": "message_stop"},
    ]


def _ask_titan(body: Mapping[str, Any]) -> Question:
    config = body.get("textGenerationConfig", {})
    return Question(
        text=_text(body["inputText"]),
        max_tokens=config.get("maxTokenCount"),
        stop=config.get("stopSequences", ()),
    )


_TITAN_REASONS = {"max_tokens": "LENGTH", "stop_sequence": "STOP_CRITERIA_MET"}


def _titan(spoken: Spoken) -> dict[str, Any]:
    reason = _TITAN_REASONS.get(spoken.reason, "FINISH")
    return {
        "inputTextTokenCount": spoken.asked,
        "results": [
            {
                "tokenCount": spoken.answered,
                "outputText": spoken.text,
                "completionReason": reason,
            }
        ],
    }


def _titan_stream(spoken: Spoken) -> list[Mapping[str, Any]]:
    *first, last = pieces(spoken.text)
    common = {"index": 0, "inputTextTokenCount": spoken.asked}
    total, reason = spoken.answered, _TITAN_REASONS.get(spoken.reason, "FINISH")
    return [
        *(
            {
                **common,
                "outputText": piece,
                "totalOutputTextTokenCount": None,
                "completionReason": None,
            }
            for piece in first
        ),
        {
            **common,
            "outputText": last,
            "totalOutputTextTokenCount": total,
            "completionReason": reason,
        },
    ]


def _ask_cohere(body: Mapping[str, Any]) -> Question:
    return Question(
        text=_text(body["prompt"]),
        max_tokens=body.get("max_tokens"),
        stop=body.get("stop_sequences", ()),
    )


def _cohere(spoken: Spoken) -> dict[str, Any]:
    reason = "MAX_TOKENS" if spoken.reason == "max_tokens" else "COMPLETE"
    return {
        "id": "sandbox",
        "prompt": spoken.question,
        "generations": [{"id": "sandbox", "text": spoken.text, "finish_reason": reason}],
    }


def _cohere_stream(spoken: Spoken) -> list[Mapping[str, Any]]:
    (whole,) = _cohere(spoken)["generations"]
    return [
        *({"text": piece, "is_finished": False} for piece in pieces(spoken.text)),
        {"is_finished": True, "finish_reason": whole["finish_reason"]},
    ]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value


_TITAN = Body(ask=_ask_titan, answer=_titan, stream=_titan_stream)
_BODIES = {
    "amazon": Body(ask=_ask_nova, answer=converse_answer, stream=converse_stream),
    "anthropic": Body(ask=_ask_claude, answer=_claude, stream=_claude_stream),
    "cohere": Body(ask=_ask_cohere, answer=_cohere, stream=_cohere_stream),
    "meta": Body(ask=_ask_llama, answer=_llama, stream=_llama_stream),
}
