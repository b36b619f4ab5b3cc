"""The quickest look: texts that stand in the source as they will in the record are copied, and never decoded.

What is written this way is what `quick` would write. It is done first, and looked through afterwards, a whole piece at
once: a search for forty short words takes a thirtieth of the time that it takes to decode the texts. Where one of them is
found, the record is left to those who look closer.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Literal

import ahocorasick_rs
import msgspec

from tunestack.records.formats import SourceFormat
from tunestack.records.text_rules import COMPLETED, DSPY, LONG, traces
from tunestack.records.tokens import may_be_near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tunestack.records.shapes import Shape, Shapes
    from tunestack.records.target import Target

KEY = re.compile(rb'"\s*:')
LARGE = 2**14
"""Bytes of a line in which keys are not counted, and of a text that is not kept."""
_USUAL = ("system", "user", "assistant")
_SAMPLE = 16
"""Records that tell what to expect of the others."""
# How a value begins that is no text, or a text that may be blank: it ends at once, or begins with an escape or with white
# space, of which Unicode has some.
_NO_TEXT = [bytes([char]) for char in b"[{-0123456789tfn"]
_BLANK = [b'"' + start for start in (b'"', b" ", b"\\", b"\xc2", b"\xe1", b"\xe2", b"\xe3")]
# These are written in another way: an escaped slash as a slash, a letter as itself.
_ESCAPES = [b"\\u", b"\\/"]
_COMPLETED = COMPLETED.encode() + b'"'


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: msgspec.Raw


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Message]


class _Completion(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: msgspec.Raw
    completion: msgspec.Raw

    @property
    def messages(self) -> list[_Message]:
        return [_Message("user", self.prompt), _Message("assistant", self.completion)]


class Verbatim:
    """Copies the texts of plain records for one target."""

    def __init__(self, target: Target, shapes: Shapes) -> None:
        """Prepare the searches."""
        self._target = target
        self._shapes = shapes
        self._known: dict[tuple[str, ...], Shape] = {}
        near = may_be_near(target)
        self._largest = near if near is not None else float("inf")
        usual = [_USUAL[1:]] if target.source is SourceFormat.COMPLETION else [_USUAL[1:], _USUAL]
        learned = map(shapes.of, usual)
        self._ends = frozenset(chain(*(shape.ends for shape in learned if shape is not None)))
        starts = {end + start for end in self._ends for start in (*_NO_TEXT, *_BLANK)}
        # Apart, as the library sorts words into eight buckets by their first three bytes (of the shortest), and what
        # looks like two words of one bucket is looked at in vain: together, they take three times as long.
        words = traces(target)
        names = {word for word in words if word.endswith(b":")}
        self._searches = [*map(_search, (names, {*words - names, *starts}, _ESCAPES))]

    def write(self, lines: Sequence[bytes]) -> tuple[list[bytes], list[int], list[int]]:
        """Write lines.

        Returns:
            What is to be written for each line, nothing for those that must be decoded; how many bytes of texts each
            has; and the places of those.
        """
        outs, sizes, left = self._copied(lines[:_SAMPLE])
        found = self.doubtful(outs) | _no_text(outs)
        if len(left) + len(found) > len(outs) // 2:
            # Most are not written as they stand: the rest is not worth a try.
            return [b""] * len(lines), [0] * len(lines), list(range(len(lines)))
        if len(lines) > _SAMPLE:
            outs, sizes, left = self._copied(lines)
            found = self.doubtful(outs) | _no_text(outs)
        for place in found:
            outs[place] = b""
        return outs, sizes, sorted([*left, *found]) if found else left

    def _copied(self, lines: Iterable[bytes]) -> tuple[list[bytes], list[int], list[int]]:
        """Copy texts, whatever they are; this is where the time goes."""
        kind = _Chat if self._target.source is SourceFormat.CHAT else _Completion
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
        known, largest = self._known, self._largest
        system, dspy = b"", False
        outs: list[bytes] = []
        sizes: list[int] = []
        left: list[int] = []
        for line in lines:
            try:
                messages = decode(line).messages
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                left.append(len(outs))
                outs.append(b"")
                sizes.append(0)
                continue
            texts = [message.content for message in messages]
            roles = tuple([message.role for message in messages])
            shape = known.get(roles) or self._shape(roles)
            if shape is not None:
                if shape.system and (first := bytes(texts[0])) != system:
                    system, dspy = first, _COMPLETED[:-1] in first or DSPY.encode() in first
                parts = shape.parts
                parts[1::2] = texts
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
                        ((dspy and shape.system) or len(texts) > 3)
                        and _dspy_traces(list(map(bytes, texts[shape.system + 1 :: 2])), dspy=dspy)
                    )
                ):
                    outs.append(out)
                    sizes.append(size)
                    continue
            left.append(len(outs))
            outs.append(b"")
            sizes.append(0)
        return outs, sizes, left

    def _shape(self, roles: tuple[str, ...]) -> Shape | None:
        """Learn how conversations of these roles are written, if their texts are as in the source."""
        shape = self._shapes.known.get(roles) or self._shapes.of(roles)
        if shape is None or not shape.quoted or not shape.ends <= self._ends:
            return None
        self._known[roles] = shape
        return shape

    def doubtful(self, outs: list[bytes]) -> set[int]:
        """Find those among what would be written that need more than to be copied."""
        whole = b"".join(outs)
        found = [match[1] for search in self._searches for match in search(whole)]
        doubtful: set[int] = set()
        if found:
            ends = list(accumulate(map(len, outs)))
            doubtful.update(bisect_right(ends, start) for start in found)
        return doubtful


def _search(words: Iterable[bytes]) -> Callable[[bytes], list[tuple[int, int, int]]]:
    # Leftmost first: only then does the library look for many words at once.
    kind = ahocorasick_rs.MatchKind.LeftmostFirst
    return ahocorasick_rs.BytesAhoCorasick(sorted(words), matchkind=kind).find_matches_as_indexes


def _dspy_traces(answers: list[bytes], *, dspy: bool) -> bool:
    """Tell whether `check_dspy` might find something, but for what `traces` finds."""
    if len(answers) > 1 and len(answers[-1]) > LONG and answers[-1] in answers[:-1]:
        return True
    return dspy and not all(answer.endswith(_COMPLETED) for answer in answers)


def _no_text(outs: list[bytes]) -> set[int]:
    """Find what is not UTF-8, which only those who decode a text notice."""
    if _is_text(b"".join(outs)):
        return set()
    return {place for place, out in enumerate(outs) if not _is_text(out)}


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
