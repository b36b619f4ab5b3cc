"""The fast path: convert plain records that keep every rule.

A plain record has only texts: an optional system message, then alternating user and assistant messages. The fast path
never reports a problem: it returns `None` for every record that may break a rule, and the slow path decides. Both write the
same bytes, because the bytes around the texts come from the slow path, once for each sequence of roles.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson

from tunestack.catalog import RecordFormat
from tunestack.records.line_templates import LineTemplates
from tunestack.records.text_rules import (
    ANSWER,
    PROMPT,
    contains_match,
    may_break_dspy_rule,
    search_patterns,
)
from tunestack.records.tokens import largest_size_below_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunestack.records.line_templates import LineTemplate
    from tunestack.records.target import Target

_MAX_SYSTEM_PROMPTS = 256
"""System prompts whose JSON is cached."""
_MAX_CACHED_LENGTH = 2**14
_KEY = re.compile(rb'"\s*:')


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


_RECORD_TYPES: dict[RecordFormat, type[_Chat | _Completion]] = {
    RecordFormat.CHAT: _Chat,
    RecordFormat.COMPLETION: _Completion,
}


class FastPath:
    """Converts plain records for one target."""

    def __init__(self, target: Target) -> None:
        """Compile the patterns of the target's rules."""
        record_type = _RECORD_TYPES.get(target.source) if target.source is not None else None
        self._decode: Callable[[bytes], Any] | None = (
            None if record_type is None else msgspec.json.Decoder(record_type).decode
        )
        self._templates = LineTemplates(target)
        self._prompt_patterns = search_patterns(target, PROMPT)
        self._answer_patterns = search_patterns(target, ANSWER)
        self._max_size = largest_size_below_limits(target)
        self._system_prompts: dict[str, bytes | None] = {}
        self._systems = 0

    def take_systems(self) -> int:
        """Return how many records with a system prompt were converted since the last call."""
        systems, self._systems = self._systems, 0
        return systems

    def convert(self, lines: Sequence[bytes]) -> tuple[list[bytes], list[int], list[int]]:
        """Convert lines.

        Returns:
            The converted line for each line, empty if the slow path has to decide; the sizes of the texts of the
            converted records; and the indices of the lines for the slow path.
        """
        if self._decode is None:
            return [b""] * len(lines), [], list(range(len(lines)))
        converted: list[bytes] = []
        sizes: list[int] = []
        remaining: list[int] = []
        convert_line = self._convert_line
        for line in lines:
            result = convert_line(line)
            if result is None:
                remaining.append(len(converted))
                converted.append(b"")
            else:
                converted.append(result[0])
                sizes.append(result[1])
        return converted, sizes, remaining

    def _convert_line(self, line: bytes) -> tuple[bytes, int] | None:
        try:
            messages = self._decode(line).messages  # type: ignore[misc]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        template = self._templates.get(tuple([message.role for message in messages]))
        if template is None:
            return None
        texts = [message.content for message in messages]
        encoded = self._encode_texts(texts, template)
        # A single question and its answer break no rule of DSPy.
        if encoded is None or (
            len(texts) > 2 and may_break_dspy_rule(texts, has_system=template.has_system)
        ):
            return None
        converted = template.fill(encoded)
        size = len(converted) - template.frame_size
        if size > self._max_size:
            return None
        # The length of a line, and then what takes more time, proves that no object has a key twice: the decoder would drop
        # the first value.
        if len(line) - len(converted) not in template.length_differences and not _has_unique_keys(
            line, template
        ):
            return None
        if template.has_system:
            self._systems += 1
        return converted, size

    def _encode_texts(self, texts: list[str], template: LineTemplate) -> list[bytes] | None:
        """Encode texts as JSON; return `None` if one of them may break a rule."""
        encoded = []
        if template.has_system:
            system = self._encode_system_prompt(texts[0])
            if system is None:
                return None
            encoded.append(system)
        patterns = self._prompt_patterns
        for text in texts[len(encoded) :]:
            if not text or text.isspace():
                return None
            for anchor, search in patterns:  # `contains_match` without a call for each text
                if anchor in text and search(text):
                    return None
            encoded.append(orjson.dumps(text))
            patterns = (
                self._answer_patterns
                if patterns is self._prompt_patterns
                else self._prompt_patterns
            )
        return encoded

    def _encode_system_prompt(self, text: str) -> bytes | None:
        """Encode a system prompt; most records of a file share a few."""
        try:
            return self._system_prompts[text]
        except KeyError:
            pass
        encoded = None
        if text and not text.isspace() and not contains_match(text, self._prompt_patterns):
            encoded = orjson.dumps(text)
        if len(self._system_prompts) < _MAX_SYSTEM_PROMPTS and len(text) < _MAX_CACHED_LENGTH:
            self._system_prompts[text] = encoded
        return encoded


def _has_unique_keys(line: bytes, template: LineTemplate) -> bool:
    """Return whether a line has as many keys as its template: its quotes, its known keys, all its keys."""
    if line.count(b'"') == template.quote_count:
        return True
    # A key that is written with an escape would not be counted.
    if b"\\u" not in line and all(line.count(key) == count for key, count in template.key_counts):
        return True
    return len(line) < _MAX_CACHED_LENGTH and len(_KEY.findall(line)) == template.key_count
