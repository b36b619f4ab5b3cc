"""`tunestack jobs metrics` and `tunestack jobs report`: how a job went."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunestack.cli.groups import examples
from tunestack.cli.identifiers import find_job
from tunestack.cli.options import format_option, provider_option, tuner_options
from tunestack.cli.output import is_text, note, out, table, write
from tunestack.errors import ConfigError, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunestack.backends.accounts import Provider
    from tunestack.backends.base import JobInfo
    from tunestack.jobs.job import Job
    from tunestack.report import Chart, Losses
    from tunestack.tuner import Tuner

_PAGE = "report.md"
_CHART_SUFFIXES = (".svg", ".png", ".html")
_output_option = click.option("--output", "-o", metavar="FILE", help="The file to write.")


@click.command(
    epilog=examples(
        "tunestack jobs metrics latest",
        "tunestack jobs metrics JOB JOB --output losses.svg",
        page=_PAGE,
    )
)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.option(
    "--chart/--no-chart",
    default=None,
    help="Draw the losses, or print a row per step; by default a chart in a terminal only.",
)
@click.option("--from-step", type=int, default=0, help="Only from this step on.")
@click.option("--to-step", type=int, help="Only up to this step.")
@_output_option
@click.option(
    "--log-to",
    type=click.Choice(["mlflow", "wandb"]),
    help="Also log the losses and the report to MLflow or Weights & Biases, with their own settings.",
)
@provider_option
@tuner_options
@format_option
def metrics(
    jobs: tuple[str, ...],
    chart: bool | None,  # noqa: FBT001 - click passes it by name
    from_step: int,
    to_step: int | None,
    output: str | None,
    log_to: str | None,
    provider: Provider,
    tuner: Tuner,
) -> None:
    """Show the losses of jobs that have succeeded, and whether they overfit.

    In a terminal, the losses are a chart; several jobs are compared. In a pipe, and with --json, there is a row per step. With
    --output, the chart is written to a file: .svg, .png (needs the extra `plots`) or .html.
    """
    path = None if output is None else _to_chart_path(output)
    found = [find_job(tuner, job, provider) for job in jobs]
    rows = {job.id: job.metrics() for job in found}
    for job in found:
        _log(job, log_to)
    from tunestack.report import Losses, create_charts  # noqa: PLC0415 - not for `jobs --help`
    from tunestack.report.curves import step_of  # noqa: PLC0415

    losses = [(job.info, Losses.of(rows[job.id], job.info)) for job in found]
    last = math.inf if to_step is None else to_step
    for job_id, all_rows in rows.items():
        rows[job_id] = [row for row in all_rows if from_step <= (step_of(row) or 0) <= last]
    charts = create_charts([(job.info, Losses.of(rows[job.id], job.info)) for job in found])
    if path is not None:
        _write_charts(path, charts)
    elif is_text() and (sys.stdout.isatty() if chart is None else chart):
        _draw(charts)
    else:
        _print_rows(found, rows)
    _note_overfitting(losses)


@click.command(
    epilog=examples(
        "tunestack jobs report latest --output report.html",
        "tunestack jobs report JOB --evaluation result.json",
        page=_PAGE,
    )
)
@click.argument("job")
@_output_option
@click.option(
    "--evaluation",
    type=click.Path(),
    metavar="FILE",
    help="Show the evaluation result in this JSON file.",
)
@click.option("--no-data", is_flag=True, help="Do not read the training data.")
@provider_option
@tuner_options
@format_option
def report(
    job: str,
    output: str | None,
    evaluation: str | None,
    provider: Provider,
    tuner: Tuner,
    *,
    no_data: bool,
) -> None:
    """Write a report on a job as one HTML page: data, hyperparameters, losses, cost, evaluation and lineage.

    By default, the file is NAME.html in the current folder, with the name of the job. The page needs no network. With --json,
    the report is printed as an object, and a file is written only with --output.
    """
    from tunestack.report import create_report  # noqa: PLC0415 - not for `jobs --help`

    result = None if evaluation is None else _read_evaluation(Path(evaluation))
    found = find_job(tuner, job, provider)
    created = create_report(found, evaluation=result, read_data=not no_data)
    if output is not None or is_text():
        path = Path(output or f"{created.info.name}.html")
        _write_file(path, created.html().encode())
        note(f"the report is in {path}")
    if not is_text():
        write(created)
    for part, reason in created.unread.items():
        note(f"the report has no {part}: {reason}", level="warning")


def _log(job: Job, tracker: str | None) -> None:
    if tracker is None:
        return
    from tunestack.report import log_to_mlflow, log_to_wandb  # noqa: PLC0415 - only with --log-to

    run_id = (log_to_mlflow if tracker == "mlflow" else log_to_wandb)(job)
    note(f"job {job.name} is logged to {tracker} as run {run_id}")


def _draw(charts: Sequence[Chart]) -> None:
    from tunestack.cli.drawing import console  # noqa: PLC0415 - loads rich
    from tunestack.report import draw_text  # noqa: PLC0415 - not for `jobs --help`

    screen = console()
    for chart in charts:
        for line in draw_text(
            chart,
            width=screen.width,
            unicode=screen.encoding.lower().startswith("utf"),
            color=screen.color_system is not None and not screen.no_color,
        ):
            out(line)


def _print_rows(jobs: Sequence[Job], rows: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Print a row per step; if there are several jobs, each row has its job."""
    named: list[Mapping[str, object]] = [
        {"job": job.id, **row} if len(jobs) > 1 else row for job in jobs for row in rows[job.id]
    ]
    table(named, list(dict.fromkeys(name for row in named for name in row)), of="metrics")


def _note_overfitting(losses: Sequence[tuple[JobInfo, Losses]]) -> None:
    for info, values in losses:
        found = values.overfitting(info)
        if not values:
            note(f"job {info.name} has no losses: it is {info.description}")
        elif found is not None:
            note(f"job {info.name}: {found.text}", level="warning")


def _to_chart_path(name: str) -> Path:
    path = Path(name)
    if path.suffix.lower() not in _CHART_SUFFIXES:
        raise ConfigError(f"invalid file name {shortened(name)}: use .svg, .png or .html")
    return path


def _write_charts(path: Path, charts: Sequence[Chart]) -> None:
    if not charts:
        note(f"{path} is not written: there are no losses in these steps", level="warning")
        return
    from tunestack.report import png_file, svg_file  # noqa: PLC0415 - not for `jobs --help`
    from tunestack.report.page import write_charts_page  # noqa: PLC0415

    writers = {
        ".svg": lambda: svg_file(charts).encode(),
        ".png": lambda: png_file(charts),
        ".html": lambda: write_charts_page(charts).encode(),
    }
    _write_file(path, writers[path.suffix.lower()]())
    note(f"the chart is in {path}")


def _read_evaluation(path: Path) -> Mapping[str, object]:
    import json  # noqa: PLC0415 - only with --evaluation

    try:
        result: Mapping[str, object] = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"the evaluation {str(path)!r} is not a JSON file: {error}") from error
    return result


def _write_file(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"the file {str(path)!r} can't be written: {error.strerror or error}"
        ) from error
