"""From a caller's data to the file that a job reads, checked on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tunestack.errors import ConfigError, DataError, shortened
from tunestack.records.conversation import Conversation, DataFormat, parse
from tunestack.records.encode import encoder
from tunestack.records.read import Problem, read
from tunestack.records.write import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunestack.catalog import BaseModel
    from tunestack.records.encode import Encoder
    from tunestack.records.read import Source

MOST_PROBLEMS = 20
"""How many problems an error shows; it counts them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A training file in the model's own format, on disk."""

    path: Path
    sha256: str
    """Of the file, in hex; equal data is the same file to the byte."""
    records: int


def prepare(
    source: Source,
    model: BaseModel,
    path: Path,
    *,
    data_format: DataFormat | str | None = None,
    validation: bool = False,
) -> Dataset:
    """Check training data by the model's rules and write it in the model's format.

    One pass, constant memory. Nothing is dropped: what the model's format can't carry is a problem.

    Args:
        source: a path to a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts.
        model: whose rules and format.
        path: the file to write.
        data_format: `chat` or `completion`; told by the first record's fields if not given.
        validation: this is the validation set, which has no minimum and a limit of its own.

    Raises:
        DataError: the data has problems; it names every line, up to a limit, and what was expected there.
    """
    what = "validation data" if validation else "training data"
    if validation and not model.limits.validation_set:
        raise DataError(f"{model.name} takes no validation data: leave it out")
    encode = encoder(model.record_format)
    reserved = _reserved(model)
    wanted = _format(data_format)
    problems: list[Problem] = []
    found = records = 0
    with Writer(path) as file:
        for line, record in read(source, what=what):
            if isinstance(record, Problem):
                bad = [record]
            else:
                wanted = wanted or DataFormat.of(record)
                conversation = parse(record, wanted, line)
                if isinstance(conversation, Conversation):
                    bad = list(_forbidden(conversation, reserved, line))
                    text = b"" if bad else _encoded(conversation, encode, line, bad)
                else:
                    bad = conversation
            records += 1
            if bad:
                found += len(bad)
                problems += bad[: MOST_PROBLEMS - len(problems)]
            elif not found:
                file.write(text)
    if found:
        more = "" if found <= len(problems) else f" (the first {len(problems)} of them)"
        raise DataError(
            f"{what} has problems, nothing was uploaded: {found} in {records} records{more}",
            [str(problem) for problem in problems],
        )
    _check_count(records, model, what, validation=validation)
    return Dataset(path=path, sha256=file.sha256, records=records)


def check_together(training: Dataset, validation: Dataset, model: BaseModel) -> None:
    """Check the limit that counts training and validation data together.

    Raises:
        DataError: they are too many.
    """
    most = model.limits.max_total_records
    total = training.records + validation.records
    if most is not None and total > most:
        raise DataError(
            f"training and validation data have {total} records together, "
            f"{model.name} takes at most {most}: nothing was uploaded"
        )


def _format(name: DataFormat | str | None) -> DataFormat | None:
    if name is None:
        return None
    try:
        return DataFormat(name)
    except ValueError:
        known = ", ".join(repr(known.value) for known in DataFormat)
        raise ConfigError(f"data format {shortened(name)} is unknown: use {known}") from None


def _encoded(conversation: Conversation, encode: Encoder, line: int, bad: list[Problem]) -> bytes:
    record = encode(conversation, line)
    if isinstance(record, Problem):
        bad.append(record)
        return b""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        bad.append(Problem(line=line, field="$", message=f"can't be written as UTF-8: {error}"))
        return b""


def _reserved(model: BaseModel) -> re.Pattern[str] | None:
    words = model.limits.reserved_words
    return re.compile("|".join(map(re.escape, words)), re.IGNORECASE) if words else None


def _forbidden(
    conversation: Conversation, reserved: re.Pattern[str] | None, line: int
) -> Iterator[Problem]:
    """Find the words that make the service refuse the whole file when a prompt holds them."""
    if reserved is None:
        return
    prompts = [("system", text) for text in conversation.system] + [
        (f"turn {place + 1} ({turn.role})", text)
        for place, turn in enumerate(conversation.turns)
        if turn.role == "user"
        for text in turn.texts
    ]
    for where, text in prompts:
        if match := reserved.search(text):
            yield Problem(
                line=line,
                field=where,
                message=f"{match[0]!r} is reserved by this model and fails the whole job: "
                "word it differently",
            )


def _check_count(records: int, model: BaseModel, what: str, *, validation: bool) -> None:
    least = 1 if validation else model.limits.min_records or 1
    most = model.limits.max_validation_records if validation else model.limits.max_records
    if records < least:
        raise DataError(
            f"{what} has {records} records, {model.name} needs at least {least}: "
            "nothing was uploaded"
        )
    if most is not None and records > most:
        raise DataError(
            f"{what} has {records} records, {model.name} takes at most {most}: nothing was uploaded"
        )
