"""Records with tool calls on the fast path: those that have the same tools and structure as a record before.

Tools are a schema that most files repeat in every record. Records whose tools are their own take the slow path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import orjson

from tunestack.records.findings import Findings
from tunestack.records.jsonline import decode
from tunestack.records.line_templates import MAX_MESSAGES, mark
from tunestack.records.text_rules import COMPLETED, DSPY, may_break_dspy_rule
from tunestack.records.tool_checks import TOOL_USE_ID

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tunestack.records.line_templates import LineTemplate, LineTemplates

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a line that is not JSON, or has other fields."""
_MAX_TEMPLATES = 128
_MAX_TOOLS_SIZE = 2**14
"""Maximum bytes of the tools of a template, which are kept in memory."""
_MAX_HASHES = 2**12
"""Structures that are remembered by their hash."""
_NULLS = ("null", "None")
"""Contents beside tool calls that the slow path removes."""


class _Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class _Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    type: Literal["function"]
    function: _Function


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | msgspec.UnsetType | None = msgspec.UNSET
    tool_calls: list[_Call] | msgspec.UnsetType = msgspec.UNSET
    tool_call_id: str | msgspec.UnsetType = msgspec.UNSET


class _Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Message]
    tools: msgspec.Raw


class ToolRecord(msgspec.Struct):
    """A record with tool calls that has a template."""

    template: LineTemplate
    values: list[str]
    """Texts, IDs and arguments, in the order of the record."""
    objects: list[tuple[int, bytes]]
    """Arguments that are written as objects, with their index in the values."""
    uncounted: int
    """Bytes of values that do not count for the size of the record."""


class ToolRecords:
    """Finds the templates of records with tool calls."""

    def __init__(self, line_templates: LineTemplates) -> None:
        """Store the line templates of the target."""
        self._line_templates = line_templates
        self._decode = msgspec.json.Decoder(_Record).decode
        self._templates: dict[Hashable, LineTemplate] = {}
        self._seen_hashes: set[int] = set()
        self._refused_hashes: set[int] = set()

    def read(self, line: bytes) -> ToolRecord | None:
        """Decode a line; return `None` if the slow path has to decide."""
        try:
            record = self._decode(line)
        except DECODE_ERRORS:
            return None
        values = _read_values(record.messages)
        if values is None:
            return None
        template = self._get_template(record, values.structure)
        # With another number of values, the next records would get the values of this one.
        if template is None or template.count != len(values.texts):
            return None
        result = ToolRecord(template, values.texts, [], values.id_size)
        for index in values.arguments:
            text = values.texts[index]
            # The quotes that are written so would hide those of a duplicate key, see `LineTemplate.has_unique_keys`.
            if template.has_objects and "\\u0022" in text:
                return None
            findings = Findings()
            arguments = decode(text.encode(), findings)
            if arguments is None or findings.problems:
                return None
            encoded = orjson.dumps(arguments)
            if template.has_objects:
                result.objects.append((index, encoded))
            else:
                result.uncounted += len(orjson.dumps(text)) - len(encoded)
        return result

    def _get_template(self, record: _Record, structure: list[Hashable]) -> LineTemplate | None:
        tools = bytes(record.tools)
        key = (tools, *structure)
        template = self._templates.get(key)
        if template is not None:
            return template
        key_hash = hash(key)
        is_large = len(tools) > _MAX_TOOLS_SIZE or len(record.messages) > MAX_MESSAGES
        is_full = len(self._templates) >= _MAX_TEMPLATES
        if is_large or is_full or key_hash in self._refused_hashes:
            return None
        if key_hash not in self._seen_hashes:  # a template is worth its time for the second record
            _add(self._seen_hashes, key_hash)
            return None
        template = self._create_template(record)
        if template is None:
            _add(self._refused_hashes, key_hash)
        else:
            self._templates[key] = template
        return template

    def _create_template(self, record: _Record) -> LineTemplate | None:
        marked = _mark_values(record.messages)
        messages = msgspec.json.encode(marked.messages)
        source = b'{"messages":%b,"tools":%b}' % (messages, record.tools)
        template = self._line_templates.create(source, marked.marks)
        if template is None or not template.keeps_quotes:
            return None
        uncounted = marked.id_size
        if not template.has_objects:
            uncounted += sum(
                len(orjson.dumps(arguments)) - len(arguments) for arguments in marked.arguments
            )
        return msgspec.structs.replace(template, frame_size=template.frame_size - uncounted)


