"""`tunestack data from-logs`: create training data from Bedrock's model invocation logs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, get_args

import click

from tunestack.cli.groups import examples
from tunestack.cli.options import Pair, format_option, once
from tunestack.cli.output import is_text, note, out, write
from tunestack.cli.time_options import since_option, until_option
from tunestack.records.logs import LogFilter, Unique

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_EVERY = 0.5
"""Seconds between two lines of progress."""


@click.command(
    "from-logs",
    epilog=examples(
        "tunestack data from-logs s3://my-logs/ -o traffic.jsonl --model claude-sonnet-4",
        "tunestack data from-logs logs/ -o traffic.jsonl --since 2026-11-01 --filter privacy:clean",
        page="own-traffic.md",
    ),
)
@click.argument("source")
@click.option("--output", "-o", required=True, metavar="FILE", help="The file to write.")
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    metavar="TEXT",
    help="A part of the model id, such as claude-sonnet-4; by default all models.",
)
@since_option()
@until_option()
@click.option(
    "--metadata",
    type=Pair(),
    multiple=True,
    help="Request metadata that the requests have: app=support.",
)
@click.option(
    "--min-output-tokens", type=click.IntRange(0), default=0, help="Leave out shorter answers."
)
@click.option("--keep-incomplete", is_flag=True, help="Keep truncated and blocked answers.")
@click.option(
    "--unique",
    type=click.Choice(get_args(Unique)),
    default="record",
    show_default=True,
    help="What is written once: equal records, records with an equal prompt, or nothing.",
)
@click.option(
    "--filter",
    "filter_name",
    metavar="MODULE:FUNCTION",
    help="A Python function that gets each record and its log entry, and returns the record, or None to leave it out.",
)
@format_option
def from_logs(
    source: str,
    output: str,
    models: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    metadata: tuple[tuple[str, str], ...],
    min_output_tokens: int,
    unique: Unique,
    filter_name: str | None,
    *,
    keep_incomplete: bool,
) -> None:
    """Create training data in the chat format from Bedrock's model invocation logs.

    SOURCE is s3://bucket/prefix/, a directory or a file. Run an interrupted command again to continue.
    """
    # boto3 takes a while to load, and `tunestack data --help` does not need it.
    from tunestack._utils.functions import load_function  # noqa: PLC0415
    from tunestack.backends.bedrock.logs import collect_logs  # noqa: PLC0415

    hook = None if filter_name is None else load_function(filter_name)
    log_filter = LogFilter(
        models=models,
        since=since,
        until=until,
        metadata=once(metadata),
        min_output_tokens=min_output_tokens,
        keep_incomplete=keep_incomplete,
    )
    try:
        dataset = collect_logs(
            source, output, log_filter=log_filter, unique=unique, hook=hook, progress=_progress()
        )
    except KeyboardInterrupt:
        note("run the same command again to continue after the last complete log file")
        raise
    if not is_text():
        write(dataset)
        return
    out(
        f"{dataset.records:,} records of {dataset.entries:,} log entries in {dataset.files:,} files"
    )
    for title, counts in (("records by model", dataset.models), ("left out", dataset.skipped)):
        if counts:
            out(f"{title}:")
        for name, count in counts.items():
            out(f"  {count:>9,}  {name}")
    note(f"wrote {output}: check it with `tunestack data check {output} -m MODEL`")


def _progress() -> Callable[[int, int], None] | None:
    """Return a function that prints the progress to a terminal."""
    if not sys.stderr.isatty():
        return None
    last = time.monotonic()

    def say(files: int, records: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            note(f"{files:,} log files, {records:,} records")

    return say
