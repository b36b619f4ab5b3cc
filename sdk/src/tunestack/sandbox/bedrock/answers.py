"""What a tuned model of the sandbox answers: the training answer whose question is nearest.

Nothing is learned here, and every answer says so in its `x-tunestack-sandbox` header.
"""

from __future__ import annotations

import math
import re
from collections import Counter

_WORD = re.compile(r"\w+")


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


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
