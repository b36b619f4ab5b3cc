"""Check, convert, write: what callers do with training data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, DataError, shortened
from tunestack.records.pipeline import Progress, Sums, run
from tunestack.records.source import opened, refuse_same
from tunestack.records.target import Target
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tunestack.catalog import BaseModel
    from tunestack.records.fingerprints import Doubles, Fingerprints
    from tunestack.records.report import Report
    from tunestack.records.source import Source

MOST_PROBLEMS = 1000
"""How many errors are looked for, and how many problems of one rule are listed, if the caller does not say."""
_SHOWN = 20
"""How many problems an error shows."""
_NAMED = {"image": "images", "video": "videos", "audio": "recordings", "reasoning": "reasoning"}
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
    against: Source | None = None,
    on_loss: str = "error",
    ignore: Collection[str] = (),
    most: int = MOST_PROBLEMS,
    processes: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Check data by the model's rules; nothing is written.

    Args:
        source: see `prepare`, as for what is not here.
        model: see `prepare`.
        data_format: see `prepare`.
        record_format: see `prepare`.
        validation: see `prepare`.
        against: the training data that this validation set goes with: what concerns both is checked too.
        on_loss: see `prepare`.
        ignore: see `prepare`.
        most: see `prepare`.
        processes: see `prepare`.
        progress: see `prepare`.

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
    trained = None
    if against is not None:
        with Writer(None) as nowhere:
            trained = _looked(against, target, nowhere, "training data", most, processes, progress)
    with Writer(None) as writer:
        what = _called(validation=validation)
        sums = _looked(source, target, writer, what, most, processes, progress)
        if trained is not None:
            _check_overlap(sums, trained)
        return _report(sums, writer, validation=validation)


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
        path: the file to write; what is there stays if there are errors.
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
    path = Path(path)
    refuse_same((("the data", source), ("the file to write", path)))
    with Writer(path) as writer:
        what = _called(validation=validation)
        sums = _looked(source, target, writer, what, most, processes, progress)
        report = _report(sums, writer, validation=validation)
        if not report.ok:
            raise _failed(report, validation=validation)
        writer.keep()
    return Dataset(
        path=path,
        sha256=writer.sha256,
        bytes=writer.bytes,
        records=sums.records,
        model=model,
        report=report,
        fingerprints=sums.fingerprints,
    )


def _failed(report: Report, *, validation: bool) -> DataError:
    """Make the error of a report."""
    errors = report.errors
    shown = [str(problem) for problem in errors[:_SHOWN]]
    count = sum(report.counts[rule] for rule in {problem.rule for problem in errors})
    more = "" if count <= len(shown) else f" (the first {len(shown)} of them)"
    error = DataError(
        f"{_called(validation=validation)} has problems, nothing was uploaded: "
        f"{count:,} in {_records(report.records)}{more}",
        shown,
    )
    error.report = report
    return error


def check_together(training: Dataset, validation: Dataset) -> list[str]:
    """Check what concerns training and validation data together; returns warnings.

    Raises:
        DataError: they are too many.
    """
    why = _too_many(training.model, training.records + validation.records)
    if why is not None:
        raise DataError(f"{why}: nothing was uploaded")
    both = validation.fingerprints.shared(training.fingerprints)
    return [] if both is None else [_overlapping(both)]


def _check_overlap(sums: Sums, training: Sums) -> None:
    """Check what concerns a validation set together with its training data."""
    why = _too_many(sums.target.model, training.records + sums.records)
    if why is not None:
        sums.add_to_file("record-count", why)
    both = sums.fingerprints.shared(training.fingerprints)
    if both is not None:
        sums.add_to_file("overlap", _overlapping(both), line=both.line)


def _too_many(model: BaseModel, total: int) -> str | None:
    most = model.limits.max_total_records
    if most is None or total <= most:
        return None
    return (
        f"training and validation data have {total:,} records together, "
        f"{model.name} takes at most {most:,}"
    )


def _overlapping(both: Doubles) -> str:
    return (
        f"{_records(both.count)} of the validation data are in the training data too "
        f"(line {both.line} is line {both.other} there): their loss says nothing"
    )


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _called(*, validation: bool) -> str:
    return "validation data" if validation else "training data"


def _looked(
    source: Source,
    target: Target,
    writer: Writer,
    what: str,
    most: int,
    processes: int | None,
    progress: Callable[[Progress], None] | None,
) -> Sums:
    if not isinstance(most, int) or most < 1:
        raise ConfigError(f"most {shortened(most)} is not possible: use 1 or more")
    with opened(source, what) as data:
        sums = run(data, target, writer, most=most, processes=processes, progress=progress)
    writer.close()
    return sums


def _report(sums: Sums, writer: Writer, *, validation: bool) -> Report:
    model = sums.target.model
    if validation and not model.limits.validation_set:
        why = f"{model.name} takes no validation data: leave it out"
        sums.add_to_file("validation-not-taken", why)
    duplicates = _check_file(sums, writer, _called(validation=validation), validation=validation)
    return sums.report(duplicates)


def _check_file(sums: Sums, writer: Writer, what: str, *, validation: bool) -> int:
    """Check what concerns the whole file; returns how many records are there before."""
    model = sums.target.model
    limits = model.limits
    least = (limits.min_validation_records if validation else limits.min_records) or 1
    most = limits.max_validation_records if validation else limits.max_records
    size = limits.max_validation_bytes if validation else limits.max_bytes
    count = f"{what} has {_records(sums.records)}"
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
                f"{held:,} of {sums.records:,} records have {_NAMED[kind]}: all should, or none",
            )
    doubles = None if sums.enough else sums.fingerprints.doubles()
    if doubles is None:
        return 0
    sums.add_to_file(
        "duplicates",
        f"{_records(doubles.count)} that {'is' if doubles.count == 1 else 'are'} there before "
        f"(line {doubles.line} is line {doubles.other} again): learned, and billed, again",
        line=doubles.line,
    )
    return doubles.count
