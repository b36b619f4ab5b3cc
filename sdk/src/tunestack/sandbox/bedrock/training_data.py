"""Bedrock's own look at a training file: plain and slow, by the rules that AWS documents.

Source: user guide, model-customization-prepare and fine-tuning-troubleshooting (read 2026-11-22).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunestack.catalog import RecordFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel


class BadDataError(Exception):
    """The job fails on the file; the text is what AWS says."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A file that was read: how many records, and (what is asked, what is answered) for each answer in them."""

    rows: int
    pairs: list[tuple[str, str]]


def read(content: bytes, name: str, base: BaseModel, *, validation: bool) -> Rows:
    """Read a training or validation file.

    Raises:
        BadDataError: the service would refuse the file.
    """
    rows = list(_objects(content, name))
    least = None if validation else base.limits.min_records
    most = base.limits.max_validation_records if validation else base.limits.max_records
    if not rows or (least is not None and len(rows) < least):
        raise BadDataError(
            f"Number of samples in file {name} is {len(rows)}, the minimum is {least or 1}."
        )
    if most is not None and len(rows) > most:
        raise BadDataError(
            f"Number of samples in file {name} is {len(rows)}, the maximum is {most}."
        )
    found = []
    for line, row in enumerate(rows, start=1):
        try:
            found += list(_READERS[base.record_format](row))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadDataError(
                f"Invalid record at line {line} of file {name}: {error!r}"
            ) from error
        _check_words(row, base, line, name)
    return Rows(len(rows), found)


def _objects(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    broken = BadDataError(
        f"Unable to parse Amazon S3 file: {name}. Data files must conform to JSONL format."
    )
    for line in content.removesuffix(b"\n").split(b"\n"):
        try:
            row = json.loads(line.decode("utf-8"))
        except ValueError:
            raise broken from None
        if not isinstance(row, dict):
            raise broken
        yield row


def _converse(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if row["schemaVersion"] != "bedrock-conversation-2024" or row.keys() - {
        "schemaVersion",
        "system",
        "messages",
    }:
        raise ValueError("unexpected keys or schemaVersion")
    asked = [block["text"] for block in row.get("system", [])]
    turns = row["messages"]
    if len(turns) < 2 or len(turns) % 2:
        raise ValueError("messages must alternate, user first and assistant last")
    for place, turn in enumerate(turns):
        role = ("user", "assistant")[place % 2]
        if turn["role"] != role:
            raise ValueError(f"message {place} must be the {role}'s")
        text = "\n".join(block["text"] for block in turn["content"])
        if not text.strip():
            raise ValueError(f"message {place} is empty")
        if role == "assistant":
            yield "\n".join(asked), text
        asked.append(text)


def _prompt_completion(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if row.keys() != {"prompt", "completion"}:
        raise ValueError("expected prompt and completion")
    if not row["prompt"].strip() or not row["completion"].strip():
        raise ValueError("prompt or completion is empty")
    yield row["prompt"], row["completion"]


_READERS = {
    RecordFormat.CONVERSE: _converse,
    RecordFormat.PROMPT_COMPLETION: _prompt_completion,
}


def _check_words(row: Mapping[str, Any], base: BaseModel, line: int, name: str) -> None:
    if not base.limits.reserved_words:
        return
    asked = [block["text"] for block in row.get("system", [])] + [
        block["text"]
        for turn in row["messages"]
        if turn["role"] == "user"
        for block in turn["content"]
    ]
    for word in base.limits.reserved_words:
        if any(word.lower() in text.lower() for text in asked):
            raise BadDataError(f"Reserved keyword {word} found at line {line} of file {name}.")
