"""Charts in a terminal: with braille characters, or with letters where these can't be shown."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from tunestack.report.charts import ticks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.report.charts import Chart, Line

_MARKS = "*o+x#@"
_COLORS = (34, 33, 32, 35, 31, 36)
"""ANSI colors of the lines: blue, yellow, green, magenta, red, cyan."""
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a braille character, by row and column (Unicode, Braille Patterns)."""
_BRAILLE = 0x2800
_MIN_WIDTH = 20


def draw_text(
    chart: Chart, *, width: int = 80, height: int = 14, unicode: bool = True, color: bool = False
) -> Iterator[str]:
    """Yield the lines of a chart.

    Args:
        chart: the chart.
        width: characters of a line, at least 20 and the axis.
        height: lines, without axis and legend.
        unicode: whether the terminal shows Unicode; without it, or if several lines can't have colors, each has a letter.
        color: whether the terminal shows ANSI colors.
    """
    bottom, top = chart.y_range
    levels = {_row(value, bottom, top, height): f"{value:.6g}" for value in ticks(bottom, top)}
    margin = max(map(len, levels.values()))
    columns = max(width - margin - 2, _MIN_WIDTH)
    has_marks = not unicode or (len(chart.lines) > 1 and not color)
    canvas = _Canvas(chart, columns, height, scale=(1, 1) if has_marks else (2, 4))
    corner, wall, floor = ("└", "│", "─") if unicode else ("+", "|", "-")
    yield f"{chart.title}"
    for row in range(height):
        yield f"{levels.get(row, ''):>{margin}} {wall}{canvas.row(row, color=color)}"
    yield f"{'':>{margin}} {corner}{floor * columns}"
    yield f"{'':>{margin}}  {_step_axis(chart, columns)}".rstrip()
    for line in chart.lines:
        sign = _mark(line.style) if has_marks else "─"
        sign = _colored(sign, line.style, color=color)
        for index, text in enumerate(wrap(_legend(line), columns - 2)):
            yield f"{'':>{margin}}  {' ' if index else sign} {text}"


class _Canvas:
    """The cells of a chart: which dots are set, and by which line."""

    def __init__(self, chart: Chart, columns: int, rows: int, *, scale: tuple[int, int]) -> None:
        self._scale = scale
        self._dots: dict[tuple[int, int], int] = {}
        self._styles: dict[tuple[int, int], int] = {}
        (low, high), (bottom, top) = chart.x_range, chart.y_range
        across, down = columns * scale[0] - 1, rows * scale[1] - 1
        for line in chart.lines:
            dots = [
                (round((x - low) / (high - low) * across), round((top - y) / (top - bottom) * down))
                for x, y in line.points
            ]
            for start, end in zip(dots, dots[1:] or dots, strict=False):
                for x, y in _connect(start, end):
                    self._set(x, y, line.style)

    def _set(self, x: int, y: int, style: int) -> None:
        cell = y // self._scale[1], x // self._scale[0]
        self._dots[cell] = self._dots.get(cell, 0) | _DOTS[y % self._scale[1]][x % self._scale[0]]
        self._styles[cell] = style

    def row(self, row: int, *, color: bool) -> str:
        """Return a row; characters of one color in sequence have one color code."""
        last = max((x for y, x in self._dots if y == row), default=-1)
        cells = groupby(range(last + 1), key=lambda column: self._styles.get((row, column)))
        return "".join(
            " " * len(list(group))
            if style is None
            else _colored(
                "".join(self._cell(row, column, style) for column in group), style, color=color
            )
            for style, group in cells
        )

    def _cell(self, row: int, column: int, style: int) -> str:
        is_mark = self._scale == (1, 1)
        return _mark(style) if is_mark else chr(_BRAILLE + self._dots[row, column])


def _connect(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the dots of a straight line."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    for step in range(steps + 1):
        yield (
            round(start[0] + (end[0] - start[0]) * step / steps),
            round(start[1] + (end[1] - start[1]) * step / steps),
        )


def _step_axis(chart: Chart, columns: int) -> str:
    low, high = chart.x_range
    first, last = f"{low:,.0f}", f"{high:,.0f}"
    middle = "step".center(columns - len(first) - len(last))
    return f"{first}{middle}{last}"


def _legend(line: Line) -> str:
    step, loss = line.points[-1]
    lowest, at = min((loss, step) for step, loss in line.points)
    return f"{line.label}: {loss:.4g} at step {step:g}, lowest {lowest:.4g} at step {at:g}"


def _row(value: float, bottom: float, top: float, height: int) -> int:
    return round((top - value) / (top - bottom) * (height - 1))


def _mark(style: int) -> str:
    return _MARKS[style % len(_MARKS)]


def _colored(text: str, style: int, *, color: bool) -> str:
    return f"\033[{_COLORS[style % len(_COLORS)]}m{text}\033[0m" if color else text
