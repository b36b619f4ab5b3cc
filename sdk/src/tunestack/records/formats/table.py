"""The reader and writer of each format, and the detection of a record's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tunestack.catalog import RecordFormat
from tunestack.records.formats import chat, chat_writer, claude, converse, prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.records.conversation import Conversation


class Format(msgspec.Struct, frozen=True):
    """The reader and writer of a format."""

    read: Callable[..., Conversation]
    write: Callable[..., dict[str, Any] | None]
    keys: tuple[str, ...] = ("messages",)
    """Fields of which every record has at least one."""
    has_strict_turns: bool = True
    """Whether user and assistant must alternate, the user first and the assistant last."""
    is_text_only: bool = False
    """Whether a message has one text and nothing else."""
    is_templated: bool = False
    """Whether several messages are written with a chat template."""


FORMATS: Mapping[RecordFormat, Format] = {
    RecordFormat.CHAT: Format(chat.read, chat_writer.write, has_strict_turns=False),
    RecordFormat.COMPLETION: Format(
        prompt.reader("prompt", "completion"),
        prompt.writer("prompt", "completion"),
        keys=("prompt", "completion"),
        is_text_only=True,
        is_templated=True,
    ),
    RecordFormat.PREFERENCE: Format(
        chat.read_preference,
        chat_writer.write_preference,
        keys=("input", "preferred_output"),
        has_strict_turns=False,
    ),
    RecordFormat.INPUT_OUTPUT_TEXT: Format(
        prompt.reader("inputText", "outputText"),
        prompt.writer("inputText", "outputText"),
        keys=("inputText", "outputText"),
        is_text_only=True,
        is_templated=True,
    ),
    RecordFormat.CONVERSE: Format(converse.read, converse.write),
    RecordFormat.MESSAGES: Format(claude.read, claude.write, is_text_only=True),
}


def detect_format(record: Mapping[str, Any]) -> RecordFormat:
    """Return the format of a record by its fields."""
    if "schemaVersion" in record or converse.has_structures(record):
        return RecordFormat.CONVERSE
    if "prompt" in record or "completion" in record:
        return RecordFormat.COMPLETION
    if "inputText" in record or "outputText" in record:
        return RecordFormat.INPUT_OUTPUT_TEXT
    if "preferred_output" in record or "non_preferred_output" in record:
        return RecordFormat.PREFERENCE
    if isinstance(record.get("system"), str):
        return RecordFormat.MESSAGES
    return RecordFormat.CHAT
