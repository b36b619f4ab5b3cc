"""`tunestack data`: check, convert and split training data; no account or network is needed."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from tunestack import catalog
from tunestack.cli.data_options import data_options
from tunestack.cli.data_source import open_data
from tunestack.cli.groups import Group, examples
from tunestack.cli.options import DataFile, format_option, json_option, model_option
from tunestack.cli.output import INTERRUPTED, NO, note, out, show, write
from tunestack.errors import DataError
from tunestack.records import (
    Progress,
    Report,
    Severity,
    check,
    prepare,
)
from tunestack.records import split as split_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO


_EVERY = 0.5
"""Seconds between two lines of progress."""

_validation = click.option(
    "--validation-set", is_flag=True, help="FILE is a validation set, which has other limits."
)
_limit = click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Show at most this many problems of each severity.",
)


class _Group(Group):
    """Commands that write nothing when they are interrupted, and say so."""

    modules = MappingProxyType(
        {
            "fix": "data_records",
            "from-logs": "data_logs",
            "sample": "data_records",
            "show": "data_records",
        }
    )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; SIGTERM is handled as Ctrl-C, so that partial files are removed."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            note("interrupted: nothing was written")
            ctx.exit(INTERRUPTED)


@click.group(
    cls=_Group,
    epilog=examples(
        "tunestack data check train.jsonl --model nova-micro",
        "tunestack data convert tickets.csv --model nova-micro -o train.jsonl",
        page="training-data.md",
    ),
)
def data() -> None:
    """Check, repair, convert and split training data; no account is needed."""


@data.command(
    "check",
    epilog=examples(
        "tunestack data check train.jsonl --model nova-micro",
        "tunestack data check validation.jsonl --model nova-micro --against train.jsonl --json",
        page="training-data.md",
    ),
)
@click.argument("file", type=DataFile())
@model_option
@data_options
@_validation
@click.option(
    "--against",
    type=DataFile(),
    help="The training data; reports records that are also in FILE.",
)
@_limit
@json_option
def check_command(
    file: str, model: str, against: str | None, limit: int, *, json_wanted: bool, **options: Any
) -> int:
    """Check FILE against all rules of a model; exits with 1 if there are errors.

    FILE is a path, - for standard input, or an s3:// URI; it may be compressed with gzip.
    """
    training = None if against is None else open_data(against)
    options["validation_set"] = options["validation_set"] or against is not None
    result = _checked(file, catalog.get(model), options, against=training)
    _show(result, limit, json_wanted=json_wanted, tokens=False)
    return 0 if result.ok else NO


@data.command(
    epilog=examples(
        "tunestack data report train.jsonl --model nova-micro",
        "tunestack data report train.jsonl --model nova-micro --json",
        page="training-data.md",
    )
)
@click.argument("file", type=DataFile())
@model_option
@data_options
@_validation
@_limit
@json_option
def report(file: str, model: str, limit: int, *, json_wanted: bool, **options: Any) -> None:
    """Report on FILE: problems, losses, duplicates, tokens and the length of records.

    Exits with 0 even if there are errors; `check` exits with 1.
    """
    options["find_near_duplicates"] = True
    _show(_checked(file, catalog.get(model), options), limit, json_wanted=json_wanted)


@data.command(
    epilog=examples(
        "tunestack data convert tickets.csv --model nova-micro -o train.jsonl",
        "tunestack data convert chat.jsonl --model llama-3-1-8b -o train.jsonl --rendering raw",
        page="my-data.md",
    )
)
@click.argument("file", type=DataFile())
@model_option
@click.option("--output", "-o", required=True, metavar="FILE", help="The file to write.")
@data_options
@_validation
@_limit
@json_option
def convert(
    file: str, model: str, output: str, limit: int, *, json_wanted: bool, **options: Any
) -> int:
    """Write FILE in the training format of a model; nothing is written if there are errors."""
    try:
        dataset = prepare(
            open_data(file),
            catalog.get(model),
            Path(output),
            progress=_progress(),
            **_named(options),
        )
    except DataError as error:
        if error.report is None:
            raise
        _show(error.report, limit, json_wanted=json_wanted, tokens=False)
        return NO
    if json_wanted:
        made = {"file": output, "sha256": dataset.sha256, "bytes": dataset.bytes}
        write(made | dataset.report.to_dict())
    else:
        _show(dataset.report, limit, json_wanted=False, tokens=False)
        note(f"wrote {output}: {dataset.bytes:,} bytes, sha256 {dataset.sha256}")
    return 0


@data.command(
    epilog=examples(
        "tunestack data split all.jsonl -t train.jsonl -v validation.jsonl",
        "tunestack data split all.jsonl -t train.jsonl -v validation.jsonl --fraction 0.2 --seed 7",
        page="training-data.md",
    )
)
@click.argument("file", type=click.Path(exists=True))
@click.option(
    "--training", "-t", required=True, metavar="FILE", help="The file of training data to write."
)
@click.option(
    "--validation",
    "-v",
    required=True,
    metavar="FILE",
    help="The file of validation data to write.",
)
@click.option(
    "--fraction", default=0.1, show_default=True, help="The share of records for validation."
)
@click.option("--seed", default=0, show_default=True, help="The random seed.")
@click.option("--group-by", metavar="FIELD", help="Keep the records with the same value together.")
@click.option("--stratify", metavar="FIELD", help="Keep the share of each value in both files.")
@format_option
def split(
    file: str,
    training: str,
    validation: str,
    fraction: float,
    seed: int,
    group_by: str | None,
    stratify: str | None,
) -> None:
    """Split FILE into training and validation data; the same seed gives the same split.

    The records of a conversation are all in one of the files: those with the same first question, apart from case, spaces and
    the system prompt.
    """
    made = split_data(
        file,
        Path(training),
        Path(validation),
        fraction=fraction,
        seed=seed,
        group_by=group_by,
        stratify=stratify,
    )
    show(made)


def _checked(
    file: str,
    base: catalog.BaseModel,
    options: dict[str, Any],
    *,
    against: str | BinaryIO | None = None,
) -> Report:
    return check(open_data(file), base, against=against, progress=_progress(), **_named(options))


def _named(options: dict[str, Any]) -> dict[str, Any]:
    """Name the options as the functions do."""
    return {
        ("validation" if name == "validation_set" else name): value
        for name, value in options.items()
    }


def _show(report: Report, limit: int, *, json_wanted: bool, tokens: bool = True) -> None:
    if json_wanted:
        write(report.to_dict())
        return
    for line in report.text(limit=limit, tokens=tokens).splitlines():
        out(line)
    if "loss" in report.counts:
        note("--on-loss report leaves out, and counts, what the format can't represent")
    if report.count(Severity.ERROR) and not report.ok:
        note("rules and their sources: docs/training-data-rules.md")


def _progress() -> Callable[[Progress], None] | None:
    """Return a function that prints the progress to a terminal."""
    if not sys.stderr.isatty():
        return None
    last = time.monotonic()

    def say(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < _EVERY:
            return
        last = time.monotonic()
        note("".join(_progress_text(progress)))

    return say


def _progress_text(progress: Progress) -> Iterator[str]:
    yield f"{progress.records:,} records"
    if progress.total_bytes:
        yield f", {100 * progress.bytes / progress.total_bytes:.0f}%"
    if progress.bytes:
        yield f", {progress.bytes_per_second / 1e6:.0f} MB/s"
    if progress.eta is not None:
        yield f", {progress.eta:.0f} s left"
