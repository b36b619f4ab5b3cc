"""A careful look at one record: everything that is wrong with it, or the line to write.

What the fast path is not sure of comes here, so this is what decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tunestack.records.chat_templates import recognized
from tunestack.records.checks import (
    check,
    with_one_text,
    without_blank_parts,
    without_untaken,
)
from tunestack.records.conversation import Conversation, Media, Reasoning, ToolResult, ToolUse
from tunestack.records.findings import Findings, Found, Severity
from tunestack.records.formats import FORMATS, SourceFormat, told_by
from tunestack.records.jsonline import BOM, decode
from tunestack.records.rules import RULES
from tunestack.records.tokens import check_size, content_size, measured

if TYPE_CHECKING:
    from tunestack.records.target import Target

# An existing file of these goes as it is; the others are written anew, so that equal data is one file.
_KEPT = (SourceFormat.CONVERSE, SourceFormat.MESSAGES, SourceFormat.INPUT_OUTPUT_TEXT)


class Examined(msgspec.Struct, frozen=True):
    """What became of a record."""

    line: bytes | None
    """What to write, its end included; `None` if nothing is to be."""
    size: int
    """Bytes of its text, see `tokens`."""
    found: tuple[Found, ...]
    """Problems, by the rules that were not waived."""
    losses: tuple[Found, ...]
    """What was left out because the caller allows it."""
    holds: tuple[str, ...] = ()
    """What it holds beside text."""

    @property
    def is_bad(self) -> bool:
        """Whether a problem stands against writing it."""
        return any(RULES[found.rule].severity is Severity.ERROR for found in self.found)


def examine(line: bytes, target: Target) -> Examined:
    """Look at a line, its end left off."""
    findings = Findings()
    record = decode(line, findings)
    if record is None:
        return _examined(None, 0, None, target, findings)
    source = target.source or told_by(record)
    conversation = _read(record, source, target, findings)
    if record.keys().isdisjoint(FORMATS[source].keys) and (looks := told_by(record)) is not source:
        # One sentence instead of one for every field.
        why = f"looks like {looks.value!r}, and the data is {source.value!r} by its first record, or as was said: use one format"
        findings = Findings()
        findings.add("field", "$", why)
    # Where fields are missing, rules on what they say would only repeat it.
    said = conversation
    if not _is_bad(findings, target):
        conversation = without_blank_parts(conversation, findings)
        if target.lossy:
            conversation = without_untaken(conversation, target, findings)
        if target.form.text_only:
            conversation = with_one_text(conversation, findings)
        check(conversation, target, findings)
    if _is_bad(findings, target):
        return _examined(None, 0, conversation, target, findings)
    written = _write(conversation, target, findings)
    if written is None:
        return _examined(None, 0, conversation, target, findings)
    size = _size(written, conversation, target)
    check_size(written, size, target, findings)
    if source is target.format and source in _KEPT and conversation is said and not findings.losses:
        text: bytes | None = line.removeprefix(BOM).strip(b" \t\r") + b"\n"
    else:
        text = _encoded(written, findings)
    return _examined(text, size, conversation, target, findings)


def _read(
    record: dict[str, Any], source: SourceFormat, target: Target, findings: Findings
) -> Conversation:
    form = FORMATS[source]
    if form.templated and not target.form.templated:
        return form.read(record, findings, template=recognized(record))
    return form.read(record, findings)


def _write(conversation: Conversation, target: Target, findings: Findings) -> dict[str, Any] | None:
    if target.form.templated:
        return target.form.write(conversation, findings, template=target.template)
    if target.format is SourceFormat.CONVERSE:
        return target.form.write(conversation, findings, owner=target.owner)
    return target.form.write(conversation, findings)


def _size(written: dict[str, Any], conversation: Conversation, target: Target) -> int:
    if target.form.templated:
        return sum(map(measured, written.values()))
    return content_size(conversation)


def _encoded(record: dict[str, Any], findings: Findings) -> bytes | None:
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        findings.add("encoding", "$", f"can't be written as UTF-8: {error}")
        return None


def _is_bad(findings: Findings, target: Target) -> bool:
    """Tell whether anything was found that stands against writing the record."""
    if findings.losses and not target.lossy:
        return True
    return any(
        RULES[found.rule].severity is Severity.ERROR and found.rule not in target.ignored
        for found in findings.problems
    )


def _examined(
    line: bytes | None,
    size: int,
    conversation: Conversation | None,
    target: Target,
    findings: Findings,
) -> Examined:
    losses = tuple(findings.losses)
    problems = [found for found in findings.problems if found.rule not in target.ignored]
    if not target.lossy:
        problems += [
            Found("loss", found.path, f"would be lost: {found.message}") for found in losses
        ]
        losses = ()
    return Examined(
        line=None if _is_bad(findings, target) else line,
        size=size,
        found=tuple(problems),
        losses=losses,
        holds=() if conversation is None else tuple(sorted(_holds(conversation))),
    )


def _holds(conversation: Conversation) -> set[str]:
    kinds = {ToolUse: "tools", ToolResult: "tools", Reasoning: "reasoning"}
    found = {"tools"} if conversation.tools else set()
    for turn in conversation.turns:
        for block in turn.blocks:
            if isinstance(block, Media):
                found.add(block.kind)
            elif type(block) in kinds:
                found.add(kinds[type(block)])
    return found
