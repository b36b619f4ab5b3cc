"""Metrics: each gives a row for each answer, and a value from 0 to 1 for many rows."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack._utils.functions import load_function
from tunestack.errors import ConfigError, TunestackError, shortened
from tunestack.evaluation import libraries
from tunestack.evaluation.statistics import mean

if TYPE_CHECKING:
    from tunestack.backends.base import ToolCall
    from tunestack.evaluation.examples import Example
    from tunestack.evaluation.journal import Answer

OTHER = "(other)"
"""The predicted label of answers that are no label of the held-out set."""

Function = Callable[..., Any]
MetricArgument = "str | Function"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric."""

    name: str
    row: Callable[[Example, Answer], Any]
    """Returns what `aggregate` needs of one answer: by default a score from 0 to 1."""
    aggregate: Callable[[Sequence[Any]], float] = mean
    score: Callable[[Any], float] = float
    """Returns the score of one row, for the table of the records."""
    confusion: bool = False
    """Whether the rows are pairs of labels: the expected and the predicted one."""


def create_metrics(specs: Sequence[str | Function], examples: Sequence[Example]) -> list[Metric]:
    """Create the metrics with these names.

    Args:
        specs: a name of `METRICS`, `regex:PATTERN`, `module:function`, `dspy:module:function`, or a function.
        examples: the held-out set, which has the labels.

    Raises:
        ConfigError: a metric is unknown, or given twice.
    """
    if not specs:
        raise ConfigError(f"there is no metric: use one or more of {', '.join(METRICS)}")
    metrics = [_create(spec, examples) for spec in specs]
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"metric {shortened(name)} is given twice")
    return metrics


def _create(spec: str | Function, examples: Sequence[Example]) -> Metric:
    if callable(spec):
        return create_function_metric(getattr(spec, "__name__", type(spec).__name__), spec)
    if spec in _LABELS:
        return _create_label_metric(spec, examples)
    if spec in METRICS:
        return METRICS[spec]() if spec in LIBRARIES else Metric(name=spec, row=METRICS[spec])
    kind, colon, rest = spec.partition(":")
    if kind == "regex" and colon:
        return Metric(name=spec, row=partial(_regex, _compile(rest)))
    if kind == "dspy" and colon:
        return create_dspy_metric(rest, load_function(rest))
    if colon:
        return create_function_metric(spec, load_function(spec))
    raise ConfigError(
        f"unknown metric {shortened(spec)}: use {', '.join(METRICS)}, regex:PATTERN, module:function or dspy:module:function"
    )


def create_function_metric(name: str, function: Function) -> Metric:
    """Return the metric of a function of the expected text and the answer, which returns a number or whether it is correct."""

    def row(example: Example, answer: Answer) -> float:
        return _number(name, function, example.expected, answer.text)

    return Metric(name=name, row=row)


def create_dspy_metric(name: str, function: Function) -> Metric:
    """Return the metric of a DSPy metric: a function of a `dspy.Example` and a `dspy.Prediction`.

    The fields of both are those that DSPy's ChatAdapter writes (`[[ ## name ## ]]`). A text without such fields is the field
    `completion`. The example also has the fields of the record.
    """
    dspy = libraries.load("dspy", "dspy")

    def row(example: Example, answer: Answer) -> float:
        expected = dspy.Example(**{**example.record, **dspy_fields(example.expected)})
        return _number(name, function, expected, dspy.Prediction(**dspy_fields(answer.text)))

    return Metric(name=name, row=row)


_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]\s*")


def dspy_fields(text: str) -> dict[str, str]:
    """Return the fields of a text that DSPy's ChatAdapter wrote."""
    first, *parts = _FIELD.split(text)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    fields = {name: value.strip() for name, value in pairs if name != "completed"}
    return fields or {"completion": first}


def _number(name: str, function: Function, *arguments: object) -> float:
    try:
        return float(function(*arguments))
    except TunestackError:
        raise
    except Exception as error:  # whatever a user's function raises
        raise ConfigError(
            f"metric {shortened(name)} failed: {type(error).__name__}: {error}: "
            "it must accept the expected and the actual answer, and return a number or a bool"
        ) from error


def _exact_match(example: Example, answer: Answer) -> float:
    return float(answer.text.strip() == example.expected.strip())


def normalize(text: str) -> str:
    """Return a text in lower case, without punctuation, English articles and additional spaces, as SQuAD's script does.

    Source: the official evaluation script of SQuAD 1.1, `normalize_answer`.
    """
    without_punctuation = "".join(
        character for character in text.lower() if character not in string.punctuation
    )
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", without_punctuation).split())


