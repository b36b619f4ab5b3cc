"""What a shape is, and the pieces from which shapes build messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from tunestack.catalog import RecordFormat

Record = Mapping[str, Any]
Message = dict[str, Any]


class ShapeError(Exception):
    """A record does not have the shape of the file.

    Attributes:
        path: the JSON path of the problem.
        message: the problem and the expected value, without text of the data.
    """

    def __init__(self, path: str, message: str) -> None:
        """Store the path and the message."""
        super().__init__(message)
        self.path = path
        self.message = message


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A shape of records, and its mapping to a format."""

    name: str
    mapping: str
    """What becomes of the fields, for the notice."""
    fields: tuple[str, ...]
    """The fields that are read; the others are left out as metadata."""
    matches: Callable[[Record], bool]
    """Returns whether a record has the shape; looks at field names and types only."""
    convert: Callable[[Record], dict[str, Any]]
    """Returns the record in `format`, or raises `ShapeError`."""
    format: RecordFormat = RecordFormat.CHAT


def conversation(*messages: Message | None, **more: Any) -> dict[str, Any]:
    """Return a record in OpenAI's chat format, without the messages that are `None`."""
    return {"messages": [message for message in messages if message is not None], **more}


def message(role: str, content: Any) -> Message:
    """Return a message."""
    return {"role": role, "content": content}


def system(text: Any) -> Message | None:
    """Return a system message; `None` if there is no text."""
    return message("system", text) if isinstance(text, str) and text.strip() else None


def require_text(record: Record, name: str, path: str = "$") -> str:
    """Return a field that must be a string."""
    value = record.get(name)
    if not isinstance(value, str):
        raise ShapeError(f"{path}.{name}", "expected a string")
    return value


def require_list(value: Any, path: str) -> list[Any]:
    """Return a value that must be an array of objects."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ShapeError(path, "expected an array of objects")
    return value


def join_texts(parts: Any, path: str, *, separator: str = "") -> str:
    """Return a text, or the texts of an array of parts."""
    if isinstance(parts, str):
        return parts
    return separator.join(
        require_text(part, "text", f"{path}[{index}]")
        for index, part in enumerate(require_list(parts, path))
    )


def dump(value: Any) -> str:
    """Return a value as text: a string unchanged, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def tool_call(identifier: str, name: str, arguments: Any) -> dict[str, Any]:
    """Return a tool call in OpenAI's format."""
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": name, "arguments": dump(arguments)},
    }


def function(name: str, description: Any, parameters: Any) -> dict[str, Any]:
    """Return a tool in OpenAI's format."""
    definition = {"name": name, "description": description, "parameters": parameters}
    return {
        "type": "function",
        "function": {key: value for key, value in definition.items() if value is not None},
    }


def has_items(value: Any, *names: str) -> bool:
    """Return whether a value is a non-empty array of objects whose first item has all of these fields."""
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and all(name in value[0] for name in names)
    )


def is_text(record: Record, *names: str) -> bool:
    """Return whether all of these fields are strings."""
    return all(isinstance(record.get(name), str) for name in names)
