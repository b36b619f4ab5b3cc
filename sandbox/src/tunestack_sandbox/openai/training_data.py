"""OpenAI's validation of training files, by the rules that OpenAI documents. It shares no code with the SDK's validation.

Source: supervised-fine-tuning, vision-fine-tuning and direct-preference-optimization guides, openai-openapi (read 2026-11-22).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Pair = tuple[str, str]

_MIN_EXAMPLES = 10
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_ROW_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
_MESSAGE_KEYS = {
    *("role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call"),
    "refusal",
}
_PART_TYPES = ("text", "image_url")
_PREFERENCE_KEYS = {"input", "preferred_output", "non_preferred_output"}


class InvalidFileError(Exception):
    """A training file is invalid. Has OpenAI's code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse_training_file(
    content: bytes, name: str, method: str, *, is_training: bool
) -> tuple[int, list[Pair]]:
    """Return the number of records in a training or validation file, and their prompts and completions.

    Raises:
        InvalidFileError: The file is invalid.
    """
    kind = "training" if is_training else "validation"
    if not content.strip():
        raise InvalidFileError(f"invalid_{kind}_file", f"The {kind} file {name} is empty.")
    parse_row: Callable[[Any], Iterator[Pair]] = (
        _parse_preference if method == "dpo" else _parse_chat
    )
    pairs: list[Pair] = []
    lines = content.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            pairs += parse_row(json.loads(line.decode("utf-8")))
        except (
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
            IndexError,
            RecursionError,
        ) as error:
            is_missing = isinstance(error, KeyError)
            problem = f"{error.args[0]!r} is missing" if is_missing else str(error)
            raise InvalidFileError(
                f"invalid_{kind}_file",
                f"The job failed due to an invalid {kind} file. Invalid file format. "
                f"Line {number}: {problem}",
            ) from error
    if is_training and len(lines) < _MIN_EXAMPLES:
        raise InvalidFileError(
            "invalid_n_examples",
            f"Training file has {len(lines)} example(s), but must have at least "
            f"{_MIN_EXAMPLES} examples",
        )
    return len(lines), pairs


def _parse_chat(row: Mapping[str, Any]) -> Iterator[Pair]:
    if not isinstance(row, dict) or row.keys() - _ROW_KEYS:
        raise ValueError("unexpected keys")
    yield from _parse_messages(row["messages"])


def _parse_messages(messages: Any) -> Iterator[Pair]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list that is not empty")
    prompt: list[str] = []
    has_answer = False
    for message in messages:
        text = _parse_text(message)
        if message["role"] == "assistant":
            has_answer = True
            if message.get("weight", 1) not in (0, 1):
                raise ValueError("weight must be 0 or 1")
            if message.get("weight", 1) == 1:
                yield "\n".join(prompt), text
        prompt.append(text)
    if not has_answer:
        raise ValueError("expected a message with role 'assistant'")


def _parse_text(message: Mapping[str, Any]) -> str:
    if message["role"] not in _ROLES or message.keys() - _MESSAGE_KEYS:
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
        if part["type"] not in _PART_TYPES:
            raise ValueError(f"content of type {part['type']!r} is not supported")
        texts.append(
            part["text"] if part["type"] == "text" else f"[image {part['image_url']['url']}]"
        )
    if not texts:
        raise ValueError("content must not be empty")
    return "\n".join(texts)


def _parse_preference(row: Mapping[str, Any]) -> Iterator[Pair]:
    if not isinstance(row, dict) or row.keys() != _PREFERENCE_KEYS:
        raise ValueError(f"expected {sorted(_PREFERENCE_KEYS)}")
    prompt = [_parse_text(message) for message in row["input"]["messages"]]
    (preferred,), (other,) = row["preferred_output"], row["non_preferred_output"]
    if (preferred["role"], other["role"]) != ("assistant", "assistant"):
        raise ValueError("outputs must be messages with role 'assistant'")
    _parse_text(other)
    yield "\n".join(prompt), _parse_text(preferred)
