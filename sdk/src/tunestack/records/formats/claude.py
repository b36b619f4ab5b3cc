"""Claude's format: a system text, and turns of one text each.

Source: user guide, model-customization-prepare; AWS's data_validation.py for Claude 3 Haiku (read 2026-11-22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.records.conversation import Conversation, Text, Turn
from tunestack.records.findings import quoted
from tunestack.records.formats.converse import lose_extras
from tunestack.records.formats.fields import lose_unknown, objects, text
from tunestack.records.formats.prompt import one_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.records.findings import Findings


def read(record: Mapping[str, Any], findings: Findings) -> Conversation:
    """Read `{"system": "...", "messages": [{"role", "content": "..."}]}`."""
    lose_unknown(record, ("system", "messages"), "$", findings)
    turns = []
    if "system" in record:
        system = text(record, "system", "$", findings)
        turns += [] if system is None else [Turn("system", (Text(system),), "$.system")]
    for at, message in objects(record.get("messages"), "$.messages", "messages", findings):
        lose_unknown(message, ("role", "content"), at, findings)
        role = message.get("role")
        content = text(message, "content", at, findings)
        if role not in ("user", "assistant"):
            findings.add("role", f"{at}.role", f"{quoted(role)} is no role: use user, assistant")
        elif content is not None:
            turns.append(Turn(role, (Text(content),), at))
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
    lose_extras(conversation, findings, text_only=True)
    return record | {"messages": messages}
