"""Checks of a whole file, and of training and validation data together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunestack.catalog import BaseModel
    from tunestack.records.conversations import Conversations
    from tunestack.records.fingerprints import Duplicates, Fingerprints
    from tunestack.records.target import Rendering
    from tunestack.records.totals import Totals

_CONTENT = {
    "image": "images",
    "video": "videos",
    "audio": "audio",
    "document": "documents",
    "reasoning": "reasoning",
    "system": "a system prompt",
    "tools": "tools",
}
_ALL_OR_NONE = {"image", "video", "audio", "document", "reasoning"}
_NOVA_ALL_OR_NONE = {"system", "tools"}
"""Only AWS's newest validator for Nova (amzn-nova-forge 1.4.10) requires these in all records."""
_RECOMMENDED_RECORDS = {"bedrock": 200, "openai": 50}


def check_record_count(totals: Totals, name: str, *, validation: bool) -> None:
    """Check the number of records."""
    model = totals.target.model
    limits = model.limits
    minimum = (limits.min_validation_records if validation else limits.min_records) or 1
    maximum = limits.max_validation_records if validation else limits.max_records
    recommended = _RECOMMENDED_RECORDS[model.provider]
    count = f"{name} has {count_records(totals.records)}"
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


def check_mixed_content(totals: Totals) -> None:
    """Check that all records have the same kinds of content, and that no source rejects it."""
    model = totals.target.model
    for kind, count in sorted((totals.content | {"system": totals.systems}).items()):
        what = f"{count:,} of {totals.records:,} records have {_CONTENT[kind]}"
        is_mixed = 0 < count < totals.records - totals.invalid
        if is_mixed and kind in _ALL_OR_NONE:
            message = f"{what}: use it in all records or in none"
            totals.add_file_problem("mixed-content", message)
        elif is_mixed and kind in _NOVA_ALL_OR_NONE and model.family == "nova":
            message = (
                f"{what}: AWS's validator amzn-nova-forge requires it in all records or in none"
            )
            totals.add_file_problem("mixed-content", message)
        if count and kind in model.disputed:
            totals.add_file_problem(
                "sources-disagree",
                f"{count_records(count)} with {_CONTENT[kind]}: {model.disputed[Content(kind)]}",
            )


def check_rendering(totals: Totals) -> None:
    """Check that all prompts have the chat template, or none."""
    valid = totals.records - totals.invalid
    if 0 < totals.rendered < valid:
        totals.add_file_problem(
            "mixed-rendering",
            f"{totals.rendered:,} of {valid:,} prompts are written with the chat template of the model, the others are not: "
            "write all prompts the same way, or set the rendering to chat-template, which adds it to the others",
        )


def check_duplicates(totals: Totals) -> int:
    """Add a problem if records appear twice; return how many do."""
    duplicates = None if totals.has_max_errors else totals.fingerprints.duplicates()
    if duplicates is None:
        return 0
    totals.add_file_problem(
        "duplicates",
        f"{count_records(duplicates.count)} appeared before "
        f"(line {duplicates.line} is equal to line {duplicates.original}): trained on, and billed, again",
        line=duplicates.line,
    )
    return duplicates.count


def check_near_duplicates(totals: Totals) -> None:
    """Add a problem if records differ only in case, spaces and punctuation from an earlier one."""
    if totals.simplified is None or totals.has_max_errors:
        return
    near = totals.simplified.near_duplicates(totals.fingerprints)
    if near is not None:
        totals.add_file_problem(
            "near-duplicates",
            f"{count_records(near.count)} differ only in case, spaces and punctuation from an earlier record "
            f"(the first are lines {near.original} and {near.line})",
            line=near.line,
        )


class FileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What of a file is compared with another one."""

    model: BaseModel
    records: int
    rendering: Rendering | None
    fingerprints: Fingerprints
    read_conversations: Callable[[], Conversations]
    """Returns the conversations of the file, which may have to be read."""


def compare(
    training: FileSummary, validation: FileSummary
) -> Iterator[tuple[str, str, int | None]]:
    """Yield the problems of training and validation data together: the rule, the message, and the line of validation data."""
    problem = _explain_too_many(training.model, training.records + validation.records)
    if problem is not None:
        yield "record-count", problem, None
    problem = _explain_renderings(training.rendering, validation.rendering)
    if problem is not None:
        yield "mixed-rendering", problem, None
    shared = validation.fingerprints.shared(training.fingerprints)
    if shared is not None:
        yield "overlap", _explain_overlap(shared), shared.line
        return
    problem = _explain_shared(training.read_conversations(), validation.read_conversations())
    if problem is not None:
        yield "overlap", problem, None


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
        f"the validation data has {count_records(shared.count)} that the training data has too "
        f"(line {shared.line} is line {shared.original} there): their validation loss is meaningless"
    )


def count_records(count: int) -> str:
    """Return a number of records as text."""
    return f"{count:,} record{'' if count == 1 else 's'}"


def _explain_shared(training: Conversations, validation: Conversations) -> str | None:
    """Describe the conversations that are in both files, with other turns, system prompts or spaces."""
    shared = {*training.keys()} & {*validation.keys()}
    if not shared:
        return None
    return (
        f"{len(shared):,} conversation{'s' if len(shared) > 1 else ''} of the validation data began in the training data too: "
        "the validation loss is too low; split the data with `tunestack data split`"
    )
