"""The report on training data: as an object, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from tunestack.records.findings import Severity, without_indices
from tunestack.records.rules import RULES
from tunestack.records.target import Rendering
from tunestack.records.tokens import METHOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LISTED_PROBLEMS = 20
"""Problems of each severity in the text."""
_BAR_WIDTH = 40


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem in one record or in the whole file."""

    rule: str
    """The rule's name, see `RULES` and docs/training-data-rules.md."""
    severity: Severity
    message: str
    """The problem and the expected value. Never contains a text of the data."""
    line: int | None = None
    """Line number, or index of the record in an iterable, from 1; `None` for the whole file."""
    offset: int | None = None
    """Bytes before the line in the (decompressed) file; `None` for an iterable."""
    path: str = "$"
    """JSON path in the record."""

    def __str__(self) -> str:
        """Return the line, the path and the message."""
        if self.line is None:
            return f"{self.message} [{self.rule}]"
        return f"line {self.line}, {self.path}: {self.message} [{self.rule}]"


_LISTED_LINES = 3
"""Lines that are listed for a problem that many records have."""


def group_problems(problems: Iterable[Problem]) -> Iterator[str]:
    """Return a text for each problem, and one for problems that differ only in their line and the indices of their path."""
    groups: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        path = "" if problem.line is None else without_indices(problem.path)
        groups.setdefault((problem.rule, path, problem.message), []).append(problem)
    for (rule, path, message), group in groups.items():
        lines = list(dict.fromkeys(problem.line for problem in group))
        if len(lines) < 2:
            yield from map(str, group)
            continue
        listed = ", ".join(map(str, lines[:_LISTED_LINES]))
        more = len(lines) - _LISTED_LINES
        others = f" and {more:,} more" if more > 0 else ""
        yield f"lines {listed}{others}, {path}: {message} [{rule}]"


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Estimated tokens per record."""

    method: str = METHOD
    total: int = 0
    mean: float = 0
    p50: int = 0
    p90: int = 0
    p99: int = 0
    max: int = 0
    histogram: Mapping[int, int] = msgspec.field(default_factory=dict)
    """Records by their number of tokens."""

    @classmethod
    def from_histogram(cls, histogram: Mapping[int, int]) -> Tokens:
        """Compute the statistics of a histogram."""
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


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of checking training data."""

    model: str
    """Catalog key of the model whose rules were checked."""
    format: str
    """Format of the converted records."""
    source_format: str
    """Format of the data."""
    rendering: Rendering | None
    """How prompts are written: `raw` or `chat-template`; `None` for formats with messages."""
    records: int
    invalid_records: int
    """Records with errors."""
    unchecked_records: int
    """Records that were not checked completely, because the data has too many errors."""
    problems: tuple[Problem, ...]
    """In the order of the data, then those of the whole file; at most `max_problems` of each rule."""
    counts: Mapping[str, int]
    """How often each rule was broken."""
    losses: Mapping[str, int]
    """Content that was left out (with `on_loss="report"`), and how often, by its path in a record."""
    duplicates: int
    """Records that are equal to an earlier record."""
    content: Mapping[str, int]
    """Records with each kind of content other than text: `image`, `video`, `audio`, `tools`, `reasoning`."""
    tokens: Tokens
    notices: tuple[str, ...] = ()
    """How the data was read, if it is not in one of Tunestack's formats: the container, the mapping, unused fields."""

    @property
    def ok(self) -> bool:
        """Whether the data can be used for a job: all records were checked, and there are no errors."""
        return not self.errors and not self.unchecked_records

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that prevent a job."""
        return tuple(self._of(Severity.ERROR))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not prevent a job."""
        return tuple(self._of(Severity.WARNING))

    @property
    def hints(self) -> tuple[Problem, ...]:
        """The possible improvements."""
        return tuple(self._of(Severity.HINT))

    def count(self, severity: Severity) -> int:
        """Count the problems of a severity, including those that are not listed."""
        return sum(count for name, count in self.counts.items() if RULES[name].severity is severity)

    def _of(self, severity: Severity) -> Iterator[Problem]:
        return (problem for problem in self.problems if problem.severity is severity)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as an object for JSON."""
        return {
            "ok": self.ok,
            "model": self.model,
            "source_format": self.source_format,
            "format": self.format,
            "rendering": self.rendering,
            "records": self.records,
            "invalid_records": self.invalid_records,
            "unchecked_records": self.unchecked_records,
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "hints": self.count(Severity.HINT),
            "counts": dict(self.counts),
            "losses": dict(self.losses),
            "duplicates": self.duplicates,
            "notices": list(self.notices),
            "content": dict(self.content),
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

    def _repr_html_(self) -> str:
        """Show the report in a notebook."""
        from tunestack._utils.html import rows_table  # noqa: PLC0415 - for notebooks only

        title, *notices = (line.strip() for line in self._summary_lines())
        tokens = f"{self.tokens.total:,}, estimated as {self.tokens.method}"
        rows = [
            *(("notice", notice) for notice in notices),
            *(
                (severity.value, text)
                for severity in Severity
                for text in islice(group_problems(self._of(severity)), _LISTED_PROBLEMS)
            ),
            *(("left out", f"{count:,} x {what}") for what, count in self.losses.items()),
            ("duplicates", f"{self.duplicates:,}"),
            ("tokens", tokens),
            *(
                (f"records up to {size:,} tokens", f"{count:,}")
                for size, count in length_buckets(self.tokens.histogram).items()
            ),
        ]
        return rows_table(title, (), rows)

    def text(self, *, limit: int = _LISTED_PROBLEMS, tokens: bool = True) -> str:
        """Return the report as text.

        Args:
            limit: the number of listed problems of each severity.
            tokens: whether the text includes the statistics of tokens.
        """
        return "\n".join(self._lines(limit, tokens=tokens))

    def _lines(self, limit: int, *, tokens: bool) -> Iterator[str]:
        yield from self._summary_lines()
        for severity in Severity:
            yield from self._problem_lines(severity, limit)
        if self.losses:
            yield ""
            yield "left out (--on-loss report):"
            for what, count in self.losses.items():
                yield f"  {count:>9,} x {what}"
        content = ", ".join(f"{count:,} with {kind}" for kind, count in self.content.items())
        if content:
            yield ""
            yield f"records with other content than text: {content}"
        if tokens and self.tokens.total:
            yield ""
            yield from self._token_lines()

    def _summary_lines(self) -> Iterator[str]:
        verdict = "valid" if self.ok else "invalid"
        yield f"{self.records:,} record{'' if self.records == 1 else 's'} ({self.source_format}) for {self.model} ({self.format}): {verdict}"
        yield from (f"  {notice}" for notice in self.notices)
        if self.invalid_records:
            yield f"  with errors: {self.invalid_records:,}"
        if self.unchecked_records:
            yield f"  not checked, because of too many errors: {self.unchecked_records:,}"

    def _problem_lines(self, severity: Severity, limit: int) -> Iterator[str]:
        count = self.count(severity)
        if not count:
            return
        yield ""
        rules = ", ".join(
            f"{name} {times:,}"
            for name, times in self.counts.items()
            if RULES[name].severity is severity
        )
        yield f"{count:,} {severity.value}{'s' if count > 1 else ''} ({rules}):"
        problems = list(self._of(severity))
        groups = list(group_problems(problems))
        yield from (f"  {group}" for group in groups[:limit])
        if len(groups) > limit:
            yield f"  ... and {len(groups) - limit:,} other problems"
        elif count > len(problems):
            yield f"  ... and {count - len(problems):,} more"

    def _token_lines(self) -> Iterator[str]:
        tokens = self.tokens
        yield (
            f"tokens, estimated as {tokens.method}: total {tokens.total:,}; per record: "
            f"mean {tokens.mean:,.0f}, p50 {tokens.p50:,}, p90 {tokens.p90:,}, max {tokens.max:,}"
        )
        yield from _bars(tokens.histogram)


def _quantile(counts: Mapping[int, int], rank: float) -> int:
    seen = 0
    for size, count in counts.items():
        seen += count
        if seen >= rank:
            return size
    return max(counts)


def length_buckets(histogram: Mapping[int, int]) -> dict[int, int]:
    """Count the records by their length, with the upper limits 1, 2, 5, 10, 20, 50, ..."""
    steps = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
    counts: dict[int, int] = {}
    for size, count in histogram.items():
        step = next(step for step in steps if size <= step)
        counts[step] = counts.get(step, 0) + count
    low, high = min(counts, default=1), max(counts, default=0)
    return {step: counts.get(step, 0) for step in steps if low <= step <= high}


def _bars(histogram: Mapping[int, int]) -> Iterator[str]:
    """Draw the histogram of record lengths."""
    counts = length_buckets(histogram)
    highest = max(counts.values())
    for step, count in counts.items():
        bar = "#" * max(round(_BAR_WIDTH * count / highest), bool(count))
        yield f"  up to {step:>9,}  {bar:<{_BAR_WIDTH}} {count:,}"
