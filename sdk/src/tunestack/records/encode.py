"""Write a conversation in a model's own record format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.catalog import RecordFormat
from tunestack.errors import DataError
from tunestack.records.read import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.records.conversation import Conversation

    Encoder = Callable[[Conversation, int], "dict[str, Any] | Problem"]


def encoder(record_format: RecordFormat) -> Encoder:
    """Find the function that writes a format.

    Raises:
        DataError: this version can't write the format.
    """
    try:
        return _ENCODERS[record_format]
    except KeyError:
        raise DataError(
            f"this version can't write the record format {record_format.value!r}: "
            f"it writes {', '.join(_ENCODERS)}"
        ) from None


def _converse(conversation: Conversation, _line: int) -> dict[str, Any]:
    record: dict[str, Any] = {"schemaVersion": "bedrock-conversation-2024"}
    if conversation.system:
        record["system"] = [{"text": text} for text in conversation.system]
    record["messages"] = [
        {"role": turn.role, "content": [{"text": text} for text in turn.texts]}
        for turn in conversation.turns
    ]
    return record


def _prompt_completion(conversation: Conversation, line: int) -> dict[str, Any] | Problem:
    if conversation.system:
        return Problem(
            line=line,
            field="messages[0]",
            message="a system prompt would be lost: this model's records hold one prompt and one completion",
        )
    if len(conversation.turns) != 2:
        return Problem(
            line=line,
            field="messages",
            message=f"{len(conversation.turns)} turns, "
            "expected 2: this model's records hold one prompt and one completion",
        )
    prompt, completion = conversation.turns
    if len(prompt.texts) > 1 or len(completion.texts) > 1:
        return Problem(
            line=line,
            field="messages",
            message="several pieces of text in one message, expected one string",
        )
    return {"prompt": prompt.texts[0], "completion": completion.texts[0]}


_ENCODERS: Mapping[RecordFormat, Encoder] = {
    RecordFormat.CONVERSE: _converse,
    RecordFormat.PROMPT_COMPLETION: _prompt_completion,
}
