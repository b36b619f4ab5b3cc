"""Every format by its name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tunestack.records.formats import chat, chat_writer, claude, converse, prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.records.conversation import Conversation


class SourceFormat(StrEnum):
    """The formats that data may come in: DSPy's own two by its names, then those that services read."""

    CHAT = "chat"
    """`{"messages": [{"role", "content"}]}`, with OpenAI's tools, parts and weights (`openai-chat`)"""
    COMPLETION = "completion"
    """`{"prompt", "completion"}` (`prompt-completion`)"""
    PREFERENCE = "preference"
    """`{"input": {"messages"}, "preferred_output", "non_preferred_output"}` (`openai-preference`)"""
    CONVERSE = "bedrock-conversation-2024"
    """`{"schemaVersion", "system", "messages": [{"role", "content": [{"text"}]}]}`"""
    MESSAGES = "messages"
    """`{"system": "...", "messages": [{"role", "content": "..."}]}` (Claude)"""
    INPUT_OUTPUT_TEXT = "input-output-text"
    """`{"inputText", "outputText"}` (Titan)"""

    @classmethod
    def _missing_(cls, value: object) -> SourceFormat | None:
        return _OTHER_NAMES.get(str(value))


_OTHER_NAMES = {
    "openai-chat": SourceFormat.CHAT,
    "prompt-completion": SourceFormat.COMPLETION,
    "openai-preference": SourceFormat.PREFERENCE,
}


@dataclass(frozen=True, slots=True)
class Format:
    """How records of a format are read and written."""

    read: Callable[..., Conversation]
    write: Callable[..., dict[str, Any] | None]
    keys: tuple[str, ...] = ("messages",)
    """Fields of which every record has one."""
    strict_turns: bool = True
    """Whether turns have to alternate, the user's first and the assistant's last."""
    text_only: bool = False
    """Whether a message is one text."""
    templated: bool = False
    """Whether several turns are written with a chat template."""


FORMATS: Mapping[SourceFormat, Format] = {
    SourceFormat.CHAT: Format(chat.read, chat_writer.write, strict_turns=False),
    SourceFormat.PREFERENCE: Format(
        chat.read_preference,
        chat_writer.write_preference,
        keys=("input", "preferred_output"),
        strict_turns=False,
    ),
    SourceFormat.COMPLETION: Format(
        prompt.reader("prompt", "completion"),
        prompt.writer("prompt", "completion"),
        keys=("prompt", "completion"),
        text_only=True,
        templated=True,
    ),
    SourceFormat.INPUT_OUTPUT_TEXT: Format(
        prompt.reader("inputText", "outputText"),
        prompt.writer("inputText", "outputText"),
        keys=("inputText", "outputText"),
        text_only=True,
        templated=True,
    ),
    SourceFormat.CONVERSE: Format(converse.read, converse.write),
    SourceFormat.MESSAGES: Format(claude.read, claude.write, text_only=True),
}


def told_by(record: Mapping[str, Any]) -> SourceFormat:
    """Tell the format of a record by its fields."""
    if "schemaVersion" in record:
        return SourceFormat.CONVERSE
    if "prompt" in record or "completion" in record:
        return SourceFormat.COMPLETION
    if "inputText" in record or "outputText" in record:
        return SourceFormat.INPUT_OUTPUT_TEXT
    if "preferred_output" in record or "non_preferred_output" in record:
        return SourceFormat.PREFERENCE
    if isinstance(record.get("system"), str):
        return SourceFormat.MESSAGES
    return SourceFormat.CHAT
