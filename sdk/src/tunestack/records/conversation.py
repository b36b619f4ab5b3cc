"""What a record says, whatever format it came in: an optional system prompt and turns of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tunestack.records.read import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


class DataFormat(StrEnum):
    """The formats that callers have their data in; DSPy's own, by its own names."""

    CHAT = "chat"
    """`{"messages": [{"role": "system" | "user" | "assistant", "content": "..."}]}`"""
    COMPLETION = "completion"
    """`{"prompt": "...", "completion": "..."}`"""

    @classmethod
    def of(cls, record: dict[str, Any]) -> DataFormat:
        """Tell the format of a record by its fields."""
        return cls.COMPLETION if "prompt" in record or "completion" in record else cls.CHAT


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: who speaks, and what, in one or several pieces of text."""

    role: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A record in no vendor's format."""

    system: tuple[str, ...]
    turns: tuple[Turn, ...]


def parse(
    record: dict[str, Any], data_format: DataFormat, line: int
) -> Conversation | list[Problem]:
    """Read a record; everything that it says is in the result, or is a problem."""
    problems: list[Problem] = []

    def problem(field: str, message: str) -> None:
        problems.append(Problem(line=line, field=field, message=message))

    if data_format is DataFormat.COMPLETION:
        turns = _completion(record, problem)
        system: tuple[str, ...] = ()
    else:
        system, turns = _chat(record, problem)
    return problems or Conversation(system, tuple(turns))


def _completion(record: dict[str, Any], problem: Any) -> list[Turn]:
    for name in sorted(record.keys() - {"prompt", "completion"}, key=str):
        problem(_at(name), "would be lost: a completion record has `prompt` and `completion` only")
    turns = []
    for role, name in (("user", "prompt"), ("assistant", "completion")):
        if name not in record:
            problem(name, "is missing")
        else:
            turns.append(Turn(role, tuple(_texts(record[name], name, problem))))
    return turns


def _chat(record: dict[str, Any], problem: Any) -> tuple[tuple[str, ...], list[Turn]]:
    for name in sorted(record.keys() - {"messages"}, key=str):
        problem(_at(name), "would be lost: this format has no place for it")
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        problem("messages", "expected a list of at least one user and one assistant message")
        return (), []
    system: tuple[str, ...] = ()
    turns: list[Turn] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict):
            problem(
                where, f"expected an object with role and content, found {type(message).__name__}"
            )
            continue
        for name in sorted(message.keys() - {"role", "content"}, key=str):
            problem(f"{where}.{_at(name)}", "would be lost: this format has no place for it")
        texts = tuple(_texts(message.get("content"), f"{where}.content", problem))
        role = message.get("role")
        if role == "system" and place == 0:
            system = texts
        elif role in ("user", "assistant"):
            expected = "assistant" if len(turns) % 2 else "user"
            if role != expected:
                problem(
                    f"{where}.role",
                    f"{_named(role)}, expected {expected!r}: user and assistant alternate, user first",
                )
            turns.append(Turn(role, texts))
        else:
            problem(
                f"{where}.role",
                f"{_named(role)}, expected one system message first, then user and assistant in turn",
            )
    if not turns or turns[-1].role != "assistant":
        problem("messages", "the last message must be the assistant's: it is what is learned")
    return system, turns


def _at(key: object) -> str:
    return key if isinstance(key, str) and _WORD.fullmatch(key) else "(a field)"


def _named(word: object) -> str:
    """Quote a field's name, role or type that should not be there, unless it may be somebody's data."""
    if isinstance(word, str) and _WORD.fullmatch(word):
        return repr(word)
    return "a text" if isinstance(word, str) else f"a value of type {type(word).__name__}"


def _texts(content: object, where: str, problem: Any) -> Iterator[str]:
    """Take the text of a message: a string, or a list of OpenAI's or Converse's text parts."""
    parts: list[object] = content if isinstance(content, list) else [content]
    if not parts:
        problem(where, "is empty")
    for place, part in enumerate(parts):
        here = f"{where}[{place}]" if isinstance(content, list) else where
        text = part
        if isinstance(part, dict):
            if part.keys() - {"type", "text"} or part.get("type", "text") != "text":
                problem(here, f"a part of type {_named(part.get('type'))} would be lost: text only")
                continue
            text = part.get("text")
        if not isinstance(text, str):
            problem(here, f"expected text, found {type(text).__name__}")
        elif not text.strip():
            problem(here, "is empty")
        else:
            yield text
