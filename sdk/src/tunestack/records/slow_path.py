"""The slow path: convert one record, or list everything that is wrong with it.

Records that the fast path can't decide come here. This is the only place that knows all rules and formats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.chat_templates import detect_template
from tunestack.records.checks import check
from tunestack.records.conversation import Conversation, Media, Reasoning, ToolResult, ToolUse
from tunestack.records.findings import Finding, Findings, Severity
from tunestack.records.formats import FORMATS, detect_format
from tunestack.records.jsonline import BOM, decode
from tunestack.records.normalize import (
    join_texts,
    merge_calls,
    remove_blank_parts,
    remove_unsupported,
)
from tunestack.records.rules import RULES
from tunestack.records.tokens import check_size, content_size, text_size

if TYPE_CHECKING:
    from tunestack.records.target import Target

# Records that are already in one of these formats are kept byte for byte. Others are encoded again, so that equal data
# is the same file.
_KEPT = (RecordFormat.CONVERSE, RecordFormat.MESSAGES, RecordFormat.INPUT_OUTPUT_TEXT)


class RecordResult(msgspec.Struct, frozen=True):
    """The result of converting one record."""

    line: bytes | None
    """The converted line with its line feed; `None` if the record has errors."""
    size: int = 0
    """Bytes of the record's text, see `tokens`."""
    problems: tuple[Finding, ...] = ()
    losses: tuple[Finding, ...] = ()
    """Parts that were left out, with `on_loss="report"`."""
    is_rendered: bool = False
    """Whether the prompt of the data is written with a chat template already, and was kept unchanged."""
    has_system: bool = False
    """Whether the record has a system prompt."""
    content: tuple[str, ...] = ()
    """Content other than text: `image`, `video`, `audio`, `document`, `tools`, `reasoning`."""


def convert_record(line: bytes, target: Target) -> RecordResult:
    """Convert a line without its line end."""
    findings = Findings()
    record = decode(line, findings)
    if record is None:
        return _result(None, 0, None, target, findings)
    source = target.source or detect_format(record)
    if target.source is None:
        target = msgspec.structs.replace(target, source=source)
    conversation, findings = _read(record, source, target, findings)
    # With fields missing or invalid, other rules would only repeat the same problem.
    checked = conversation
    if not _has_errors(findings, target):
        checked = _normalize(conversation, target, findings)
        check(checked, target, findings)
    if _has_errors(findings, target):
        return _result(None, 0, checked, target, findings)
    written = _write(checked, target, findings)
    if written is None:
        return _result(None, 0, checked, target, findings)
    size = _measure(written, checked, target)
    check_size(written, size, target, findings)
    is_kept = source is target.format and source in _KEPT
    is_kept &= not any(problem.rule == "normalized" for problem in findings.problems)
    if is_kept and checked is conversation and not findings.losses:
        converted: bytes | None = line.removeprefix(BOM).strip(b" \t\r") + b"\n"
    else:
        converted = _encode(written, findings)
    result = _result(converted, size, checked, target, findings)
    if target.rendering == "raw" and detect_template(record) is not None:
        result = msgspec.structs.replace(result, is_rendered=True)
    return result


def _read(
    record: dict[str, Any], source: RecordFormat, target: Target, findings: Findings
) -> tuple[Conversation, Findings]:
    """Read a record, and return its problems."""
    form = FORMATS[source]
    if record.keys().isdisjoint(form.keys) and (detected := detect_format(record)) is not source:
        # One message instead of one for every field.
        mixed = Findings()
        mixed.add(
            "field",
            "$",
            f"the format of this record is {detected.value!r}, expected {source.value!r} "
            "as specified, or as in the first record: use one format",
        )
        return Conversation(turns=()), mixed
    if form.is_templated and target.rendering != "raw":
        return form.read(record, findings, template=detect_template(record)), findings
    return form.read(record, findings), findings


def _normalize(conversation: Conversation, target: Target, findings: Findings) -> Conversation:
    conversation = merge_calls(remove_blank_parts(conversation, findings), findings)
    if target.is_lossy:
        conversation = remove_unsupported(conversation, target, findings)
    return join_texts(conversation, findings) if target.form.is_text_only else conversation


def _write(conversation: Conversation, target: Target, findings: Findings) -> dict[str, Any] | None:
    if target.form.is_templated:
        return target.form.write(conversation, findings, template=target.template)
    if target.format is RecordFormat.CONVERSE:
        return target.form.write(conversation, findings, owner=target.owner)
    return target.form.write(conversation, findings)


def _measure(written: dict[str, Any], conversation: Conversation, target: Target) -> int:
    if target.form.is_templated:
        return sum(map(text_size, written.values()))
    return content_size(conversation)


def _encode(record: dict[str, Any], findings: Findings) -> bytes | None:
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        findings.add("encoding", "$", f"can't be encoded as UTF-8: {error}")
        return None


def _has_errors(findings: Findings, target: Target) -> bool:
    if findings.losses and not target.is_lossy:
        return True
    return any(
        RULES[problem.rule].severity is Severity.ERROR and problem.rule not in target.ignored
        for problem in findings.problems
    )


def _result(
    line: bytes | None,
    size: int,
    conversation: Conversation | None,
    target: Target,
    findings: Findings,
) -> RecordResult:
    losses = tuple(findings.losses)
    problems = [problem for problem in findings.problems if problem.rule not in target.ignored]
    if not target.is_lossy:
        problems += [
            Finding("loss", loss.path, f"would be lost: {loss.message}") for loss in losses
        ]
        losses = ()
    return RecordResult(
        line=None if _has_errors(findings, target) else line,
        size=size,
        problems=tuple(problems),
        losses=losses,
        has_system=conversation is not None
        and any(turn.role == "system" for turn in conversation.turns),
        content=() if conversation is None else tuple(sorted(_content(conversation))),
    )


def _content(conversation: Conversation) -> set[str]:
    """Return the kinds of content that a conversation has beside text."""
    kinds = {ToolUse: "tools", ToolResult: "tools", Reasoning: "reasoning"}
    content = {"tools"} if conversation.tools else set()
    for _, block in conversation.blocks():
        if isinstance(block, Media):
            content.add(block.kind)
        elif kind := kinds.get(type(block)):
            content.add(kind)
    return content
