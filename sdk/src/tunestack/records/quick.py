"""A quick look at records: most are plain conversations that keep to every rule, and are written without more ado.

What is not plainly right is left to `thorough`: this file decides nothing, it only recognizes what needs no decision.
Both write the same bytes: how a plain record is written is taken from `thorough` itself, once for each sequence of roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson

from tunestack.records.formats import SourceFormat
from tunestack.records.shapes import Shapes
from tunestack.records.text_rules import ANSWER, COMPLETED, DSPY, PROMPT, dspy_traces, gates
from tunestack.records.tokens import may_be_near
from tunestack.records.verbatim import KEY, LARGE, Verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunestack.records.target import Target

_SYSTEMS = 256
"""System prompts that are kept."""
_FEW = 16
"""Records that are not worth to be looked at together."""


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


class Quick:
    """Recognizes plain records for one target."""

    def __init__(self, target: Target) -> None:
        """Prepare the patterns."""
        self._target = target
        self._shapes = Shapes(target)
        self._verbatim = Verbatim(target, self._shapes)
        self._prompt_gates = gates(target, PROMPT)
        self._answer_gates = gates(target, ANSWER)
        near = may_be_near(target)
        self._largest = near if near is not None else float("inf")
        # The system prompt is mostly that of the record before, or of another before.
        self._system: str | None = None
        self._system_line = b""
        self._dspy = False
        self._systems: dict[str, tuple[bytes, bool]] = {}

    def write(self, lines: Sequence[bytes]) -> tuple[list[bytes], list[int], list[int]]:
        """Write lines.

        Returns:
            What is to be written for each line, nothing for those that need a careful look; the bytes of the texts
            of those that do not; and the places of those that do.
        """
        outs, sizes, left = self._verbatim.write(lines)
        unsure: list[int] = []
        if len(left) > _FEW:
            unsure = self._decoded(lines, left, outs, sizes, gated=False)
            left = sorted(self._verbatim.doubtful(outs).intersection(left))
        if left:
            unsure = sorted(unsure + self._decoded(lines, left, outs, sizes, gated=True))
        return outs, [size for size in sizes if size], unsure

    def _decoded(  # noqa: C901, PLR0912 - in pieces, it takes a third longer
        self,
        lines: Sequence[bytes],
        left: list[int],
        outs: list[bytes],
        sizes: list[int],
        *,
        gated: bool,
    ) -> list[int]:
        """Decode the texts of some lines and write them; returns those that need a careful look.

        Args:
            lines: all lines.
            left: the places of those that are meant.
            outs: where they are written to.
            sizes: the same for the bytes of their texts.
            gated: look at each text; otherwise, what is written is to be looked at together.
        """
        kind = _Chat if self._target.source is SourceFormat.CHAT else _Completion
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
        shapes, dumps, largest = self._shapes.known, orjson.dumps, self._largest
        prompt_gates, answer_gates = self._prompt_gates, self._answer_gates
        unsure: list[int] = []
        for place in left:
            line = lines[place]
            outs[place], sizes[place] = b"", 0
            try:
                messages = decode(line).messages
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                unsure.append(place)
                continue
            texts = [message.content for message in messages]
            roles = tuple([message.role for message in messages])
            try:
                shape = shapes[roles]
            except KeyError:
                shape = self._shapes.of(roles)
            if shape is None:
                unsure.append(place)
                continue
            written = []
            if shape.system:
                system = texts.pop(0)
                if system != self._system and not self._takes(system):
                    unsure.append(place)
                    continue
                written.append(self._system_line)
            gates = prompt_gates if gated or not shape.quoted else ()
            for text in texts:
                if not text or text.isspace():
                    break
                for gate, search in gates:
                    if gate in text and search(text):
                        break
                else:
                    if gates:
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
                        or line.count(b'"') == shape.quotes
                        or (len(line) < LARGE and len(KEY.findall(line)) == shape.keys)
                    )
                    and not (
                        (self._dspy or len(texts) > 2)
                        and dspy_traces(texts, (self._system or "") if shape.system else "")
                    )
                ):
                    outs[place], sizes[place] = out, size
                    continue
            unsure.append(place)
        return unsure

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
            if len(self._systems) < _SYSTEMS and len(system) < LARGE:
                self._systems[system] = known
        self._system = system
        self._system_line, self._dspy = known
        return True


def can_read(target: Target) -> bool:
    """Tell whether there are plain records of the target's source at all."""
    return target.source in (SourceFormat.CHAT, SourceFormat.COMPLETION)
