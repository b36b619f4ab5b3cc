"""Check, convert, write: what callers do with training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, DataError
from tunestack.records.pipeline import Progress, Sums, run
from tunestack.records.source import opened, refuse_same
from tunestack.records.target import Target
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tunestack.catalog import BaseModel
    from tunestack.records.fingerprints import Fingerprints
    from tunestack.records.report import Report
    from tunestack.records.source import Source

MOST_PROBLEMS = 1000
"""How many errors are looked for, and how many problems of one rule are listed, if the caller does not say."""
_SHOWN = 20
"""How many problems an error shows."""
_FEW = {"bedrock": 200, "openai": 50}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A training file in the model's own format, on disk."""

    path: Path
    sha256: str
    """Of the file, in hex; equal data is the same file to the byte."""
    bytes: int
    records: int
    model: BaseModel
    report: Report
    fingerprints: Fingerprints


def check(
    source: Source,
    model: BaseModel,
    *,
    data_format: str | None = None,
    record_format: str | None = None,
    validation: bool = False,
    on_loss: str = "error",
    ignore: Collection[str] = (),
    most: int = MOST_PROBLEMS,
    processes: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Check data by the model's rules; nothing is written. See `prepare` for the arguments.

    Raises:
        DataError: the data can't be read.
        ConfigError: a format or rule is not one there is.
    """
    target = Target.of(
        model,
        source=data_format,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
    )
    report, _ = _run(source, target, None, validation, most, processes, progress)
    return report


def prepare(
    source: Source,
    model: BaseModel,
    path: Path,
    *,
    data_format: str | None = None,
    record_format: str | None = None,
    validation: bool = False,
    on_loss: str = "error",
    ignore: Collection[str] = (),
    owner: str | None = None,
    most: int = MOST_PROBLEMS,
    processes: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Dataset:
    """Check data by the model's rules and write it in the model's format: one pass, constant memory.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts.
        model: whose rules and format.
        path: the file to write; deleted again if there are errors.
        data_format: what records come in, see `SourceFormat`; told by the first record if not given.
        record_format: what they are written in, where the model takes more than one format.
        validation: this is the validation set, which has limits of its own.
        on_loss: `error`, or `report`: what the format can't carry is left out and counted.
        ignore: rules that are not to be held against the data, see docs/training-data-rules.md.
        owner: the account that owns the buckets of images.
        most: how many errors are looked for, and how many problems of one rule are listed.
        processes: how many work; if not given, as many as there are cores for a large file, and one else.
        progress: called again and again with how far it is.

    Raises:
        DataError: the data has errors, or can't be read or written; `report` tells all.
        ConfigError: a format or rule is not one there is.
    """
    target = Target.of(
        model,
        source=data_format,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        owner=owner,
    )
    report, written = _run(source, target, path, validation, most, processes, progress)
    if not report.ok:
        raise failed(report, validation=validation)
    sums, writer = written
    return Dataset(
        path=path,
        sha256=writer.sha256,
        bytes=writer.bytes,
        records=sums.records,
        model=model,
        report=report,
        fingerprints=sums.fingerprints,
    )


def failed(report: Report, *, validation: bool) -> DataError:
    """Make the error of a report."""
    errors = report.errors
    shown = [str(problem) for problem in errors[:_SHOWN]]
    count = sum(report.counts[rule] for rule in {problem.rule for problem in errors})
    more = "" if count <= len(shown) else f" (the first {len(shown)} of them)"
    error = DataError(
        f"{_called(validation=validation)} has problems, nothing was uploaded: "
        f"{count:,} in {report.records:,} records{more}",
        shown,
    )
    error.report = report
    return error


def check_together(training: Dataset, validation: Dataset) -> list[str]:
    """Check what concerns training and validation data together; returns warnings.

    Raises:
        DataError: they are too many.
    """
    model = training.model
    most = model.limits.max_total_records
    total = training.records + validation.records
    if most is not None and total > most:
        raise DataError(
            f"training and validation data have {total} records together, "
            f"{model.name} takes at most {most}: nothing was uploaded"
        )
    both = validation.fingerprints.shared(training.fingerprints)
    if not both:
        return []
    line, other = both[0]
    return [
        (
            f"{len(both):,} records of the validation data are in the training data too "
            f"(line {line} is line {other} there): their loss says nothing"
        )
    ]


def _called(*, validation: bool) -> str:
    return "validation data" if validation else "training data"


def _run(
    source: Source,
    target: Target,
    path: Path | None,
    validation: bool,  # noqa: FBT001 - one caller's own
    most: int,
    processes: int | None,
    progress: Callable[[Progress], None] | None,
) -> tuple[Report, tuple[Sums, Writer]]:
    what = _called(validation=validation)
    if most < 1:
        raise ConfigError(f"most {most!r} is not possible: use 1 or more")
    refuse_same((("the data", source), ("the file to write", path)))
    if validation and not target.model.limits.validation_set:
        raise DataError(f"{target.model.name} takes no validation data: leave it out")
    # First the source: what can't be read is not to leave an empty file behind.
    with opened(source, what) as data, Writer(path) as writer:
        try:
            sums = run(data, target, writer, most=most, processes=processes, progress=progress)
        except BaseException:
            writer.discard()
            raise
    duplicates = _check_file(sums, writer, what, validation=validation)
    report = sums.report(duplicates)
    if not report.ok:
        writer.discard()
    return report, (sums, writer)


def _check_file(sums: Sums, writer: Writer, what: str, *, validation: bool) -> int:
    """Check what concerns the whole file; returns how many records are there before."""
    model = sums.target.model
    limits = model.limits
    least = (limits.min_validation_records if validation else limits.min_records) or 1
    most = limits.max_validation_records if validation else limits.max_records
    size = limits.max_validation_bytes if validation else limits.max_bytes
    count = f"{what} has {sums.records:,} records"
    if sums.records < least:
        sums.add_to_file("record-count", f"{count}, {model.name} needs at least {least:,}")
    elif most is not None and sums.records > most:
        sums.add_to_file("record-count", f"{count}, {model.name} takes at most {most:,}")
    elif not validation and sums.records < _FEW[model.provider]:
        sums.add_to_file("few-records", f"{count}: {_FEW[model.provider]} and more are advised")
    if size is not None and writer.bytes > size:
        sums.add_to_file(
            "file-size",
            f"{what} would be {writer.bytes:,} bytes, {model.name} takes at most {size:,}",
        )
    for kind, held in sorted(sums.holds.items()):
        if held < sums.records - sums.bad and kind != "tools":
            sums.add_to_file(
                "mixed-content",
                f"{held:,} of {sums.records:,} records have {kind}: all should, or none",
            )
    if sums.enough:
        return 0
    doubles = sums.fingerprints.doubles()
    if doubles and "duplicates" not in sums.target.ignored:
        line, first = doubles[0]
        sums.add_to_file(
            "duplicates",
            f"{len(doubles):,} records are there before (line {line} is line {first} again): "
            "each is learned, and billed, again",
            line=line,
        )
    return len(doubles)
