"""The sections of a report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunestack._utils.formatting import duration_text
from tunestack._utils.html import Markup, display_text, join, tag
from tunestack.backends.base import EndpointState, JobState
from tunestack.catalog import Serving
from tunestack.catalog.load import PRICE_UNITS
from tunestack.endpoints.expiry import expiry_text
from tunestack.records import Severity
from tunestack.records.report import length_buckets
from tunestack.report.charts import create_charts
from tunestack.report.svg import draw_figure
from tunestack.spec.cost import usd_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tunestack.catalog import Price
    from tunestack.report.collect import DataProfile, JobReport
    from tunestack.report.scores import Score

_LISTED_PROBLEMS = 5
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


def result(report: JobReport) -> Iterator[Markup]:
    """Write how the job ended."""
    info = report.info
    if info.failure:
        yield tag("p", tag("strong", "Failed: "), info.failure)
    if info.remedy:
        yield tag("p", tag("strong", "What to do: "), info.remedy)
    if not info.state.is_terminal:
        yield tag("p", f"The job is {info.description}: this report shows what is known so far.")
    if info.state is JobState.STOPPED:
        yield tag(
            "p",
            "The job was stopped: it has no model, and the tokens that it processed are billed.",
        )
    found = report.overfitting
    if found is not None:
        yield tag("p", tag("strong", "Overfitting: "), f"{found.text}.", class_="hint")


def losses(report: JobReport) -> Iterator[Markup]:
    """Draw the losses."""
    charts = create_charts([(report.info, report.losses)])
    if not charts:
        reason = report.unread.get("losses", f"none, the job is {report.info.description}")
        yield _missing("Losses", reason)
        return
    for chart in charts:
        yield draw_figure(chart)
    rows = [
        (f"{epoch}", f"{step:,}", _loss(training), _loss(validation))
        for epoch, step, training, validation in report.losses.by_epoch()
    ]
    if rows:
        columns = ("epoch", "step", "training", "validation")
        yield _table("Loss at the end of each epoch", columns, rows, numbers=(1, 2, 3))


def data(report: JobReport) -> Iterator[Markup]:
    """Write the profile of the data."""
    profiles = {"training data": report.training_data, "validation data": report.validation_data}
    read = {name: profile for name, profile in profiles.items() if profile is not None}
    if read:
        facts = [_facts(profile) for profile in read.values()]
        names = list(dict.fromkeys(name for column in facts for name in column))
        rows = [(name, *(column.get(name, "0") for column in facts)) for name in names]
        numbers = range(1, 1 + len(read))
        yield _table(
            "Data", ("in the file", *(name.split()[0] for name in read)), rows, numbers=numbers
        )
        checked = next(iter(read.values())).report
        note = f"Format: {checked.format}. Tokens are estimated as {checked.tokens.method}."
        yield tag("p", note, class_="note")
    for name, profile in read.items():
        messages = dict.fromkeys(problem.message for problem in profile.report.problems)
        for message in list(messages)[:_LISTED_PROBLEMS]:
            yield tag("p", f"{name.capitalize()}: {message}", class_="note")
        if profile.report.tokens.histogram:
            yield _histogram(f"Records of {name} by length", profile.report.tokens.histogram)
    for name in profiles:
        if name in report.unread:
            yield _missing(name.capitalize(), report.unread[name])
    if not read and not report.unread.keys() & profiles.keys():
        yield _missing("Data", "not read")


def _facts(profile: DataProfile) -> dict[str, str]:
    checked, tokens = profile.report, profile.report.tokens
    problems = {
        f"{severity.value}s": f"{checked.count(severity):,}"
        for severity in Severity
        if checked.count(severity)
    }
    return {
        "records": f"{checked.records:,}",
        **{f"records with {kind}": f"{count:,}" for kind, count in checked.content.items()},
        "tokens": f"{tokens.total:,}",
        "tokens of a record: mean": f"{tokens.mean:,.0f}",
        "median": f"{tokens.p50:,}",
        "90th percentile": f"{tokens.p90:,}",
        "longest": f"{tokens.max:,}",
        "duplicates": f"{checked.duplicates:,}",
        "bytes": f"{profile.bytes:,}",
        **(problems or {"problems": "0"}),
    }


def _histogram(title: str, histogram: Mapping[int, int]) -> Markup:
    counts = length_buckets(histogram)
    highest = max(counts.values())
    rows = (
        tag(
            "tr",
            tag("th", f"up to {size:,}", scope="row"),
            tag("td", f"{count:,}", class_="number"),
            tag(
                "td",
                tag("span", class_="bar", style=f"width:{100 * count / highest:.1f}%"),
                class_="bars",
                aria_hidden="true",
            ),
        )
        for size, count in counts.items()
    )
    head = tag(
        "tr",
        tag("th", "tokens", scope="col"),
        tag("th", "records", scope="col", class_="number"),
        tag("td", aria_hidden="true"),
    )
    return tag(
        "table", tag("caption", title), tag("thead", head), tag("tbody", *rows), class_="histogram"
    )


def hyperparameters(report: JobReport) -> Iterator[Markup]:
    """Write the hyperparameters."""
    rows = []
    for name, value in sorted(report.hyperparameters.items()):
        known = report.base.hyperparameters.get(name) if report.base else None
        default = "" if known is None or known.default is None else f"{known.default:g}"
        limits = "" if known is None else f"{known.min:g} to {known.max:g}"
        given = value if name in report.info.hyperparameters else f"{value} (default)"
        rows.append((name, given, default, limits))
    if not rows:
        yield tag("p", "The model's defaults.")
        return
    yield _table("Hyperparameters", ("name", "value", "default", "range"), rows, numbers=(1, 2, 3))


def costs(report: JobReport) -> Iterator[Markup]:
    """Write the cost, with the source of each price."""
    rows = [("training", *_training(report)), *_running(report)]
    yield _table("Cost", ("what", "amount", "how it is computed"), rows, numbers=(1,))
    prices = [
        (kind, usd_text(price.usd), f"{PRICE_UNITS[kind]}; {_source(price)}")
        for kind, price in report.prices.items()
    ]
    if prices:
        yield _table("Prices", ("what", "amount", "unit and source"), prices, numbers=(1,))
    yield tag(
        "p",
        "List prices, before taxes and discounts. The invoice has the actual amounts.",
        class_="note",
    )


def _training(report: JobReport) -> tuple[str, str]:
    price = report.prices.get("training")
    billed = report.billed_usd
    if billed is not None and price is not None:
        return (
            usd_text(billed),
            f"actual: {report.info.trained_tokens:,} tokens, as the provider reports, at ${price.usd:,.2f} per million tokens",
        )
    if report.cost is None:
        return "unknown", "the tokens are unknown: the training data was not read"
    tokens = f"{report.cost.tokens:,} tokens x {report.cost.epochs} epochs"
    if report.cost.training_usd is None or price is None:
        return "unknown", f"estimated: {tokens}; the price of training is unknown"
    is_partial = report.info.state in {JobState.FAILED, JobState.STOPPED}
    note = "; at most, because the job did not complete" if is_partial else ""
    between = report.cost.training_usd_range
    spread = "" if between is None else f", {' to '.join(map(usd_text, between))}"
    how = f"estimated{spread}: {tokens} at ${price.usd:,.2f} per million tokens{note}"
    return usd_text(report.cost.training_usd), how


def _running(report: JobReport) -> Iterator[tuple[str, str, str]]:
    storage = report.prices.get("storage")
    if report.model is not None and storage is not None:
        yield (
            "storing the model",
            usd_text(storage.usd),
            "each month, until the custom model is deleted",
        )
    hourly = report.prices.get("provisioned")
    for endpoint in report.endpoints:
        name = f"endpoint {endpoint.name}"
        if endpoint.state is EndpointState.FAILED:
            yield name, "$0.00", "failed, so it is not billed"
        elif endpoint.serving is not Serving.PROVISIONED:
            yield name, "$0.00", "while idle; billed by the token"
        elif hourly is None or endpoint.created is None or endpoint.commitment:
            yield name, "unknown", "billed by the hour; the price is unknown"
        else:
            units, age = endpoint.model_units or 1, report.created - endpoint.created
            so_far = usd_text(age.total_seconds() / 3600 * units * hourly.usd)
            noun = "model unit" if units == 1 else "model units"
            how = f"{duration_text(age)} x {units} {noun} at ${hourly.usd:,.2f} an hour"
            yield name, so_far, f"estimated, so far: {how}"


def evaluation(report: JobReport) -> Iterator[Markup]:
    """Write the evaluation result."""
    found = report.evaluation
    if found is None:
        yield tag("p", "No evaluation is part of this report.", class_="note")
        return
    rows = [
        (metric, *(_score(scores.get(model)) for model in found.models))
        for metric, scores in found.scores.items()
    ]
    counted = "" if found.records is None else f"{found.records:,} records"
    on = ", ".join(filter(None, (found.data, counted)))
    title = f"Scores on {on}" if on else "Scores"
    numbers = range(1, 1 + len(found.models))
    yield _table(title, ("metric", *found.models), rows, numbers=numbers)
    for note in found.notes:
        yield tag("p", note, class_="note")


def lineage(report: JobReport) -> Iterator[Markup]:
    """Write where the model comes from, and where it is served."""
    info, steps = report.info, []
    for name, location, profile in (
        ("training data", info.training_data, report.training_data),
        ("validation data", info.validation_data, report.validation_data),
    ):
        if location is not None and profile is not None:
            facts = [("SHA-256", profile.sha256), ("stored at", location)]
            steps.append((name, profile.sha256[:12], facts))
        elif location is not None:
            steps.append((name, location.rsplit("/", 1)[-1], [("stored at", location)]))
    base = info.base_model if report.base is None else report.base.name
    steps.append(("base model", base, [("id", info.base_model)]))
    submitted = [("id", info.id), ("created", _time(info.created)), ("ended", _time(info.ended))]
    if report.tags:
        submitted.append(("tags", display_text(report.tags)))
    steps.append(("job", info.name, submitted))
    if info.model is not None:
        known = report.model
        created = "" if known is None else _time(known.created)
        lost = report.unread.get("custom model", "")
        steps.append(
            (
                "custom model",
                info.model if known is None else known.name,
                [("id", info.model), ("created", created), ("not read", lost)],
            )
        )
    steps += [
        (
            f"endpoint ({endpoint.serving.value})",
            endpoint.name,
            [("id", endpoint.id), ("state", endpoint.state.value), ("ends", expiry_text(endpoint))],
        )
        for endpoint in report.endpoints
    ]
    if info.model is not None and not report.endpoints:
        steps.append(("endpoints", report.unread.get("endpoints", "none"), []))
    yield tag("ol", *(_step(*step) for step in steps), class_="lineage")


def _step(kind: str, name: str, facts: Sequence[tuple[str, str]]) -> Markup:
    shown = [(key, value) for key, value in facts if value and value != name]
    rows = join(join((tag("dt", key), tag("dd", value))) for key, value in shown)
    return tag(
        "li",
        tag("span", kind, class_="kind"),
        " ",
        tag("strong", name),
        tag("dl", rows) if shown else "",
    )


def _table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
) -> Markup:
    """Write a table; the first cell of each row is its header."""
    right = set(numbers)

    def cell(name: str, index: int, text: str, **attributes: str) -> Markup:
        return tag(name, text, class_="number" if index in right else None, **attributes)

    head = tag("tr", *(cell("th", index, text, scope="col") for index, text in enumerate(columns)))
    body = (
        tag(
            "tr",
            cell("th", 0, _with_breaks(first), scope="row"),
            *(cell("td", index, text) for index, text in enumerate(others, 1)),
        )
        for first, *others in rows
    )
    return tag(
        "table", tag("caption", title), tag("thead", head) if columns else "", tag("tbody", *body)
    )


def _with_breaks(name: str) -> Markup:
    """Allow line breaks in a name such as `learningRateWarmupSteps`, for narrow screens."""
    first, *others = _WORD_START.split(name)
    return join((first, *(join((tag("wbr"), word)) for word in others)))


def _missing(what: str, reason: str) -> Markup:
    return tag("p", tag("strong", f"{what}: "), f"{reason}.", class_="note")


def _source(price: Price) -> str:
    dated = "undated" if price.seen is None else str(price.seen)
    return f"{price.source}, {dated}, {price.confidence.value} confidence"


def _score(score: Score | None) -> Markup:
    if score is None:
        return Markup("-")
    limits = ""
    if score.low is not None and score.high is not None:
        limits = tag("small", f"{score.low:.4g} to {score.high:.4g}")
    return join((f"{score.value:.4g} ", limits))


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _time(value: object) -> str:
    return "" if value is None else display_text(value)
