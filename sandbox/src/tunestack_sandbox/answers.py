"""What the models of the sandbox answer: nothing is learned here, and every answer says so in its header.

A tuned model gives the training answer whose question is nearest. An untrained one that is shown examples gives the answer
of the nearest of these; one that is told in DSPy's way what to answer with does so by chance, so that DSPy's optimizers have
something to choose from; else it says that it is untrained.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL = "x-tunestack-sandbox"
"""The header in which the sandbox says what no vendor would."""

_WORD = re.compile(r"\w+")
# How DSPy's ChatAdapter and XMLAdapter ask for fields, in the last message, and what each may be, in the first (3.4.1).
_ASKED = re.compile(r"Respond with the corresponding output fields.*", re.DOTALL)
_MARKED = re.compile(r"`\[\[ ## (\w+) ## \]\]`(?: \(must be formatted as a valid Python (\w+))?")
_TAGGED = re.compile(r"`<(\w+)>`")
_CHOICES = re.compile(
    r"\{(\w+)\}\s+# note: the value you produce must exactly match \(no extra characters\) one of: (.+)"
)
_PLAIN = {"bool": "False", "int": "0", "float": "0.0", "list": "[]", "dict": "{}"}


class Memory:
    """Questions and answers of a training file."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Take (question, answer) pairs."""
        self._pairs = [(frozenset(_words(question)), answer) for question, answer in pairs]
        self._seen_in = Counter(word for words, _ in self._pairs for word in words)

    def answer(self, question: str) -> tuple[str, float]:
        """Return the nearest training answer, and how near its question is, from 0 to 1.

        Nearness is the share of common words, each weighing the more the rarer it is in the file,
        so that a template around every question does not count.
        """
        asked = frozenset(_words(question))

        def nearness(words: frozenset[str]) -> float:
            either = sum(map(self._weight, asked | words))
            return sum(map(self._weight, asked & words)) / either if either else 0.0

        words, answer = max(self._pairs, key=lambda pair: nearness(pair[0]))
        return answer, nearness(words)

    def _weight(self, word: str) -> float:
        return math.log((len(self._pairs) + 1) / (self._seen_in[word] + 0.5))


def untrained(name: str, turns: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Answer as a base model.

    Args:
        name: the model's.
        turns: the conversation, (role, text).

    Returns:
        The answer, and what it is.
    """
    asked = turns[-1][1] if turns else ""
    examples = [
        (question, answer)
        for (role, question), (next_role, answer) in pairwise(turns)
        if (role, next_role) == ("user", "assistant")
    ]
    if examples:
        answer, nearness = Memory(examples).answer(asked)
        return answer, f"untrained base model; nearest example; nearness={nearness:.2f}"
    wanted = _ASKED.search(asked)
    if wanted is not None:
        return _by_chance(wanted[0], asked, turns), "untrained base model; by chance"
    return f"[sandbox: an untrained {name} answers nothing]", "untrained base model"


def _by_chance(wanted: str, asked: str, turns: Sequence[tuple[str, str]]) -> str:
    """Fill in the fields that are asked for, always the same for the same question."""
    choices = dict(_CHOICES.findall("\n".join(text for role, text in turns if role != "assistant")))
    fields = _MARKED.findall(wanted) or [(name, "") for name in _TAGGED.findall(wanted)]
    tagged = not _MARKED.search(wanted)
    lines = []
    for name, kind in fields:
        if name == "completed" and not tagged:
            continue
        options = [option.strip() for option in choices.get(name, "").split(";") if option.strip()]
        drawn = zlib.crc32(f"{name}\n{asked}".encode())
        value = options[drawn % len(options)] if options else _PLAIN.get(kind, "by chance")
        lines.append(f"<{name}>\n{value}\n</{name}>" if tagged else f"[[ ## {name} ## ]]\n{value}")
    return "\n\n".join([*lines, *([] if tagged else ["[[ ## completed ## ]]"])])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
