"""The metrics of the packages of the extra `evaluate`: rouge-score and sacrebleu."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tunestack._utils.extras import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunestack.evaluation.examples import Example
    from tunestack.evaluation.journal import Answer

_WORD = re.compile(r"\w+")


def load(name: str, extra: str = "evaluate") -> Any:
    """Import a module of an extra.

    Raises:
        MissingExtraError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_extra(extra, error) from error


class _Words:
    """A tokenizer for all scripts: that of rouge-score leaves out everything but ASCII letters and digits."""

    def tokenize(self, text: str) -> list[str]:
        """Split into words in lower case."""
        return _WORD.findall(text.lower())


def rouge_l() -> Callable[[Example, Answer], float]:
    """Return a function for ROUGE-L (F-measure) of one answer."""
    scorer = load("rouge_score.rouge_scorer").RougeScorer(["rougeL"], tokenizer=_Words())

    def score(example: Example, answer: Answer) -> float:
        return float(scorer.score(example.expected, answer.text)["rougeL"].fmeasure)

    return score


def chrf() -> Callable[[Example, Answer], float]:
    """Return a function for chrF2 of one answer, from 0 to 1."""
    metric = load("sacrebleu").CHRF()

    def score(example: Example, answer: Answer) -> float:
        return float(metric.sentence_score(answer.text, [example.expected]).score) / 100

    return score


_Counts = tuple[tuple[int, ...], tuple[int, ...], int, int]


def bleu() -> tuple[Callable[[Example, Answer], _Counts], Callable[[Sequence[_Counts]], float]]:
    """Return functions for the counts of n-grams of one answer, and for BLEU of many, from 0 to 1."""
    metric = load("sacrebleu").BLEU()
    single = load("sacrebleu").BLEU(effective_order=True)

    def count(example: Example, answer: Answer) -> _Counts:
        found = single.sentence_score(answer.text, [example.expected])
        return tuple(found.counts), tuple(found.totals), found.sys_len, found.ref_len

    def aggregate(rows: Sequence[_Counts]) -> float:
        counts, totals, lengths, expected_lengths = zip(*rows, strict=True)
        result = metric.compute_bleu(
            [sum(column) for column in zip(*counts, strict=True)],
            [sum(column) for column in zip(*totals, strict=True)],
            sum(lengths),
            sum(expected_lengths),
            smooth_method=metric.smooth_method,
            effective_order=len(rows) == 1,
        )
        return float(result.score) / 100

    return count, aggregate
