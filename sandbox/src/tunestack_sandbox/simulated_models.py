"""The answers of simulated models. Nothing is learned; a header of each response describes the answer.

A fine-tuned model returns the training answer with the most similar question. A base model returns the answer of the most
similar example in the conversation, if there are examples. If the prompt has DSPy's output fields, it fills them in at
random, so that DSPy's optimizers get different answers. Otherwise, its answer says that it is not trained.
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
"""The response header with the sandbox's own information, which no real service has."""

_WORD = re.compile(r"\w+")
# The output fields in the prompts of DSPy's ChatAdapter and XMLAdapter (3.4.1): their names are in the last message, their
# allowed values in the first.
_OUTPUT_FIELDS = re.compile(r"Respond with the corresponding output fields.*", re.DOTALL)
_CHAT_FIELD = re.compile(
    r"`\[\[ ## (\w+) ## \]\]`(?: \(must be formatted as a valid Python (\w+))?"
)
_XML_FIELD = re.compile(r"`<(\w+)>`")
_ALLOWED_VALUES = re.compile(
    r"\{(\w+)\}\s+# note: the value you produce must exactly match \(no extra characters\) one of: (.+)"
)
_DEFAULT_VALUES = {"bool": "False", "int": "0", "float": "0.0", "list": "[]", "dict": "{}"}


class AnswerIndex:
    """The questions and answers of a training file, to find the answer of the most similar question."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Index (question, answer) pairs."""
        self._pairs = [(frozenset(_split_words(question)), answer) for question, answer in pairs]
        self._counts = Counter(word for words, _ in self._pairs for word in words)

    def find_answer(self, question: str) -> tuple[str, float]:
        """Return the answer of the most similar question, and the similarity from 0 to 1.

        The similarity is the share of common words, with more weight for words that are rare in the file, so that a
        template around every question has no effect.
        """
        question_words = frozenset(_split_words(question))

        def similarity(words: frozenset[str]) -> float:
            total = sum(map(self._weight, question_words | words))
            return sum(map(self._weight, question_words & words)) / total if total else 0.0

        words, answer = max(self._pairs, key=lambda pair: similarity(pair[0]))
        return answer, similarity(words)

    def _weight(self, word: str) -> float:
        return math.log((len(self._pairs) + 1) / (self._counts[word] + 0.5))


def answer_untrained(name: str, turns: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the answer of a base model.

    Args:
        name: The name of the model.
        turns: The conversation, as (role, text).

    Returns:
        The answer, and a label that describes it.
    """
    question = turns[-1][1] if turns else ""
    examples = [
        (example, answer)
        for (role, example), (next_role, answer) in pairwise(turns)
        if (role, next_role) == ("user", "assistant")
    ]
    if examples:
        answer, similarity = AnswerIndex(examples).find_answer(question)
        return answer, f"untrained base model; nearest example; nearness={similarity:.2f}"
    fields = _OUTPUT_FIELDS.search(question)
    if fields is not None:
        return _fill_fields(fields[0], question, turns), "untrained base model; by chance"
    return f"[sandbox: an untrained {name} answers nothing]", "untrained base model"


def _fill_fields(instruction: str, question: str, turns: Sequence[tuple[str, str]]) -> str:
    """Fill in DSPy's output fields with random values, the same for the same question."""
    prompt = "\n".join(text for role, text in turns if role != "assistant")
    allowed = dict(_ALLOWED_VALUES.findall(prompt))
    is_xml = not _CHAT_FIELD.search(instruction)
    fields = [(name, "") for name in _XML_FIELD.findall(instruction)]
    lines = []
    for name, kind in fields if is_xml else _CHAT_FIELD.findall(instruction):
        if name == "completed" and not is_xml:
            continue
        options = [option.strip() for option in allowed.get(name, "").split(";") if option.strip()]
        number = zlib.crc32(f"{name}\n{question}".encode())
        value = (
            options[number % len(options)] if options else _DEFAULT_VALUES.get(kind, "by chance")
        )
        lines.append(f"<{name}>\n{value}\n</{name}>" if is_xml else f"[[ ## {name} ## ]]\n{value}")
    return "\n\n".join(lines if is_xml else [*lines, "[[ ## completed ## ]]"])


def _split_words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
