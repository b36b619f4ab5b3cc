"""Prompts and completions, independent of the operation and the model family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunestack_sandbox.bedrock.tool_choice import Tool, ToolUse


LATENCY_MS = 1
"""The simulated latency of an invocation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """The input of a model."""

    text: str
    max_tokens: int | None = None
    stop_sequences: Sequence[str] = ()
    turns: Sequence[tuple[str, str]] = ()
    """The conversation as (role, text), if there is one."""
    tool: Tool | None = None
    """The tool that the model must call."""

    def __post_init__(self) -> None:
        """Check the types: the service model does not describe the bodies of InvokeModel."""
        limit = self.max_tokens
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise TypeError(f"invalid number of tokens: {limit!r}")
        sequences = self.stop_sequences
        if isinstance(sequences, str) or not all(isinstance(text, str) for text in sequences):
            raise TypeError(f"invalid list of stop sequences: {sequences!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The output of a model."""

    text: str
    input_tokens: int
    output_tokens: int
    stop_reason: str
    """`end_turn`, `max_tokens`, `stop_sequence` or `tool_use`."""
    stop_sequence: str | None = None
    """The stop sequence that ended the text."""
    prompt: str = ""
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    tool_use: ToolUse | None = None
    """The tool call, if there is one instead of the text."""


def split_into_chunks(text: str) -> list[str]:
    """Split a text into the chunks of a stream: words with the space before them."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]