def _normalized_match(example: Example, answer: Answer) -> float:
    return float(normalize(answer.text) == normalize(example.expected))


def _token_f1(example: Example, answer: Answer) -> float:
    expected, predicted = normalize(example.expected).split(), normalize(answer.text).split()
    if not expected or not predicted:
        # SQuAD 2.0's script: two empty answers are equal.
        return float(expected == predicted)
    common = (Counter(expected) & Counter(predicted)).total()
    return 2 * common / (len(expected) + len(predicted))


def _json_valid(_: Example, answer: Answer) -> float:
    return float(_parse(answer.text) is not _INVALID)


_INVALID = object()


def _parse(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return _INVALID
    return parsed


def _json_fields(example: Example, answer: Answer) -> float:
    """Return the share of the expected fields, nested ones too, that have the expected value."""
    expected = _parse(example.expected)
    if expected is _INVALID:
        raise ConfigError(
            f"metric 'json_fields': the expected answer in line {example.line} is not JSON: use another metric"
        )
    fields, actual = dict(_leaves(expected)), dict(_leaves(_parse(answer.text)))
    equal = sum(
        path in actual
        and actual[path] == value
        # In Python, 1 equals True.
        and isinstance(actual[path], bool) is isinstance(value, bool)
        for path, value in fields.items()
    )
    return equal / len(fields)


def _leaves(document: object) -> Iterator[tuple[tuple[object, ...], object]]:
    """Yield the values in a JSON document that have no parts, with their paths."""
    pending: list[tuple[tuple[object, ...], object]] = [((), document)]
    while pending:
        path, value = pending.pop()
        if value and isinstance(value, dict):
            pending += [((*path, key), part) for key, part in value.items()]
        elif value and isinstance(value, list):
            pending += [((*path, index), part) for index, part in enumerate(value)]
        else:
            yield path, value


def _tool_calls(example: Example, answer: Answer) -> float:
    """Return whether the same tools are called with the same arguments, in any order."""
    expected, actual = (
        Counter(map(_describe_call, calls)) for calls in (example.expected_calls, answer.tool_calls)
    )
    return float(expected == actual)


def _describe_call(call: ToolCall) -> tuple[object, ...]:
    """Return the name of a tool and its arguments, so that equal calls are equal; the arguments may be nested deeply."""
    return call.name, frozenset((path, json.dumps(value)) for path, value in _leaves(call.input))


def _regex(pattern: re.Pattern[str], _: Example, answer: Answer) -> float:
    return float(pattern.search(answer.text) is not None)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"invalid regular expression {shortened(pattern)}: {error}") from error


def _label(text: str) -> str:
    return text.strip().casefold()


def _create_label_metric(name: str, examples: Sequence[Example]) -> Metric:
    """Create `accuracy` or `macro_f1`, with the labels of the expected answers."""
    labels = {_label(example.expected) for example in examples}

    def row(example: Example, answer: Answer) -> tuple[str, str]:
        predicted = _label(answer.text)
        return _label(example.expected), predicted if predicted in labels else OTHER

    return Metric(name=name, row=row, aggregate=_LABELS[name], score=_is_same_label, confusion=True)


def _is_same_label(row: tuple[str, str]) -> float:
    return float(row[0] == row[1])


def _accuracy(rows: Sequence[tuple[str, str]]) -> float:
    return mean([float(expected == predicted) for expected, predicted in rows])


def _macro_f1(rows: Sequence[tuple[str, str]]) -> float:
    """Return the mean of the F1 of each expected label: 2 x correct / (expected + predicted)."""
    counts = Counter(rows)
    expected: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    for (label, guess), number in counts.items():
        expected[label] += number
        predicted[guess] += number
    return mean(
        [
            2 * counts[label, label] / (number + predicted[label])
            for label, number in expected.items()
        ]
    )


def _rouge_l() -> Metric:
    return Metric(name="rouge_l", row=libraries.rouge_l())


def _chrf() -> Metric:
    return Metric(name="chrf", row=libraries.chrf())


def _bleu() -> Metric:
    row, aggregate = libraries.bleu()
    return Metric(name="bleu", row=row, aggregate=aggregate, score=lambda row: aggregate([row]))


_LABELS: dict[str, Callable[[Sequence[Any]], float]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
}
LIBRARIES = ("bleu", "chrf", "rouge_l")

METRICS: dict[str, Function] = {
    "exact_match": _exact_match,
    "normalized_match": _normalized_match,
    "token_f1": _token_f1,
    "rouge_l": _rouge_l,
    "bleu": _bleu,
    "chrf": _chrf,
    "json_valid": _json_valid,
    "json_fields": _json_fields,
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "tool_calls": _tool_calls,
}
"""The metrics by name."""
