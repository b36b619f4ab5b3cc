"""Check training data, and convert it to a model's format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, DataError, shortened
from tunestack.records.pipeline import Progress, run
from tunestack.records.report import group_problems
from tunestack.records.shapes import create_mapping
from tunestack.records.source import open_source, require_different_files
from tunestack.records.target import Target
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tunestack.catalog import BaseModel
    from tunestack.records.fingerprints import Duplicates, Fingerprints
    from tunestack.records.report import Report
    from tunestack.records.shapes import Shape
    from tunestack.records.source import Source
    from tunestack.records.target import Rendering
    from tunestack.records.totals import Totals

_MAX_PROBLEMS = 1000
_LISTED_PROBLEMS = 20
"""Problems in the message of an error."""
_MEDIA = {"image": "images", "video": "videos", "audio": "audio", "reasoning": "reasoning"}
_RECOMMENDED_RECORDS = {"bedrock": 200, "openai": 50}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A training file in the format of a model, on disk."""

    path: Path
    sha256: str
    """SHA-256 of the file, in hex. Equal data gives the same file, byte by byte."""
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
    rendering: str | None = None,
    mapping: Mapping[str, str] | None = None,
    max_problems: int = _MAX_PROBLEMS,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Check training data by the rules of a model. Nothing is written.

    Args:
        source: see `prepare`, also for arguments that are not listed here.
        model: see `prepare`.
        data_format: see `prepare`.
        record_format: see `prepare`.
        validation: see `prepare`.
        against: the training data of this validation data, to check both together.
        on_loss: see `prepare`.
        ignore: see `prepare`.
        rendering: see `prepare`.
        mapping: see `prepare`.
        max_problems: see `prepare`.
        progress: see `prepare`.

    Raises:
        DataError: the data can't be read.
        ConfigError: an argument is invalid.
    """
    target = Target.create(
        model,
        source=data_format,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        rendering=rendering,
    )
    training = None
    shape = _create_shape(mapping, data_format)
    if against is not None:
        with Writer(None) as writer:
            training = _run(against, target, shape, writer, "training data", max_problems, progress)
    with Writer(None) as writer:
        name = _name(validation=validation)
        totals = _run(source, target, shape, writer, name, max_problems, progress)
        if training is not None:
            _check_together(totals, training)
        return _create_report(totals, writer, validation=validation)


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
    rendering: str | None = None,
    mapping: Mapping[str, str] | None = None,
    max_problems: int = _MAX_PROBLEMS,
    progress: Callable[[Progress], None] | None = None,
) -> Dataset:
    """Check training data and convert it to a model's format, in one pass and constant memory.

    ```python
    dataset = prepare("train.jsonl", catalog.require("nova-micro", ...), Path("converted.jsonl"))
    print(dataset.records, dataset.report.tokens.total)
    ```

    Args:
        source: a path, a file opened with `"rb"`, a DataFrame, or an iterable of records. JSON Lines, JSON, CSV, parquet, Arrow,
            Excel, Hugging Face datasets and compressed files are detected, see docs/my-data.md.
        model: the base model. Its rules and formats are used.
        path: the file to write. An existing file is replaced if there are no errors, and kept otherwise.
        data_format: the format that is read (`chat`, `completion`, ...); by default detected from the first record.
        record_format: the format that is written, if the model supports several.
        validation: whether the data is validation data, which has other limits.
        on_loss: `error`, or `report` to leave out and count content that the format can't represent.
        ignore: validation rules to skip, see docs/training-data-rules.md.
        owner: the AWS account that owns the buckets of images.
        rendering: how prompts are written for models that are trained on prompts and completions: `raw` or `chat-template`,
            see `Rendering`. By default the prompts of prompt/completion data are kept, and messages are written with the
            chat template.
        mapping: the fields of records in another format: `{"prompt": "question", "completion": "answer"}`, with `system` if
            there is one, or `{"messages": "turns"}`. By default the format is detected.
        max_problems: the number of errors after which only the fast path is used, and the number of listed problems of
            each rule.
        progress: called after each chunk of about 1 MiB.

    Raises:
        DataError: the data has errors, or can't be read or written. `error.report` has all problems.
        ConfigError: an argument is invalid.
    """
    target = Target.create(
        model,
        source=data_format,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        owner=owner,
        rendering=rendering,
    )
    path = Path(path)
    require_different_files((("the data", source), ("the file to write", path)))
    with Writer(path) as writer:
        shape = _create_shape(mapping, data_format)
        name = _name(validation=validation)
        totals = _run(source, target, shape, writer, name, max_problems, progress)
        report = _create_report(totals, writer, validation=validation)
        if not report.ok:
            raise _create_error(report, validation=validation)
        writer.commit()
    return Dataset(
        path=path,
        sha256=writer.sha256,
        bytes=writer.bytes,
        records=totals.records,
        model=model,
        report=report,
        fingerprints=totals.fingerprints,
    )


def check_together(training: Dataset, validation: Dataset) -> list[str]:
    """Check training and validation data together; return warnings.

    Raises:
        DataError: together they have too many records, or their prompts are written differently.
    """
    problem = _explain_too_many(training.model, training.records + validation.records)
    if problem is not None:
        raise DataError(f"{problem}: nothing was uploaded")
    problem = _explain_renderings(training.report.rendering, validation.report.rendering)
    if problem is not None:
        raise DataError(f"{problem}: nothing was uploaded")
    shared = validation.fingerprints.shared(training.fingerprints)
    return [] if shared is None else [_explain_overlap(shared)]


def _check_together(validation: Totals, training: Totals) -> None:
    problem = _explain_too_many(training.target.model, training.records + validation.records)
    if problem is not None:
        validation.add_file_problem("record-count", problem)
    problem = _explain_renderings(training.rendering, validation.rendering)
    if problem is not None:
        validation.add_file_problem("mixed-rendering", problem)
    shared = validation.fingerprints.shared(training.fingerprints)
    if shared is not None:
        validation.add_file_problem("overlap", _explain_overlap(shared), line=shared.line)


def _explain_too_many(model: BaseModel, total: int) -> str | None:
    limit = model.limits.max_total_records
    if limit is None or total <= limit:
        return None
    return (
        f"training and validation data have {total:,} records together, "
        f"the maximum of {model.name} is {limit:,}"
    )


def _explain_renderings(training: Rendering | None, validation: Rendering | None) -> str | None:
    if training == validation:
        return None
    return (
        f"the rendering of the prompts is {training!r} in the training data and {validation!r} in the validation data: "
        f"set rendering={training!r}, or use the same format for both"
    )


def _explain_overlap(shared: Duplicates) -> str:
    return (
        f"the validation data has {_count_records(shared.count)} that the training data has too "
        f"(line {shared.line} is line {shared.original} there): their validation loss is meaningless"
    )


def _count_records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _name(*, validation: bool) -> str:
    return "validation data" if validation else "training data"


def _create_shape(mapping: Mapping[str, str] | None, data_format: str | None) -> Shape | None:
    if mapping is None:
        return None
    if data_format is not None:
        raise ConfigError("use either data_format or mapping: a mapping creates the format")
    return create_mapping(mapping)


def _run(
    source: Source,
    target: Target,
    mapping: Shape | None,
    writer: Writer,
    name: str,
    max_problems: int,
    progress: Callable[[Progress], None] | None,
) -> Totals:
    if not isinstance(max_problems, int) or max_problems < 1:
        raise ConfigError(f"invalid max_problems {shortened(max_problems)}: use 1 or more")
    with open_source(source, name) as reader:
        totals = run(
            reader,
            target,
            writer,
            max_problems=max_problems,
            mapping=mapping,
            name=name,
            progress=progress,
        )
    writer.close()
    return totals


def _create_report(totals: Totals, writer: Writer, *, validation: bool) -> Report:
    """Check the file as a whole, and create the report."""
    model = totals.target.model
    if validation and not model.limits.validation_set:
        message = f"{model.name} does not support validation data: omit it"
        totals.add_file_problem("validation-not-taken", message)
    name = _name(validation=validation)
    _check_record_count(totals, name, validation=validation)
    max_size = model.limits.max_validation_bytes if validation else model.limits.max_bytes
    if max_size is not None and writer.bytes > max_size:
        message = (
            f"{name} would have {writer.bytes:,} bytes, the maximum of {model.name} is {max_size:,}"
        )
        totals.add_file_problem("file-size", message)
    _check_mixed_content(totals)
    _check_rendering(totals)
    return totals.report(_check_duplicates(totals))


def _check_record_count(totals: Totals, name: str, *, validation: bool) -> None:
    model = totals.target.model
    limits = model.limits
    minimum = (limits.min_validation_records if validation else limits.min_records) or 1
    maximum = limits.max_validation_records if validation else limits.max_records
    recommended = _RECOMMENDED_RECORDS[model.provider]
    count = f"{name} has {_count_records(totals.records)}"
    if totals.records < minimum:
        totals.add_file_problem(
            "record-count", f"{count}, the minimum of {model.name} is {minimum:,}"
        )
    elif maximum is not None and totals.records > maximum:
        totals.add_file_problem(
            "record-count", f"{count}, the maximum of {model.name} is {maximum:,}"
        )
    elif not validation and totals.records < (limits.validator_min_records or 0):
        totals.add_file_problem(
            "record-count",
            f"{count}, the minimum of {model.name} in AWS's validators is {limits.validator_min_records:,}: "
            f"{limits.validator_note} (to submit it anyway, ignore the rule 'record-count')",
        )
    elif not validation and totals.records < recommended:
        totals.add_file_problem("few-records", f"{count}: {recommended} or more are recommended")


def _check_mixed_content(totals: Totals) -> None:
    for kind, count in sorted(totals.content.items()):
        if kind != "tools" and count < totals.records - totals.invalid:
            totals.add_file_problem(
                "mixed-content",
                f"{count:,} of {totals.records:,} records have {_MEDIA[kind]}: use it in all records or in none",
            )


def _check_rendering(totals: Totals) -> None:
    valid = totals.records - totals.invalid
    if 0 < totals.rendered < valid:
        totals.add_file_problem(
            "mixed-rendering",
            f"{totals.rendered:,} of {valid:,} prompts are written with the chat template of the model, the others are not: "
            "write all prompts the same way, or set the rendering to chat-template, which adds it to the others",
        )


def _check_duplicates(totals: Totals) -> int:
    """Add a problem if records appear twice; return how many do."""
    duplicates = None if totals.has_max_errors else totals.fingerprints.duplicates()
    if duplicates is None:
        return 0
    totals.add_file_problem(
        "duplicates",
        f"{_count_records(duplicates.count)} appeared before "
        f"(line {duplicates.line} is equal to line {duplicates.original}): trained on, and billed, again",
        line=duplicates.line,
    )
    return duplicates.count


def _create_error(report: Report, *, validation: bool) -> DataError:
    errors = report.errors
    groups = list(group_problems(errors))
    listed = groups[:_LISTED_PROBLEMS]
    count = sum(report.counts[rule] for rule in {problem.rule for problem in errors})
    first = "" if len(groups) == len(listed) else f" (the first {len(listed)} are listed)"
    error = DataError(
        f"{_name(validation=validation)} has problems, nothing was uploaded: "
        f"{count:,} in {_count_records(report.records)}{first}",
        listed,
    )
    error.report = report
    return error
