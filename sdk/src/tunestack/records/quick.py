"""A quick look at records: most are plain conversations that keep to every rule, and are written without more ado.

What is not plainly right is left to `thorough`: this file decides nothing, it only recognizes what needs no decision.
Both write the same bytes: how a plain record is written is taken from `thorough` itself, once for each sequence of roles.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson

from tunestack.records.formats import SourceFormat
from tunestack.records.text_rules import ANSWER, COMPLETED, DSPY, PROMPT, dspy_traces, gates
from tunestack.records.thorough import examine
from tunestack.records.tokens import may_be_near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tunestack.records.target import Target

    Roles = tuple[str, ...]

_KEY = re.compile(rb'"\s*:')
# A key that is there twice takes more bytes than the spaces of `json.dumps` in so many messages:
# where the length is right, nothing can hide.
_FEW = 3
_LONGEST = 64
"""Messages; what is learned of a conversation is kept."""
_LARGE = 2**14
_SYSTEMS = 256
"""System prompts that are kept."""
_MARK = re.compile(rb"TEXT\d+TEXT")
_QUOTED_MARK = re.compile(rb'"TEXT\d+TEXT"')


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Message]


class _Completion(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: str
    completion: str

    @property
    def messages(self) -> list[_Message]:
        return [_Message("user", self.prompt), _Message("assistant", self.completion)]


@dataclass(frozen=True, slots=True)
class Shape:
    """How conversations of one sequence of roles are written, if they are plain."""

    parts: list[bytes]
    """What stands before, between and behind the texts, with places for them."""
    frame: int
    """Bytes of the line that are no text."""
    quoted: bool
    """Whether texts stand in the line with their quotes."""
    widths: tuple[int, ...]
    """By how much a line is shorter than its source, as `json.dumps` and as compact writers write that."""
    keys: int
    """How many keys the source has."""
    system: bool


class Quick:
    """Recognizes plain records for one target."""

    def __init__(self, target: Target) -> None:
        """Prepare the patterns."""
        self._target = target
        self._shapes: dict[Roles, Shape | None] = {}
        self._prompt_gates = gates(target, PROMPT)
        self._answer_gates = gates(target, ANSWER)
        near = may_be_near(target)
        self._largest = near if near is not None else float("inf")
        # The system prompt is mostly that of the record before, or of another before.
        self._system: str | None = None
        self._system_line = b""
        self._dspy = False
        self._systems: dict[str, tuple[bytes, bool]] = {}

    def write(  # noqa: C901, PLR0912, PLR0915 - in pieces, it takes a third longer
        self, lines: Iterable[bytes]
    ) -> tuple[list[bytes], list[int], list[int]]:
        """Write lines.

        This is where the time goes: a call saved here is a thirtieth of the whole.

        Returns:
            What is to be written for each line, nothing for those that need a careful look; the bytes of the texts
            of those that do not; and the places of those that do.
        """
        kind = _Chat if self._target.source is SourceFormat.CHAT else _Completion
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
        shapes, dumps, largest = self._shapes, orjson.dumps, self._largest
        prompt_gates, answer_gates = self._prompt_gates, self._answer_gates
        outs: list[bytes] = []
        sizes: list[int] = []
        unsure: list[int] = []
        for line in lines:
            try:
                messages = decode(line).messages
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                unsure.append(len(outs))
                outs.append(b"")
                continue
            texts = [message.content for message in messages]
            roles = tuple([message.role for message in messages])
            try:
                shape = shapes[roles]
            except KeyError:
                shape = self._shape(roles)
            if shape is None:
                unsure.append(len(outs))
                outs.append(b"")
                continue
            written = []
            if shape.system:
                system = texts.pop(0)
                if system != self._system and not self._takes(system):
                    unsure.append(len(outs))
                    outs.append(b"")
                    continue
                written.append(self._system_line)
            gates = prompt_gates
            for text in texts:
                if not text or text.isspace():
                    break
                for gate, search in gates:
                    if gate in text and search(text):
                        break
                else:
                    gates = answer_gates if gates is prompt_gates else prompt_gates
                    written.append(dumps(text))
                    continue
                break
            else:
                if not shape.quoted:
                    written = [text[1:-1] for text in written]
                parts = shape.parts
                parts[1::2] = written
                out = b"".join(parts)
                size = len(out) - shape.frame
                if (
                    size <= largest
                    and (
                        len(line) - len(out) in shape.widths
                        or (len(line) < _LARGE and len(_KEY.findall(line)) == shape.keys)
                    )
                    and not (
                        (self._dspy or len(texts) > 2)
                        and dspy_traces(texts, (self._system or "") if shape.system else "")
                    )
                ):
                    outs.append(out)
                    sizes.append(size)
                    continue
            unsure.append(len(outs))
            outs.append(b"")
        return outs, sizes, unsure

    def _shape(self, roles: Roles) -> Shape | None:
        """Learn how conversations of a sequence of roles are written, if that is one of many."""
        if len(roles) > _LONGEST or not _take_turns(roles):
            return None
        shape = self._shapes[roles] = _shape(roles, self._target)
        return shape

    def _takes(self, system: str) -> bool:
        """Look at a system prompt that the record before did not have."""
        known = self._systems.get(system)
        if known is None:
            if not system or system.isspace():
                return False
            if any(gate in system and search(system) for gate, search in self._prompt_gates):
                return False
            try:
                known = orjson.dumps(system), COMPLETED in system or DSPY in system
            except orjson.JSONEncodeError:
                return False
            if len(self._systems) < _SYSTEMS and len(system) < _LARGE:
                self._systems[system] = known
        self._system = system
        self._system_line, self._dspy = known
        return True


def can_read(target: Target) -> bool:
    """Tell whether there are plain records of the target's source at all."""
    return target.source in (SourceFormat.CHAT, SourceFormat.COMPLETION)


def _shape(roles: Roles, target: Target) -> Shape | None:
    """Let `thorough` write a conversation of these roles, and see what it puts around the texts."""
    marks = [f"TEXT{place}TEXT" for place in range(len(roles))]
    source = _source(roles, marks, target)
    examined = examine(orjson.dumps(source), target)
    line = examined.line
    if line is None or examined.found or examined.losses:
        return None
    quoted = all(f'"{mark}"'.encode() in line for mark in marks)
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
    return Shape(
        parts=_with_places(re.split(_QUOTED_MARK if quoted else _MARK, line)),
        frame=len(line) - examined.size,
        quoted=quoted,
        widths=tuple(layout - empty for layout in layouts),
        keys=keys,
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
