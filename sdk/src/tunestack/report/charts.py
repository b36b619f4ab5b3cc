"""Charts of losses, without their drawing: lines, axes and marks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack._utils.html import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.backends.base import JobInfo
    from tunestack.report.curves import Losses

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a chart."""

    label: str
    points: Sequence[Point]
    style: int
    """The number of its color and dashes, so that a job has the same in all charts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Losses by step."""

    title: str
    lines: Sequence[Line]
    mark: Point | None = None
    """The lowest validation loss, if the validation loss rises after it."""

    @property
    def x_range(self) -> tuple[float, float]:
        """The first and last step."""
        return _extent([x for line in self.lines for x, _ in line.points])

    @property
    def y_range(self) -> tuple[float, float]:
        """The lowest and highest loss, with room for ticks."""
        low, high = _extent([y for line in self.lines for _, y in line.points])
        step = tick_step(low, high)
        return math.floor(low / step) * step, math.ceil(high / step) * step

    @property
    def description(self) -> str:
        """The chart in words, for readers who can't see it."""
        return f"{self.title} by step. " + " ".join(
            f"{line.label}: {line.points[0][1]:.4g} at step {line.points[0][0]:g}, "
            f"{line.points[-1][1]:.4g} at step {line.points[-1][0]:g}, "
            f"lowest {min(y for _, y in line.points):.4g}."
            for line in self.lines
        )

    def _repr_html_(self) -> str:
        """Show the chart in a notebook."""
        return tag("div", tag("div", tag("b", self.title)), self.image())

    def image(self) -> Markup:
        """Return the chart as an image: the style sheet of an SVG element would change the notebook."""
        from tunestack.report.svg import data_uri  # noqa: PLC0415 - which needs this class

        return tag("img", alt=self.description, src=data_uri([self]), width="760")


def create_charts(jobs: Sequence[tuple[JobInfo, Losses]]) -> list[Chart]:
    """Return the charts of jobs: one with both losses of one job, or one for each loss to compare several."""
    if len(jobs) == 1:
        ((info, losses),) = jobs
        lines = [
            Line(label=label, points=list(values.items()), style=style)
            for style, (label, values) in enumerate(
                (("training", losses.training), ("validation", losses.validation))
            )
            if values
        ]
        found = losses.overfitting(info)
        mark = None if found is None else (float(found.step), found.loss)
        return [Chart(title="loss", lines=lines, mark=mark)] if lines else []
    charts = []
    for title, kind in (("training loss", "training"), ("validation loss", "validation")):
        lines = [
            Line(label=info.name, points=list(getattr(losses, kind).items()), style=style)
            for style, (info, losses) in enumerate(jobs)
            if getattr(losses, kind)
        ]
        if lines:
            charts.append(Chart(title=title, lines=lines))
    return charts


def tick_step(low: float, high: float, *, count: int = 5) -> float:
    """Return a distance of about `count` ticks: 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next((digit * power for digit in (1, 2, 5) if digit * power >= rough), 10 * power)


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Return the round numbers in a range."""
    step = tick_step(low, high, count=count)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def thin_out(points: Sequence[Point], columns: int) -> list[Point]:
    """Return the lowest and highest point of each column, so that a drawing with many steps is small and keeps its peaks."""
    if len(points) <= 2 * columns:
        return list(points)
    kept: list[Point] = []
    for column in range(columns):
        part = points[len(points) * column // columns : len(points) * (column + 1) // columns]
        extremes = {min(part, key=_loss), max(part, key=_loss)}
        kept += sorted(extremes)
    return list(dict.fromkeys((points[0], *kept, points[-1])))


def _loss(point: Point) -> float:
    return point[1]


def _extent(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    # In a smaller range, floating-point numbers are too far apart for ticks.
    if high - low <= max(largest * 1e-12, 1e-300):
        margin = max(0.5, largest * 1e-9)
        return low - margin, high + margin
    return low, high
