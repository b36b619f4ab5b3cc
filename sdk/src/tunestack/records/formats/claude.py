"""Claude's format: a system prompt, and messages with one text each.

Source: user guide, model-customization-prepare; AWS's data_validation.py for Claude 3 Haiku (read 2026-11-22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.records.conversation import Conversation, Text, Turn
from tunestack.records.findings import quote
from tunestack.records.formats.converse import report_extras
from tunestack.records.formats.fields import (
    iterate_objects,
    report_message_fields,
    report_record_fields,
    require_text,
    without_nulls,
)
from tunestack.records.formats.prompt import one_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.records.findings import Findings


def read(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"system": "...", "messages": [{"role", "content": "..."}]}`."""
    record = without_nulls(record, "$", findings)
    report_record_fields(record, ("system", "messages"), findings)
    turns = []
    if "system" in record:
        system = require_text(record, "system", "$", findings)
        turns += [] if system is None else [Turn("system", (Text(system),), "$.system")]
    for path, message in iterate_objects(
        record.get("messages"), "$.messages", "messages", findings
    ):
        message = without_nulls(message, path, findings)  # noqa: PLW2901
        report_message_fields(message, ("role", "content"), path, findings)
        role = message.get("role")
        content = require_text(message, "content", path, findings)
        if role not in ("user", "assistant"):
            findings.add(
                "role", f"{path}.role", f"invalid role {quote(role)}: use user or assistant"
            )
        elif content is not None:
            turns.append(Turn(role, (Text(content),), path))
    return Conversation(turns=tuple(turns))


def write(conversation: Conversation, findings: Findings) -> dict[str, Any]:
    """Write a record."""
    record: dict[str, Any] = {}
    messages = []
    for turn in conversation.turns:
        content = one_text(turn)
        if turn.role == "system":
            record["system"] = content
        else:
            messages.append({"role": turn.role, "content": content})
    report_extras(conversation, findings, is_text_only=True)
    return record | {"messages": messages}
