"""What was found in training data: as an object, as text for a person, as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunestack.records.findings import Severity
from tunestack.records.rules import RULES
from tunestack.records.tokens import METHOD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHOWN = 20
"""Problems that a text shows."""
_WIDEST = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in one record, or in the whole file, that is not as it should be."""

    rule: str
    """The rule's name, see `RULES` and docs/training-data-rules.md."""
    severity: Severity
    message: str
    """What is wrong and what was expected; no text of the data."""
    line: int | None = None
    """From 1; of an iterable, the place of the record; `None` for the whole file."""
    offset: int | None = None
    """Where the line begins in the (unzipped) file, in bytes from 0; `None` in an iterable."""
    path: str = "$"
    """Where in the record, as a JSON path."""

    def __str__(self) -> str:
        """Name the place and what is wrong there."""
        if self.line is None:
            return f"{self.message} [{self.rule}]"
        return f"line {self.line}, {self.path}: {self.message} [{self.rule}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """How many tokens the records have, estimated."""

    method: str = METHOD
    total: int = 0
    mean: float = 0
    p50: int = 0
    p90: int = 0
    p99: int = 0
    max: int = 0
    histogram: Mapping[int, int] = field(default_factory=dict)
    """How many records have so many tokens."""

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Tokens:
        """Sum up a histogram."""
        counts = dict(sorted(histogram.items()))
        records = sum(counts.values())
        if not records:
            return cls()
        total = sum(size * count for size, count in counts.items())
        return cls(
            total=total,
            mean=total / records,
            p50=_quantile(counts, 0.5 * records),
            p90=_quantile(counts, 0.9 * records),
            p99=_quantile(counts, 0.99 * records),
            max=max(counts),
            histogram=counts,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was found in a file of training data."""

    model: str
    """The catalog's key of the model whose rules were held against it."""
    format: str
    """What it was written in, or would be."""
    source_format: str
    records: int
    bad_records: int
    unexamined_records: int
    """Records that do not pass at first sight, and were not looked at closer because so many problems were found before."""
    problems: tuple[Problem, ...]
    """In the order of the data, then those of the whole file; of errors and of each warning no more than were asked for."""
    counts: Mapping[str, int]
    """How often each rule was broken, as far as was looked."""
    losses: Mapping[str, int]
    """What was left out because the caller allowed it, and how often, by its place in a record."""
    duplicates: int
    """Records that are there before, in the same words."""
    holds: Mapping[str, int]
    """How many records hold images, videos, tools or reasoning."""
    tokens: Tokens

    @property
    def ok(self) -> bool:
        """Whether a job can be given the data: it was looked at, and there are no errors."""
        return not self.errors and not self.unexamined_records

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stand against a job."""
        return tuple(self._of(Severity.ERROR))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that a job does not fail on."""
        return tuple(self._of(Severity.WARNING))

    @property
    def hints(self) -> tuple[Problem, ...]:
        """What is worth a look."""
        return tuple(self._of(Severity.HINT))

    def counted(self, severity: Severity) -> int:
        """Count the problems of a severity, those that are not listed too."""
        return sum(count for name, count in self.counts.items() if RULES[name].severity is severity)

    def _of(self, severity: Severity) -> Iterator[Problem]:
        return (problem for problem in self.problems if problem.severity is severity)

    def to_dict(self) -> dict[str, Any]:
        """Write the report as what JSON has."""
        return {
            "ok": self.ok,
            "model": self.model,
            "source_format": self.source_format,
            "format": self.format,
            "records": self.records,
            "bad_records": self.bad_records,
            "unexamined_records": self.unexamined_records,
            "errors": self.counted(Severity.ERROR),
            "warnings": self.counted(Severity.WARNING),
            "hints": self.counted(Severity.HINT),
            "counts": dict(self.counts),
            "losses": dict(self.losses),
            "duplicates": self.duplicates,
            "holds": dict(self.holds),
            "tokens": {
                "method": self.tokens.method,
                "total": self.tokens.total,
                "mean": round(self.tokens.mean, 1),
                "p50": self.tokens.p50,
                "p90": self.tokens.p90,
                "p99": self.tokens.p99,
                "max": self.tokens.max,
                "histogram": {str(size): count for size, count in self.tokens.histogram.items()},
            },
            "problems": [
                {
                    "severity": problem.severity.value,
                    "rule": problem.rule,
                    "line": problem.line,
                    "offset": problem.offset,
                    "path": problem.path,
                    "message": problem.message,
                }
                for problem in self.problems
            ],
        }

    def text(self, *, most: int = _SHOWN, tokens: bool = True) -> str:
        """Write the report for a person.

        Args:
            most: how many problems of each severity are shown.
            tokens: whether to tell how long records are.
        """
        return "\n".join(self._lines(most, tokens=tokens))

    def _lines(self, most: int, *, tokens: bool) -> Iterator[str]:
        judged = "can be used" if self.ok else "can't be used as it is"
        yield f"{self.records:,} record{'' if self.records == 1 else 's'} ({self.source_format}) for {self.model} ({self.format}): {judged}"
        if self.bad_records:
            yield f"  with errors: {self.bad_records:,}"
        if self.unexamined_records:
            yield (
                f"  {self.unexamined_records:,} more do not pass at first sight; "
                "they were not looked at closer, for there are enough errors before"
            )
        for severity in Severity:
            yield from self._problems(severity, most)
        if self.losses:
            yield ""
            yield "left out, as was asked for:"
            for what, count in self.losses.items():
                yield f"  {count:>9,} x {what}"
        held = ", ".join(f"{count:,} with {kind}" for kind, count in self.holds.items())
        if held:
            yield ""
            yield f"records beside text: {held}"
        if tokens and self.tokens.total:
            yield ""
            yield from self._length()

    def _problems(self, severity: Severity, most: int) -> Iterator[str]:
        count = self.counted(severity)
        if not count:
            return
        yield ""
        rules = ", ".join(
            f"{name} {times:,}"
            for name, times in self.counts.items()
            if RULES[name].severity is severity
        )
        yield f"{count:,} {severity.value}{'s' if count > 1 else ''} ({rules}):"
        shown = list(self._of(severity))[:most]
        yield from (f"  {problem}" for problem in shown)
        if count > len(shown):
            yield f"  ... and {count - len(shown):,} more"

    def _length(self) -> Iterator[str]:
        tokens = self.tokens
        yield (
            f"tokens, estimated ({tokens.method}): {tokens.total:,} in all; "
            f"a record has {tokens.mean:,.0f} on average, "
            f"half have up to {tokens.p50:,}, 90 % up to {tokens.p90:,}, the longest {tokens.max:,}"
        )
        yield from _bars(tokens.histogram)


def _quantile(counts: Mapping[int, int], wanted: float) -> int:
    seen = 0
    for size, count in counts.items():
        seen += count
        if seen >= wanted:
            return size
    return max(counts)


def _bars(histogram: Mapping[int, int]) -> Iterator[str]:
    """Draw how long records are, in steps that double or grow tenfold as a person counts: 1, 2, 5, 10, ..."""
    steps = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
    counts: dict[int, int] = {}
    for size, count in histogram.items():
        step = next(step for step in steps if size <= step)
        counts[step] = counts.get(step, 0) + count
    widest = max(counts.values())
    low, high = min(counts), max(counts)
    for step in steps:
        if low <= step <= high:
            count = counts.get(step, 0)
            bar = "#" * max(round(_WIDEST * count / widest), bool(count))
            yield f"  up to {step:>9,}  {bar:<{_WIDEST}} {count:,}"
