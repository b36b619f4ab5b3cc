"""How conversations of one sequence of roles are written: the bytes around their texts, taken from `thorough` itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tunestack.records.formats import SourceFormat
from tunestack.records.thorough import examine

if TYPE_CHECKING:
    from tunestack.records.target import Target

    Roles = tuple[str, ...]

# A key that is there twice takes more bytes than the spaces of `json.dumps` in so many messages:
# where the length is right, nothing can hide.
_FEW = 3
_LONGEST = 64
"""Messages; what is learned of a conversation is kept."""
_MARK = re.compile(rb"TEXT\d+TEXT")
_QUOTED_MARK = re.compile(rb'"TEXT\d+TEXT"')


@dataclass(frozen=True, slots=True)
class Shape:
    """How conversations of one sequence of roles are written, if they are plain."""

    parts: list[bytes]
    """What stands before, between and behind the texts, with places for them."""
    frame: int
    """Bytes of the line that are no text."""
    quoted: bool
    """Whether texts stand in the line with their quotes, behind a colon."""
    widths: tuple[int, ...]
    """By how much a line is shorter than its source, as `json.dumps` and as compact writers write that."""
    ends: frozenset[bytes]
    """What stands right before a text: the end of its key, and a colon."""
    keys: int
    """How many keys the source has: one that is there twice would hide what the first one says."""
    quotes: int
    """How many quotes it has, if no text holds one: more of them are texts' or of such a key."""
    system: bool


class Shapes:
    """What is learned of the sequences of roles that come by, for one target."""

    def __init__(self, target: Target) -> None:
        """Know none yet."""
        self._target = target
        self.known: dict[Roles, Shape | None] = {}
        """`None` for those that are not plain; most are found here without a call."""

    def of(self, roles: Roles) -> Shape | None:
        """Learn how conversations of these roles are written, if that is one of many."""
        if len(roles) > _LONGEST or not _take_turns(roles):
            return None
        shape = self.known[roles] = _shape(roles, self._target)
        return shape


def _shape(roles: Roles, target: Target) -> Shape | None:
    """Let `thorough` write a conversation of these roles, and see what it puts around the texts."""
    marks = [f"TEXT{place}TEXT" for place in range(len(roles))]
    source = _source(roles, marks, target)
    examined = examine(orjson.dumps(source), target)
    line = examined.line
    if line is None or examined.found or examined.losses:
        return None
    quoted = all(f':"{mark}"'.encode() in line for mark in marks)
    # Thorough may have put texts elsewhere, or left one out: then there is nothing to learn from it.
    if any(line.count(mark.encode()) != 1 for mark in marks):
        return None
    order = sorted(marks, key=lambda mark: line.index(mark.encode()))
    if order != marks:
        return None
    texts = sum(map(len, marks))
    empty = len(line) - texts
    bare = _source(roles, [""] * len(roles), target)
    layouts = [len(orjson.dumps(bare)) + 1]
    if len(roles) <= _FEW:
        layouts.append(len(json.dumps(bare)) + 1)
    keys = 1 + 2 * len(roles) if target.source is SourceFormat.CHAT else len(roles)
    pieces = re.split(_QUOTED_MARK if quoted else _MARK, line)
    return Shape(
        parts=_with_places(pieces),
        ends=frozenset(piece[-4:] for piece in pieces[:-1]),
        frame=len(line) - examined.size,
        quoted=quoted,
        widths=tuple(layout - empty for layout in layouts),
        keys=keys,
        quotes=2 * keys + 2 * len(roles) * (2 if target.source is SourceFormat.CHAT else 1),
        system=roles[0] == "system",
    )


def _take_turns(roles: Roles) -> bool:
    """Tell whether user and assistant take turns behind a system prompt, as OpenAI does not demand."""
    asked = roles[1:] if roles[:1] == ("system",) else roles
    turns = len(asked)
    return turns > 0 and asked == ("user", "assistant") * (turns // 2)


def _with_places(pieces: list[bytes]) -> list[bytes]:
    return [part for piece in pieces for part in (piece, b"")][:-1]


def _source(roles: Roles, texts: list[str], target: Target) -> dict[str, object]:
    if target.source is SourceFormat.CHAT:
        return {
            "messages": [
                {"role": role, "content": text} for role, text in zip(roles, texts, strict=True)
            ]
        }
    prompt, completion = texts
    return {"prompt": prompt, "completion": completion}
