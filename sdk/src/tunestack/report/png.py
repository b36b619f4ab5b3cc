"""Charts as PNG, with matplotlib: the extra `plots`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tunestack._utils.extras import missing_extra
from tunestack.report.svg import LIGHT_COLORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.report.charts import Chart

_DASHES = ("-", (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (5, 2)), (0, (1, 2)))
_SIZE = (7.6, 3.6)
"""Inches of a chart."""


def png_file(charts: Sequence[Chart], *, dpi: int = 150) -> bytes:
    """Return a PNG file with charts below each other.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional; takes a second to load
    except ModuleNotFoundError as error:
        raise missing_extra("plots", error) from error
    width, height = _SIZE
    # Without pyplot, which would need a display, and keep the figure.
    figure = Figure(figsize=(width, height * len(charts)), layout="constrained")
    for chart, axes in zip(charts, figure.subplots(len(charts), squeeze=False)[:, 0], strict=True):
        for line in chart.lines:
            style = line.style % len(LIGHT_COLORS)
            axes.plot(
                *zip(*line.points, strict=True),
                color=LIGHT_COLORS[style],
                linestyle=_DASHES[style],
                marker="o" if len(line.points) == 1 else None,
                label=f"{line.label} {line.points[-1][1]:.4g}",
            )
        if chart.mark is not None:
            step, loss = chart.mark
            axes.plot(step, loss, "o", color="black", fillstyle="none")
            axes.annotate(
                f"lowest: {loss:.4g}, step {step:g}",
                chart.mark,
                xytext=(0, 10),
                textcoords="offset points",
                ha="center",
            )
        axes.set(xlabel="step", ylabel=chart.title, ylim=chart.y_range)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#d5d6d2")
        axes.legend(frameon=False)
    file = io.BytesIO()
    # Without the version of matplotlib, so that equal charts are equal files.
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()
