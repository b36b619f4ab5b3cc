"""`tunestack data fix`, `show` and `sample`: repair training data, and look at single records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunestack import catalog
from tunestack.cli.data_options import FieldMap, data_options
from tunestack.cli.data_source import open_data
from tunestack.cli.groups import examples
from tunestack.cli.options import DataFile, format_option, model_option
from tunestack.cli.output import NO, is_text, note, out, write
from tunestack.records import fix as fix_data
from tunestack.records import view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunestack.records import RecordView


@click.command(
    epilog=examples(
        "tunestack data fix train.jsonl -o fixed.jsonl",
        "tunestack data fix train.jsonl -o fixed.jsonl --rejected rejected.jsonl",
        page="training-data.md",
    )
)
@click.argument("file", type=DataFile())
@click.option("--output", "-o", required=True, metavar="FILE", help="The file to write.")
@click.option("--rejected", metavar="FILE", help="A file for the invalid lines, unchanged.")
@click.option(
    "--map",
    "mapping",
    type=FieldMap(),
    metavar="NAME=FIELD,...",
    help="The fields of records in another format: prompt=question,completion=answer.",
)
@format_option
def fix(
    file: str,
    output: str,
    rejected: str | None,
    mapping: dict[str, str] | None,
) -> None:
    """Rewrite FILE without a change of its meaning, and list each kind of change with its count."""
    fixed = fix_data(
        open_data(file),
        Path(output),
        rejected=None if rejected is None else Path(rejected),
        mapping=mapping,
    )
    if not is_text():
        write(fixed)
        return
    out(f"{fixed.records:,} records ({fixed.format}): {fixed.changed:,} changed")
    for notice in fixed.notices:
        out(f"  {notice}")
    for change, count in fixed.changes.items():
        out(f"  {count:>9,} x {change}")
    note(f"wrote {output}")
    if fixed.rejected:
        note(f"wrote {rejected}: {fixed.rejected:,} invalid lines")


@click.command(
    epilog=examples(
        "tunestack data show train.jsonl 17 --model nova-micro",
        "tunestack data show train.jsonl 1 2 3 --model llama-3-1-8b --rendering raw",
        page="training-data.md",
    )
)
@click.argument("file", type=DataFile())
@click.argument("lines", type=click.IntRange(1), nargs=-1, required=True, metavar="LINE...")
@model_option
@data_options
@format_option
def show(file: str, lines: tuple[int, ...], model: str, **options: Any) -> int:
    """Show records of FILE as the model will see them, by their line numbers."""
    base = catalog.get(model)
    return _print(view(open_data(file), base, lines=lines, **options))


@click.command(
    epilog=examples(
        "tunestack data sample train.jsonl --model nova-micro",
        "tunestack data sample train.jsonl --model nova-micro -n 10 --seed 1",
        page="training-data.md",
    )
)
@click.argument("file", type=DataFile())
@model_option
@click.option(
    "--records",
    "-n",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="The number of records.",
)
@click.option("--seed", default=0, show_default=True, help="The random seed.")
@data_options
@format_option
def sample(file: str, model: str, records: int, seed: int, **options: Any) -> int:
    """Show records of FILE that are chosen at random, as the model will see them."""
    views = view(open_data(file), catalog.get(model), sample=records, seed=seed, **options)
    return _print(views)


def _print(views: Sequence[RecordView]) -> int:
    for index, record in enumerate(views):
        if not is_text():
            write(record)
            continue
        if index:
            out("")
        for line in record.text().split("\n"):
            out(line)
    return NO if any(record.record is None for record in views) else 0
