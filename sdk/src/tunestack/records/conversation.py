"""The content of a record, independent of its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Text(msgspec.Struct, frozen=True):
    """A block of text."""

    text: str


class Media(msgspec.Struct, frozen=True):
    """An image, a video or audio, by reference or inline."""

    kind: str
    """`image`, `video` or `audio`."""
    format: str
    """`png`, `jpeg`, `mp4`, ...; empty if neither the record nor the file name has it."""
    uri: str
    """`s3://`, `https://`, or inline as `data:`. Other values are kept for the rules."""
    owner: str | None = None
    """AWS account that owns the bucket of an `s3://` URI."""
    detail: str | None = None
    """Level of detail at OpenAI: `low`, `high` or `auto`."""


class ToolUse(msgspec.Struct, frozen=True):
    """A tool call of the assistant."""

    id: str
    name: str
    input: Any
    """The arguments, an object."""
    arguments: str | None = None
    """The arguments as the string that the record has, if it has one: the model learns to write it."""


class ToolResult(msgspec.Struct, frozen=True):
    """The result of a tool call."""

    id: str
    content: tuple[Any, ...]
    """`Text` blocks, and other values that are JSON."""
    name: str | None = None
    status: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """Reasoning of the assistant before its answer."""

    text: str


Block = Text | Media | ToolUse | ToolResult | Reasoning


class Turn(msgspec.Struct, frozen=True):
    """One message."""

    role: str
    """`system`, `user` or `assistant`. Tool results are part of the user's turn."""
    blocks: tuple[Block, ...]
    path: str
    """JSON path in the record."""
    name: str | None = None
    weight: int | None = None
    """0 if the model does not learn the message."""


class Tool(msgspec.Struct, frozen=True):
    """A tool that the assistant can call."""

    name: str
    description: str | None
    schema: Any
    """JSON schema of the arguments, or `None`."""
    strict: bool | None = None


class Conversation(msgspec.Struct, frozen=True):
    """A record: its turns, its tools, and for preference data its two answers."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    parallel_tool_calls: bool | None = None
    preferred: tuple[Turn, ...] = ()
    """The preferred answer of a record of preference data."""
    rejected: tuple[Turn, ...] = ()

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """All turns, including the two answers of preference data."""
        return (*self.turns, *self.preferred, *self.rejected)

    def blocks(self) -> Iterator[tuple[Turn, Block]]:
        """Return every block with its turn."""
        return ((turn, block) for turn in self.all_turns for block in turn.blocks)

    def map_turns(self, change: Callable[[Turn], Turn]) -> Conversation:
        """Apply a function to every turn. Returns the same object if nothing changes."""
        turns, preferred, rejected = (
            tuple(map(change, some)) for some in (self.turns, self.preferred, self.rejected)
        )
        if (turns, preferred, rejected) == (self.turns, self.preferred, self.rejected):
            return self
        return Conversation(turns, self.tools, self.parallel_tool_calls, preferred, rejected)


def from_messages(messages: Sequence[Mapping[str, str]]) -> Conversation:
    """Return the conversation of messages of text: `{"role", "content"}`."""
    return Conversation(
        tuple(
            Turn(message["role"], (Text(message["content"]),), f"$.messages[{index}]")
            for index, message in enumerate(messages)
        )
    )
