"""All shapes, their detection, and mappings that the caller specifies."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tunestack.catalog import RecordFormat
from tunestack.errors import ConfigError, DataError, shortened
from tunestack.records.findings import quote
from tunestack.records.formats.converse import has_structures
from tunestack.records.shapes.base import (
    Record,
    Shape,
    ShapeError,
    conversation,
    has_items,
    is_text,
    message,
    require_text,
    system,
)
from tunestack.records.shapes.chats import CHATS
from tunestack.records.shapes.pairs import PAIRS
from tunestack.records.shapes.requests import REQUESTS, from_converse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHAPES: tuple[Shape, ...] = (*REQUESTS, *CHATS, *PAIRS)
"""The shapes that are mapped to a format, the most specific first."""

_TARGETS = ("system", "prompt", "completion", "messages")
_MAX_NAMES = 12


def is_native(record: Record) -> bool:
    """Return whether a record has one of Tunestack's own formats."""
    if "schemaVersion" in record or is_text(record, "inputText", "outputText"):
        return True
    if is_text(record, "prompt", "completion"):
        return not isinstance(record.get("system"), str)
    if isinstance(record.get("input"), dict) and "preferred_output" in record:
        return True
    return has_items(record.get("messages"), "role")


def detect_shape(records: Sequence[Record], name: str) -> Shape | None:
    """Return the shape of records that need a mapping; `None` if they have one of Tunestack's formats.

    Args:
        records: the first records. The first one with a known shape decides.
        name: the name of the data in error messages.

    Raises:
        DataError: none has a known shape; the message has the fields, the known shapes, and how to map the fields.
    """
    for record in records:
        for shape in SHAPES:
            if shape.matches(record):
                return shape
        if is_native(record):
            return None
    if any(map(_is_almost_native, records)):
        return None  # the rules tell what is missing
    raise explain_unknown(records, name)


def _is_almost_native(record: Record) -> bool:
    return bool(
        record.keys() & {"messages", "prompt", "completion", "inputText", "outputText"}
    ) or (not record.keys() - {"input", "preferred_output", "non_preferred_output"})


def explain_unknown(records: Sequence[Record], name: str) -> DataError:
    """Return the error for records of an unknown shape."""
    counts = Counter(field for record in records for field in record)
    names = ", ".join(quote(field) for field, _ in counts.most_common(_MAX_NAMES))
    more = f" and {len(counts) - _MAX_NAMES} more" if len(counts) > _MAX_NAMES else ""
    return DataError(
        f"{name} has an unknown record format: the fields are {names}{more}. Map the fields that are the prompt and the completion, for example "
        f"--map prompt=question,completion=answer (also system= and messages=). These are detected: messages of OpenAI, "
        "Anthropic, Converse, LangChain, ShareGPT and Gemini; prompt/completion, question/answer, input/output, "
        "instruction/output, chosen/rejected and similar; logs of Bedrock, OpenAI and DSPy (docs/my-data.md)"
    )


def create_mapping(fields: Mapping[str, str]) -> Shape:
    """Create a shape from the names of the fields.

    Args:
        fields: the field of the data for `prompt` and `completion`, or for `messages`; and for `system`, if there is one.

    Raises:
        ConfigError: the mapping is invalid.
    """
    for name in fields:
        if name not in _TARGETS:
            raise ConfigError(
                f"unknown name {shortened(name)} in the mapping: use {', '.join(_TARGETS)}"
            )
    is_chat = "messages" in fields
    if is_chat in ("prompt" in fields, "completion" in fields):
        raise ConfigError("invalid mapping: use prompt and completion, or messages")
    shown = ", ".join(f"{source} is the {name}" for name, source in fields.items())
    return Shape(
        name="mapped fields",
        mapping=shown,
        fields=tuple(fields.values()),
        matches=lambda _: True,
        convert=_map_messages(fields) if is_chat else _map_pair(fields),
        format=RecordFormat.CHAT if is_chat or "system" in fields else RecordFormat.COMPLETION,
    )


def _map_pair(fields: Mapping[str, str]) -> Any:
    def convert(record: Record) -> dict[str, Any]:
        prompt, completion = (
            require_text(record, fields[name]) for name in ("prompt", "completion")
        )
        if "system" not in fields:
            return {"prompt": prompt, "completion": completion}
        instruction = system(record.get(fields["system"]))
        return conversation(instruction, message("user", prompt), message("assistant", completion))

    return convert


def _map_messages(fields: Mapping[str, str]) -> Any:
    def convert(record: Record) -> dict[str, Any]:
        renamed = {"messages": record.get(fields["messages"])}
        if "tools" in record:
            renamed["tools"] = record["tools"]
        if "system" in fields:
            renamed["system"] = record.get(fields["system"])
        if has_items(renamed["messages"], "from", "value"):
            renamed["conversations"] = renamed.pop("messages")
        for shape in CHATS:
            if shape.matches(renamed):
                return shape.convert(renamed)
        if has_structures(renamed):
            return from_converse(renamed)
        messages = renamed["messages"]
        if not isinstance(messages, list):
            raise ShapeError(f"$.{fields['messages']}", "expected an array of messages")
        tools = {"tools": renamed["tools"]} if renamed.get("tools") else {}
        return conversation(system(renamed.get("system")), *messages, **tools)

    return convert
