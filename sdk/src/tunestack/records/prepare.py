"""Check training data, and convert it to a model's format."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import orjson

from tunestack.catalog import BaseModel
from tunestack.errors import ConfigError, DataError, shortened
from tunestack.records.conversations import Conversations
from tunestack.records.file_checks import (
    FileSummary,
    check_duplicates,
    check_mixed_content,
    check_near_duplicates,
    check_record_count,
    check_rendering,
    compare,
    count_records,
)
from tunestack.records.findings import Severity
from tunestack.records.fingerprints import Fingerprints
from tunestack.records.pipeline import Progress, run
from tunestack.records.report import Report, group_problems
from tunestack.records.rules import RULES
from tunestack.records.shapes import create_mapping
from tunestack.records.source import open_source, require_different_files
from tunestack.records.target import Target
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tunestack.records.shapes import Shape
    from tunestack.records.source import Source
    from tunestack.records.totals import Totals

_MAX_PROBLEMS = 1000
_LISTED_PROBLEMS = 20
"""Problems in the message of an error."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
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
    find_near_duplicates: bool = False,
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
        find_near_duplicates: whether records that differ only in case, spaces and punctuation are counted, which takes
            longer.
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
            training = _run(
                against,
                target,
                writer,
                name="training data",
                mapping=shape,
                conversations=Conversations(),
                max_problems=max_problems,
                progress=progress,
            )
    with Writer(None) as writer:
        totals = _run(
            source,
            target,
            writer,
            name=_name(validation=validation),
            mapping=shape,
            conversations=None if training is None else Conversations(),
            find_near_duplicates=find_near_duplicates,
            max_problems=max_problems,
            progress=progress,
        )
        if training is not None:
            for problem in compare(training.summarize(), totals.summarize()):
                totals.add_file_problem(*problem)
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
        progress: called after each chunk of about 64 KiB.

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
        totals = _run(
            source,
            target,
            writer,
            name=_name(validation=validation),
            mapping=_create_shape(mapping, data_format),
            max_problems=max_problems,
            progress=progress,
        )
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
    warnings = []
    for rule, message, _ in compare(*map(_summarize, (training, validation))):
        if RULES[rule].severity is Severity.ERROR:
            raise DataError(f"{message}: nothing was uploaded")
        warnings.append(message)
    return warnings


def _summarize(dataset: Dataset) -> FileSummary:
    return FileSummary(
        model=dataset.model,
        records=dataset.records,
        rendering=dataset.report.rendering,
        fingerprints=dataset.fingerprints,
        read_conversations=partial(_read_conversations, dataset),
    )


def _read_conversations(dataset: Dataset) -> Conversations:
    """Read the conversations of a converted file."""
    conversations = Conversations()
    with dataset.path.open("rb") as file:
        for line in file:
            conversations.add(orjson.loads(line))
    return conversations


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
    writer: Writer,
    *,
    name: str,
    mapping: Shape | None,
    max_problems: int,
    progress: Callable[[Progress], None] | None,
    conversations: Conversations | None = None,
    find_near_duplicates: bool = False,
) -> Totals:
    if not isinstance(max_problems, int) or max_problems < 1:
        raise ConfigError(f"invalid max_problems {shortened(max_problems)}: use 1 or more")
    with open_source(source, name, max_length=target.max_line_length) as reader:
        totals = run(
            reader,
            target,
            writer,
            max_problems=max_problems,
            mapping=mapping,
            name=name,
            conversations=conversations,
            find_near_duplicates=find_near_duplicates,
            progress=progress,
        )
    writer.close()
    return totals


def _create_report(totals: Totals, writer: Writer, *, validation: bool) -> Report:
    """Check the file as a whole, and create the report."""
    model = totals.target.model
    if validation and not model.limits.validation_set:
        message = f"{model.name} does not support validation data: omit it"
        totals.add_file_problem("unsupported-validation-data", message)
    name = _name(validation=validation)
    check_record_count(totals, name, validation=validation)
    max_size = model.limits.max_validation_bytes if validation else model.limits.max_bytes
    if max_size is not None and writer.bytes > max_size:
        message = (
            f"{name} would have {writer.bytes:,} bytes, the maximum of {model.name} is {max_size:,}"
        )
        totals.add_file_problem("file-size", message)
    check_mixed_content(totals)
    check_rendering(totals)
    check_near_duplicates(totals)
    return totals.report(check_duplicates(totals))


def _create_error(report: Report, *, validation: bool) -> DataError:
    errors = report.errors
    groups = list(group_problems(errors))
    listed = groups[:_LISTED_PROBLEMS]
    count = sum(report.counts[rule] for rule in {problem.rule for problem in errors})
    first = "" if len(groups) == len(listed) else f" (the first {len(listed)} are listed)"
    error = DataError(
        f"{_name(validation=validation)} has problems, nothing was uploaded: "
        f"{count:,} in {count_records(report.records)}{first}",
        listed,
    )
    error.report = report
    return error
