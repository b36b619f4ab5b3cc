"""What a record says, in no vendor's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class Text(msgspec.Struct, frozen=True):
    """A piece of text."""

    text: str


class Media(msgspec.Struct, frozen=True):
    """An image, a video or a recording, by reference or inside the record."""

    kind: str
    """`image`, `video` or `audio`."""
    format: str
    """`png`, `jpeg`, `mp4`, ...; empty where neither the record nor the name tells."""
    uri: str
    """`s3://`, `https://`, or the content itself as `data:`; whatever else a record says is kept for the rules."""
    owner: str | None = None
    """The account that owns the bucket of an `s3://` URI."""
    detail: str | None = None
    """How closely OpenAI is to look: `low`, `high` or `auto`."""


class ToolUse(msgspec.Struct, frozen=True):
    """The assistant calls a tool."""

    id: str
    name: str
    input: Any
    """The arguments, an object."""
    arguments: str | None = None
    """The arguments as they are written, where they are a text: the model learns to write them so."""


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool answered."""

    id: str
    content: tuple[Any, ...]
    """Texts, and other values for JSON."""
    name: str | None = None
    status: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """What the assistant thinks before it answers."""

    text: str


Block = Text | Media | ToolUse | ToolResult | Reasoning


class Turn(msgspec.Struct, frozen=True):
    """One message: who speaks, and what."""

    role: str
    """`system`, `user` or `assistant`; the results of tools are the user's."""
    blocks: tuple[Block, ...]
    at: str
    """Where it stands in its record, as a JSON path."""
    name: str | None = None
    weight: int | None = None
    """0 if the assistant's answer is not to be learned."""


class Tool(msgspec.Struct, frozen=True):
    """A tool that the assistant may call."""

    name: str
    description: str | None
    schema: Any
    """JSON schema of its arguments; `None` if there is none."""
    strict: bool | None = None


class Conversation(msgspec.Struct, frozen=True):
    """A record: the turns, the tools that were there, and for preferences the two answers."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    parallel_tool_calls: bool | None = None
    preferred: tuple[Turn, ...] = ()
    """The answer that is to be learned, where a record holds two."""
    rejected: tuple[Turn, ...] = ()

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """Every turn, the two answers too."""
        return (*self.turns, *self.preferred, *self.rejected)

    def changed(self, change: Callable[[Turn], Turn]) -> Conversation:
        """Change every turn; the same conversation if none is changed."""
        turns, preferred, rejected = (
            tuple(map(change, some)) for some in (self.turns, self.preferred, self.rejected)
        )
        if (turns, preferred, rejected) == (self.turns, self.preferred, self.rejected):
            return self
        return Conversation(turns, self.tools, self.parallel_tool_calls, preferred, rejected)
