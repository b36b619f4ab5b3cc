"""The page of a report: HTML without scripts, other files or network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tunestack
from tunestack._utils.formatting import duration_text, utc_text
from tunestack._utils.html import Markup, rows_table, tag
from tunestack.report import sections
from tunestack.report.charts import create_charts
from tunestack.report.svg import draw_figure, style_sheet
from tunestack.spec.cost import usd_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunestack.report.charts import Chart
    from tunestack.report.collect import JobReport

# Nothing is loaded, not even if a text of a job contained a link.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SECTIONS = (
    ("Losses", sections.losses),
    ("Data", sections.data),
    ("Hyperparameters", sections.hyperparameters),
    ("Cost", sections.costs),
    ("Evaluation", sections.evaluation),
    ("Lineage", sections.lineage),
)


def write_page(report: JobReport) -> str:
    """Return the page of a report."""
    parts = (
        tag(
            "section",
            tag("h2", title, id=title.lower()),
            tag("div", *write(report)),
            aria_labelledby=title.lower(),
        )
        for title, write in _SECTIONS
    )
    created = f"Created on {utc_text(report.created)} by Tunestack {tunestack.__version__}."
    main = tag("main", *_heading(report), *parts)
    return _page(f"{report.info.name}: fine-tuning report", main, created)


def write_summary(report: JobReport) -> str:
    """Return the most important numbers and the losses, for a notebook."""
    found = report.overfitting
    charts = create_charts([(report.info, report.losses)])
    rows = [("state", report.info.description), *_figures(report)]
    return tag(
        "div",
        rows_table(f"Fine-tuning report: {report.info.name}", (), rows),
        tag("p", f"Overfitting: {found.text}.") if found else "",
        *(chart.image() for chart in charts),
    )


def write_charts_page(charts: Sequence[Chart]) -> str:
    """Return a page with charts, for wide and narrow screens."""
    names = dict.fromkeys(line.label for chart in charts for line in chart.lines)
    title = f"Losses: {', '.join(names)}"
    figures = (tag("section", tag("h2", chart.title), draw_figure(chart)) for chart in charts)
    main = tag("main", tag("header", tag("h1", "Losses")), *figures)
    return _page(title, main, f"Created by Tunestack {tunestack.__version__}.")


def _page(title: str, main: Markup, footer: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(style_sheet("chart.css") + style_sheet("page.css"))),
    )
    body = tag("body", main, tag("footer", tag("p", footer)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _heading(report: JobReport) -> Iterator[Markup]:
    info = report.info
    base = info.base_model if report.base is None else report.base.name
    state = tag("span", info.description, class_=f"state {info.state.value}")
    yield tag(
        "header",
        tag("p", "Fine-tuning report", class_="kind"),
        tag("h1", info.name),
        tag("p", state, f" · {base} · {report.scope}"),
        tag(
            "dl",
            *(tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(report)),
            class_="figures",
        ),
        *sections.result(report),
    )


def _figures(report: JobReport) -> Iterator[tuple[str, str]]:
    """Yield the most important numbers."""
    info, losses = report.info, report.losses
    for name, values in (
        ("training loss", losses.training),
        ("validation loss", losses.validation),
    ):
        if values:
            yield name, f"{list(values.values())[-1]:.4f}"
    if report.training_data is not None:
        yield "records", f"{report.training_data.report.records:,}"
    if report.cost is not None:
        yield "epochs", f"{report.cost.epochs}"
    if info.created is not None and info.ended is not None:
        yield "duration", duration_text(info.ended - info.created)
    if report.billed_usd is not None:
        yield "training cost", usd_text(report.billed_usd)
    elif report.cost is not None and report.cost.training_usd is not None:
        yield "training cost, estimated", usd_text(report.cost.training_usd)