def _add(hashes: set[int], key_hash: int) -> None:
    if len(hashes) == _MAX_HASHES:
        hashes.clear()
    hashes.add(key_hash)


class _Values(msgspec.Struct):
    texts: list[str]
    arguments: list[int]
    """The indices of arguments."""
    id_size: int
    """Bytes of all IDs."""
    structure: list[Hashable]
    """All of the messages except their values: roles, empty contents, names of functions. An ID is the index of its first
    occurrence, which shows the call that a result answers."""


def _read_values(messages: list[_Message]) -> _Values | None:
    """Return the values of messages; `None` if the slow path may change or report one of them."""
    values: list[str] = []
    arguments: list[int] = []
    structure: list[Hashable] = []
    ids: dict[str, int] = {}
    identifiers: list[str] = []
    is_after_calls = False
    for message in messages:
        content, calls, identifier = message.content, message.tool_calls, message.tool_call_id
        # Four items for each message, and two for each call, so that no two structures have the same items.
        structure += (message.role, _index(identifier, ids, values))
        if identifier is not msgspec.UNSET:
            identifiers.append(identifier)
            values.append(identifier)
        structure.append(True if content else content)
        if content:
            values.append(content)
        if calls is msgspec.UNSET:
            structure.append(None)
            is_after_calls = False
            continue
        # The slow path removes such a content, and merges messages with calls.
        if content in _NULLS or is_after_calls:
            return None
        structure.append(len(calls))
        is_after_calls = True
        for call in calls:
            structure += (_index(call.id, ids, values), call.function.name)
            identifiers.append(call.id)
            arguments.append(len(values) + 1)
            values += (call.id, call.function.arguments)
    if not all(map(TOOL_USE_ID.fullmatch, identifiers)) or _may_break_dspy_rule(messages):
        return None
    return _Values(values, arguments, sum(map(len, identifiers)), structure)


def _index(
    identifier: str | msgspec.UnsetType, ids: dict[str, int], values: list[str]
) -> int | None:
    """Return the index of the first value with an ID; `None` without one."""
    return None if identifier is msgspec.UNSET else ids.setdefault(identifier, len(values))


class _MarkedMessages(msgspec.Struct):
    messages: list[_Message]
    marks: list[str]
    arguments: list[str]
    id_size: int = 0


def _mark_values(messages: list[_Message]) -> _MarkedMessages:
    """Replace the values of messages by marks, in the order of `_read_values`."""
    result = _MarkedMessages([], [], [])
    ids: dict[str, str] = {}

    def add() -> str:
        result.marks.append(mark(len(result.marks)))
        return result.marks[-1]

    def add_id(identifier: str) -> str:
        id_mark = ids.setdefault(identifier, mark(len(result.marks)))
        result.marks.append(id_mark)
        result.id_size += len(id_mark)
        return id_mark

    def add_call(call: _Call) -> _Call:
        identifier = add_id(call.id)
        result.arguments.append(f'{{"{add()}":0}}')
        return _Call(identifier, "function", _Function(call.function.name, result.arguments[-1]))

    for message in messages:
        marked = _Message(message.role)
        if message.tool_call_id is not msgspec.UNSET:
            marked.tool_call_id = add_id(message.tool_call_id)
        marked.content = add() if message.content else message.content
        if message.tool_calls is not msgspec.UNSET:
            marked.tool_calls = [add_call(call) for call in message.tool_calls]
        result.messages.append(marked)
    return result


def _may_break_dspy_rule(messages: list[_Message]) -> bool:
    """Return whether the texts of a record may break a rule of DSPy."""
    system = "".join([message.content or "" for message in messages if message.role == "system"])
    answers = [message for message in messages if message.role == "assistant"]
    is_from_dspy = COMPLETED in system or DSPY in system
    # Only an answer with a text can be equal to an earlier one.
    if not is_from_dspy and sum(bool(answer.content) for answer in answers) < 2:
        return False
    prompts = [message.content or "" for message in messages if message.role == "user"]
    return may_break_dspy_rule(system, prompts, list(map(_join_parts, answers)))


def _join_parts(answer: _Message) -> str:
    """Join the parts of an answer as `check_dspy` does: a call has no text."""
    parts = [answer.content] if answer.content else []
    calls = 0 if answer.tool_calls is msgspec.UNSET else len(answer.tool_calls)
    return "\n".join([*parts, *[""] * calls])
