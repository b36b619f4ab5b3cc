"""Which records belong to one conversation, so that a split keeps them together and an overlap is found.

Logs and traces often have a record for each turn of a conversation, and each contains the earlier turns. Records belong to the
same conversation if their first question is the same, apart from case, spaces and the system prompt. Questions that many
records share, such as few-shot examples in front of each, are skipped.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_QUESTIONS = 16
"""Questions of a record that are compared."""
_COMMON_COUNT = 10
_COMMON_SHARE = 0.2
"""A first question in more than this share of the records, and in more than 10, is an example in front of each."""
_SPACES = re.compile(r"\s+")
# DSPy's ReAct repeats the input fields, and appends to this one in each step.
_TRAJECTORY = "[[ ## trajectory ## ]]"


class Conversations:
    """The questions of the records of a file, as hashes in order."""

    def __init__(self) -> None:
        """Start without records."""
        self._hashes = array("Q")
        self._ends = array("Q")

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record in one of Tunestack's formats."""
        texts = _questions(record)[:_MAX_QUESTIONS]
        self._hashes.extend(map(_hash, texts or [orjson.dumps(record).decode()]))
        self._ends.append(len(self._hashes))

    def keys(self) -> array[int]:
        """Return a key for each record: equal keys are the same conversation."""
        common = self._common_questions()
        keys = array("Q")
        start = 0
        for end in self._ends:
            questions = self._hashes[start:end]
            keys.append(next((key for key in questions if key not in common), questions[-1]))
            start = end
        return keys

    def _common_questions(self) -> set[int]:
        """Return the questions that are in front of many conversations."""
        counts: Counter[int] = Counter()
        start = 0
        for end in self._ends:
            # The last question of a record is its own, whatever its number.
            counts.update(set(self._hashes[start : end - 1]))
            start = end
        limit = max(_COMMON_COUNT, _COMMON_SHARE * len(self._ends))
        return {key for key, count in counts.items() if count > limit}


def _hash(text: str) -> int:
    text = text.partition(_TRAJECTORY)[0]
    normalized = _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()
    return xxhash.xxh3_64_intdigest(normalized.encode("utf-8", "surrogatepass"))


def _questions(record: Mapping[str, Any]) -> list[str]:
    """Return the texts of the user's messages, or the prompt."""
    source = record.get("input") if "preferred_output" in record else record
    messages = source.get("messages") if isinstance(source, dict) else None
    if isinstance(messages, list):
        users = [turn for turn in messages if isinstance(turn, dict) and turn.get("role") == "user"]
        return [_text(turn.get("content")) for turn in users]
    prompts = [
        record[name] for name in ("prompt", "inputText") if isinstance(record.get(name), str)
    ]
    return prompts[:1]


def _text(content: Any) -> str:
    """Return the text of a message: a string, or the texts of its parts; other parts as JSON."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return orjson.dumps(content).decode()
    return "".join(
        part["text"]
        if isinstance(part, dict) and isinstance(part.get("text"), str)
        else orjson.dumps(part).decode()
        for part in content
    )
