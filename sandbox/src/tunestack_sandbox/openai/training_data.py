"""OpenAI's own look at a training file: plain and slow, by the rules that it documents.

Source: supervised-fine-tuning, vision-fine-tuning and direct-preference-optimization guides, openai-openapi (read 2026-11-22).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Pair = tuple[str, str]

_LEAST = 10
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_FIELDS = {"messages", "tools", "parallel_tool_calls", "functions"}
_MESSAGE = {
    *("role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call"),
    "refusal",
}
_PARTS = ("text", "image_url")
_PREFERENCE = {"input", "preferred_output", "non_preferred_output"}


class BadFileError(Exception):
    """The job fails on the file; has OpenAI's code and text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read(content: bytes, name: str, method: str, *, training: bool) -> tuple[int, list[Pair]]:
    """Read a training or validation file; returns how many records it has, and the pairs of question and answer in them.

    Raises:
        BadFileError: OpenAI would refuse the file.
    """
    what = "training" if training else "validation"
    if not content.strip():
        raise BadFileError(f"invalid_{what}_file", f"The {what} file {name} is empty.")
    read_row: Callable[[Any], Iterator[Pair]] = _preference if method == "dpo" else _chat
    pairs: list[Pair] = []
    lines = content.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            pairs += read_row(json.loads(line.decode("utf-8")))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError) as bad:
            why = f"{bad.args[0]!r} is missing" if isinstance(bad, KeyError) else str(bad)
            raise BadFileError(
                f"invalid_{what}_file",
                f"The job failed due to an invalid {what} file. Invalid file format. "
                f"Line {number}: {why}",
            ) from bad
    if training and len(lines) < _LEAST:
        raise BadFileError(
            "invalid_n_examples",
            f"Training file has {len(lines)} example(s), but must have at least {_LEAST} examples",
        )
    return len(lines), pairs


def _chat(row: Mapping[str, Any]) -> Iterator[Pair]:
    if not isinstance(row, dict) or row.keys() - _FIELDS:
        raise ValueError("unexpected keys")
    yield from _pairs(row["messages"])


def _pairs(messages: Any) -> Iterator[Pair]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list that is not empty")
    asked: list[str] = []
    answers = 0
    for message in messages:
        text = _text(message)
        if message["role"] == "assistant":
            answers += 1
            if message.get("weight", 1) not in (0, 1):
                raise ValueError("weight must be 0 or 1")
            if message.get("weight", 1) == 1:
                yield "\n".join(asked), text
        asked.append(text)
    if not answers:
        raise ValueError("expected a message with role 'assistant'")


def _text(message: Mapping[str, Any]) -> str:
    if message["role"] not in _ROLES or message.keys() - _MESSAGE:
        raise ValueError("unexpected role or keys in a message")
    if "weight" in message and message["role"] != "assistant":
        raise ValueError("only messages with role 'assistant' have a weight")
    content = message.get("content")
    if content is None and (message.get("tool_calls") or message.get("function_call")):
        return json.dumps(message.get("tool_calls") or message["function_call"], sort_keys=True)
    if isinstance(content, str):
        return content
    texts = []
    for part in content or ():
        if part["type"] not in _PARTS:
            raise ValueError(f"content of type {part['type']!r} is not supported")
        texts.append(
            part["text"] if part["type"] == "text" else f"[image {part['image_url']['url']}]"
        )
    if not texts:
        raise ValueError("content must not be empty")
    return "\n".join(texts)


def _preference(row: Mapping[str, Any]) -> Iterator[Pair]:
    if not isinstance(row, dict) or row.keys() != _PREFERENCE:
        raise ValueError(f"expected {sorted(_PREFERENCE)}")
    asked = [_text(message) for message in row["input"]["messages"]]
    (preferred,), (other,) = row["preferred_output"], row["non_preferred_output"]
    if (preferred["role"], other["role"]) != ("assistant", "assistant"):
        raise ValueError("outputs must be messages with role 'assistant'")
    _text(other)
    yield "\n".join(asked), _text(preferred)
