"""The result of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tunestack._utils.html import join, rows_table, tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tunestack.evaluation.gate import GateResult
    from tunestack.evaluation.statistics import Interval

_FEW = 30


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """The results of one model."""

    name: str
    model: str
    values: Mapping[str, float]
    """The value of each metric, from 0 to 1."""
    intervals: Mapping[str, Interval]
    """The 95 % confidence interval of each value."""
    latency: Mapping[str, float]
    """Seconds from request to response, as percentiles (`p50`, `p90`, `p95`, `p99`)."""
    input_tokens: int
    output_tokens: int
    cost_per_1000: float | None
    """US dollars per 1,000 requests; `None` if the price of tokens is unknown, or if it is billed by the hour."""
    price: str | None
    """The source of the price."""
    errors: int
    """Requests that the provider refused; they count as wrong answers."""
    breakdown: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The number of records (`records`) and the value of each metric, by the value of a field."""
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For metrics of labels: the number of records by expected and predicted label."""

    def value_text(self, metric: str) -> str:
        """Return the value of a metric in points, with its interval; empty if the model has none."""
        if metric not in self.values:
            return ""
        text, interval = f"{100 * self.values[metric]:.1f}", self.intervals.get(metric)
        if interval is None:
            return text
        return f"{text} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The difference between the evaluated model and another one."""

    other: str
    metric: str
    difference: float
    """The value of the evaluated model minus that of the other one."""
    interval: Interval
    """The 95 % confidence interval of the difference, from a paired bootstrap."""

    @property
    def is_significant(self) -> bool:
        """Whether 0 is outside of the interval."""
        return not self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of an evaluation."""

    id: str
    """A digest of the models, the data, the metrics and the settings: the same evaluation has the same id."""
    created: datetime
    job: str | None
    """The job whose model was evaluated, if it was named."""
    records: int
    """The number of records that all models answered; the results are about these."""
    total: int
    """The number of records of the held-out set."""
    metrics: tuple[str, ...]
    models: tuple[ModelResult, ...]
    """The results of each model, the evaluated one first."""
    comparisons: tuple[Comparison, ...]
    gates: tuple[GateResult, ...]
    settings: Mapping[str, object]
    """The inference settings of all requests, the random seed and the number of resamples."""
    cost: float
    """What this run cost, in US dollars, as far as prices are known; stored answers cost nothing again."""
    notes: tuple[str, ...] = ()
    """What limits the results."""
    uri: str | None = None
    """The folder in S3 where the results are stored."""
    rows: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    """One row for each record and model: question, expected answer, answer, scores, tokens, seconds and cost."""

    @property
    def passed(self) -> bool:
        """Whether all gates passed."""
        return all(gate.passed for gate in self.gates)

    @property
    def is_complete(self) -> bool:
        """Whether all records were answered."""
        return self.records == self.total

    @property
    def sentences(self) -> list[str]:
        """The comparisons as sentences, for people."""
        return [self._sentence(comparison) for comparison in self.comparisons]

    def _sentence(self, comparison: Comparison) -> str:
        points = 100 * comparison.difference
        low, high = (100 * bound for bound in comparison.interval)
        what = comparison.metric.replace("_", " ")
        interval = f"95 % interval {low:.1f} to {high:.1f}"
        ratio = self._cost_ratio(comparison.other)
        cost = "" if ratio is None else f", at {ratio:.2g} x the cost"
        if not comparison.is_significant:
            return f"no clear difference to {comparison.other} in {what}: {points:+.1f} points, {interval}{cost}"
        word = "better" if points > 0 else "worse"
        return f"{word} than {comparison.other} by {abs(points):.1f} points of {what}, {interval}{cost}"

    def _cost_ratio(self, other: str) -> float | None:
        costs = [self.models[0].cost_per_1000, self.model(other).cost_per_1000]
        if costs[0] is None or not costs[1]:
            return None
        return costs[0] / costs[1]

    def model(self, name: str) -> ModelResult:
        """Return the results of a model, by its name in the evaluation.

        Raises:
            KeyError: no model has this name.
        """
        for result in self.models:
            if result.name == name:
                return result
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, without the rows."""
        document = {name: value for name, value in asdict(self).items() if name != "rows"}
        for part in ("models", "comparisons"):
            for row in document[part]:
                if "interval" in row:
                    row["interval"] = list(row["interval"])
                else:
                    row["intervals"] = {name: list(pair) for name, pair in row["intervals"].items()}
        return document | {
            "created": self.created.isoformat(),
            "passed": self.passed,
            "sentences": self.sentences,
        }

    def lines(self) -> Iterator[str]:
        """Yield the result as lines of text."""
        width = max(len(result.name) for result in self.models)
        for result in self.models:
            values = "  ".join(f"{name} {result.value_text(name)}" for name in result.values)
            cost = (
                "cost unknown"
                if result.cost_per_1000 is None
                else f"${result.cost_per_1000:,.4f} per 1,000 requests"
            )
            latency = f"p50 {result.latency['p50']:.2f} s  p95 {result.latency['p95']:.2f} s"
            errors = f"  {result.errors} errors" if result.errors else ""
            yield f"{result.name:<{width}}  {values}  {latency}  {cost}{errors}"
            for value, row in result.breakdown.items():
                parts = "  ".join(
                    f"{name} {100 * share:.1f}" for name, share in row.items() if name != "records"
                )
                yield f"{'':<{width}}  {value} ({row['records']:.0f}): {parts}"
        yield from self._remarks()

    def _remarks(self) -> Iterator[str]:
        yield from self.sentences
        yield from (
            f"{'passed' if gate.passed else 'failed'}: {gate.gate}: {gate.detail}"
            for gate in self.gates
        )
        yield from self.notes
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        yield f"{self.records} of {self.total} records; {settings}; this run cost ${self.cost:,.4f}"
        if self.uri:
            yield f"stored in {self.uri}"

    def _repr_html_(self) -> str:
        """Show the models as a table, and the comparisons, in a notebook."""
        metrics = list(dict.fromkeys(name for result in self.models for name in result.values))
        rows = [
            (
                result.name,
                *map(result.value_text, metrics),
                f"{result.latency['p50']:.2f} s",
                f"{result.latency['p95']:.2f} s",
                "unknown" if result.cost_per_1000 is None else f"${result.cost_per_1000:,.4f}",
                f"{result.errors}",
            )
            for result in self.models
        ]
        names = (name.replace("_", " ") for name in metrics)
        columns = ("model", *names, "latency p50", "p95", "cost of 1,000 requests", "errors")
        title = f"Evaluation {self.id}: points of 100, with 95 % intervals"
        return join(
            [rows_table(title, columns, rows), *(tag("p", line) for line in self._remarks())]
        )


def notes(*, records: int, total: int, is_spent: bool, unparsed: int, judged: int) -> list[str]:
    """Return what limits the results."""
    found = []
    if is_spent:
        found.append(
            f"stopped at max_cost: {records} of {total} records were answered by all models; "
            "run the same evaluation with a higher max_cost to go on"
        )
    if records < _FEW:
        found.append(f"fewer than {_FEW} records: the intervals are too narrow")
    if unparsed:
        found.append(
            f"{unparsed} of {judged} replies of the judge were no verdict and count as ties"
        )
    return found
