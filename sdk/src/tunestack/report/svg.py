"""Charts as SVG, inside a page or as files."""

from __future__ import annotations

import base64
from importlib import resources
from typing import TYPE_CHECKING

from tunestack._utils.html import Markup, tag
from tunestack.report.charts import thin_out, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunestack.report.charts import Chart, Line

LIGHT_COLORS = ("#0b4fa0", "#a34000", "#17693a", "#7a2f9c", "#a5134f", "#0a6570")
"""The colors of the lines in the style sheet, on a light background."""
STYLES = len(LIGHT_COLORS)
_TOP, _BOTTOM, _LEFT = 16, 40, 48
_CHARACTER = 7.2
"""The width of a character, in pixels; labels are monospaced."""
_LABEL_DISTANCE = 15
_NARROW = 480
"""Narrower charts have short labels."""


def style_sheet(name: str) -> str:
    """Read a style sheet of this package."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def draw_chart(
    chart: Chart, *, width: int = 760, height: int = 320, class_: str | None = None
) -> Markup:
    """Draw a chart; the colors are those of the page's style sheet."""
    labels = _end_labels(chart, height)
    longest = max(len(text) for _, _, text in labels)
    # Long labels, as names of jobs, are below the chart.
    is_below = longest * _CHARACTER > width / 4
    right = 12 if is_below else round(longest * _CHARACTER) + 14
    legend = _LABEL_DISTANCE * len(labels) + 16 if is_below else 0
    low, high = chart.x_range
    bottom, top = chart.y_range

    def x(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (width - _LEFT - right), 1)

    def y(value: float) -> float:
        return round(
            height - _BOTTOM - (value - bottom) / (top - bottom) * (height - _TOP - _BOTTOM), 1
        )

    parts = [
        tag("title", chart.title),
        tag("desc", chart.description),
        *_axes(chart, x, y, width=width, right=right, height=height),
        *(_line(line, x, y, columns=width) for line in chart.lines),
    ]
    if chart.mark is not None:
        parts += _mark(chart.mark, x, y, is_short=width < _NARROW)
    for index, (line, place, text) in enumerate(labels):
        if is_below:
            row = height + _LABEL_DISTANCE * (index + 1) + 2
            parts.append(_path(f"M{_LEFT},{row - 4}h28", line))
            parts.append(_text(text, _LEFT + 36, row, class_=f"label s{line.style % STYLES}"))
        else:
            at = width - right + 8
            parts.append(_text(text, at, place, class_=f"label s{line.style % STYLES}"))
    return tag(
        "svg",
        *parts,
        class_=" ".join(filter(None, ("chart", class_))),
        viewBox=f"0 0 {width} {height + legend}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        aria_label=chart.description,
    )


def draw_figure(chart: Chart) -> Markup:
    """Draw a chart twice, for wide and narrow screens; the page's style sheet shows one of them."""
    return tag(
        "figure",
        draw_chart(chart, class_="wide"),
        draw_chart(chart, width=340, height=240, class_="narrow"),
        tag("figcaption", "Loss by training step; lower is better."),
    )


def svg_file(charts: Sequence[Chart], *, width: int = 760, height: int = 320) -> str:
    """Return a file with charts below each other; it follows the reader's light or dark mode."""
    parts, top = [], 0
    for chart in charts:
        drawn = draw_chart(chart, width=width, height=height)
        full = int(drawn.partition('viewBox="')[2].partition('"')[0].split()[3])
        title = _text(chart.title, _LEFT, top + 16, class_="title") if len(charts) > 1 else ""
        top += 24 if title else 0
        inner = drawn.replace("<svg ", f'<svg y="{top}" width="{width}" height="{full}" ', 1)
        parts += [title, Markup(inner)]
        top += full
    sheet = tag("style", Markup(style_sheet("chart.css")))
    background = tag("rect", class_="paper", width="100%", height="100%")
    return tag(
        "svg",
        sheet,
        background,
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {top}",
        width=width,
        height=top,
        font_family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    )


def data_uri(charts: Sequence[Chart]) -> str:
    """Return the address of an image with the charts, which contains all of it."""
    encoded = base64.b64encode(svg_file(charts).encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"


def _axes(
    chart: Chart,
    x: Callable[[float], float],
    y: Callable[[float], float],
    *,
    width: int,
    right: int,
    height: int,
) -> list[Markup]:
    parts = []
    for value in ticks(*chart.y_range):
        parts.append(tag("path", class_="grid", d=f"M{_LEFT},{y(value)}H{width - right}"))
        parts.append(_text(f"{value:.6g}", _LEFT - 8, y(value) + 4, text_anchor="end"))
    base = height - _BOTTOM
    for value in ticks(*chart.x_range, count=max(3, width // 110)):
        if value == int(value):
            parts.append(tag("path", class_="axis", d=f"M{x(value)},{base}v5"))
            parts.append(_text(f"{value:,.0f}", x(value), base + 19, text_anchor="middle"))
    parts.append(tag("path", class_="axis", d=f"M{_LEFT},{base}H{width - right}"))
    middle = (_LEFT + width - right) / 2
    parts.append(_text("step", middle, base + 36, text_anchor="middle"))
    return parts


def _line(
    line: Line, x: Callable[[float], float], y: Callable[[float], float], *, columns: int
) -> Markup:
    points = thin_out(line.points, columns // 2)
    if len(points) == 1:
        ((step, loss),) = points
        return tag("circle", class_=f"point s{line.style % STYLES}", cx=x(step), cy=y(loss), r=3)
    return _path("M" + "L".join(f"{x(step)},{y(loss)}" for step, loss in points), line)


def _path(path: str, line: Line) -> Markup:
    return tag("path", class_=f"line s{line.style % STYLES}", d=path)


def _mark(
    mark: tuple[float, float],
    x: Callable[[float], float],
    y: Callable[[float], float],
    *,
    is_short: bool,
) -> list[Markup]:
    at, level = x(mark[0]), y(mark[1])
    text = f"{mark[1]:.4g}" if is_short else f"lowest: {mark[1]:.4g}, step {mark[0]:g}"
    return [
        tag("circle", class_="mark", cx=at, cy=level, r=5),
        _text(text, at, level - 14, class_="label", text_anchor="middle"),
    ]


def _end_labels(chart: Chart, height: int) -> list[tuple[Line, float, str]]:
    """Return the label of each line at the height of its end, moved apart where they would overlap."""
    bottom, top = chart.y_range
    space = height - _TOP - _BOTTOM
    labels = []
    previous = 0.0
    for line in sorted(chart.lines, key=lambda line: -line.points[-1][1]):
        last = line.points[-1][1]
        place = height - _BOTTOM - (last - bottom) / (top - bottom) * space + 4
        previous = max(place, previous + _LABEL_DISTANCE)
        labels.append((line, round(previous, 1), f"{line.label} {last:.4g}"))
    return labels


def _text(
    text: str, x: float, y: float, *, class_: str = "tick", text_anchor: str | None = None
) -> Markup:
    return tag("text", text, x=x, y=y, class_=class_, text_anchor=text_anchor)
