"""Repair training data: rewrite each record in its own format, without a change of its meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunestack.catalog import RecordFormat
from tunestack.errors import DataError
from tunestack.records.findings import Finding, Findings, Severity, without_indices
from tunestack.records.formats import FORMATS
from tunestack.records.jsonline import BOM, decode, encode_or_explain
from tunestack.records.normalize import merge_calls, remove_blank_parts
from tunestack.records.pipeline import read_mapped
from tunestack.records.report import Problem, group_problems
from tunestack.records.rules import RULES
from tunestack.records.shapes import create_mapping
from tunestack.records.source import open_source, require_different_files
from tunestack.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.records.source import Source

_NAME = "data"
_LISTED = 20
_BOM_RULE = "byte-order-mark"


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """A repaired file."""

    path: Path
    format: RecordFormat
    records: int
    """Records that were written."""
    changed: int
    """Records that were written in another way than in the data."""
    rejected: int
    """Lines that are no valid record, which are in the file of rejected lines."""
    changes: Mapping[str, int]
    """How often each change was made, by its path in a record."""
    notices: tuple[str, ...]
    """How the data was read, if it is not in one of Tunestack's formats."""


def fix(
    source: Source,
    path: Path,
    *,
    rejected: Path | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Fix:
    """Rewrite training data so that the model's rules accept variants of its format, and list each change with its count.

    Changes have no effect on the meaning: the container becomes JSON Lines, other record formats are mapped, and what `check`
    reports as `normalized`, `blank-part`, `blank-line`, `byte-order-mark` and `legacy-functions` is rewritten. A record
    whose content would be changed is kept as it is.

    Args:
        source: the data, see `prepare`.
        path: the file to write. An existing file is replaced.
        rejected: a file for the lines that are no valid record, unchanged. Without it, they are errors.
        mapping: the fields of records in another format, see `prepare`.

    Raises:
        DataError: the data can't be read or written, or has invalid lines and `rejected` is not given. Nothing is written then.
        ConfigError: an argument is invalid, or two paths are of the same file.
    """
    files = (
        ("the data", source),
        ("the file to write", path),
        ("the file of rejected lines", rejected),
    )
    require_different_files(files)
    shape = None if mapping is None else create_mapping(mapping)
    with open_source(source, _NAME) as reader, Writer(path) as writer, Writer(rejected) as rejects:
        chunks, source_format, mapper = read_mapped(reader, None, shape, _NAME)
        fixer = _Fixer(source_format)
        for chunk in chunks:
            for index, line in enumerate(chunk.lines):
                problem = chunk.rejected.get(index)
                fixed = fixer.fix(line, problem)
                if fixed is None:
                    rejects.write(line)
                else:
                    writer.write(fixed)
        if fixer.problems and rejected is None:
            raise _create_error(fixer)
        if not fixer.records:
            raise DataError(f"{_NAME} has no valid record")
        notices = [f"read as {reader.kind}"] if reader.kind else []
        notices += [] if mapper is None else mapper.notices()
        for output in (writer, rejects):
            output.close()
        writer.commit()
        rejects.commit()
    return Fix(
        path=Path(path),
        format=source_format,
        records=fixer.records,
        changed=fixer.changed,
        rejected=fixer.rejected,
        changes=dict(fixer.changes.most_common()),
        notices=tuple(notices),
    )


class _Fixer:
    """Rewrites the records of one format."""

    def __init__(self, record_format: RecordFormat) -> None:
        self._form = FORMATS[record_format]
        self._lines = 0
        self.records = 0
        self.changed = 0
        self.rejected = 0
        self.changes: Counter[str] = Counter()
        self.problems: list[Problem] = []

    def fix(self, line: bytes, problem: Finding | None) -> bytes | None:
        """Return a line with its changes, empty for a blank line; `None` if it is not a valid record.

        Args:
            line: the line.
            problem: why the line could not be read; `None` if it was.
        """
        self._lines += 1
        findings = Findings()
        stripped = line.rstrip(b"\r\n")
        record = None if problem is not None else decode(stripped, findings)
        if record is not None:
            return self._rewrite(record, stripped, findings)
        problems = findings.problems if problem is None else [problem]
        if any(map(_is_error, problems)):
            self._reject(problems)
            return None
        self._count(problems)
        return b""

    def _rewrite(self, record: dict[str, Any], line: bytes, findings: Findings) -> bytes | None:
        conversation = self._form.read(record, findings)
        if errors := [problem for problem in findings.problems if _is_error(problem)]:
            self._reject(errors)
            return None
        self.records += 1
        conversation = merge_calls(remove_blank_parts(conversation, findings), findings)
        written = None if findings.losses else self._form.write(conversation, findings)
        self._count([problem for problem in findings.problems if problem.rule == _BOM_RULE])
        changes = [problem for problem in findings.problems if problem.rule != _BOM_RULE]
        encoded = encode_or_explain(written)
        is_kept = findings.losses or not changes or any(map(_is_error, changes))
        if is_kept or isinstance(encoded, Finding):
            return line.removeprefix(BOM).strip(b" \t") + b"\n"
        self.changed += 1
        self._count(changes)
        return encoded

    def _reject(self, problems: list[Finding]) -> None:
        self.rejected += 1
        if len(self.problems) < _LISTED:
            self.problems += [
                Problem(
                    rule=problem.rule,
                    severity=Severity.ERROR,
                    message=problem.message,
                    line=self._lines,
                    path=problem.path,
                )
                for problem in problems
            ]

    def _count(self, changes: list[Finding]) -> None:
        self.changes.update(
            {f"{without_indices(change.path)}: {change.message}" for change in changes}
        )


def _is_error(problem: Finding) -> bool:
    return RULES[problem.rule].severity is Severity.ERROR


def _create_error(fixer: _Fixer) -> DataError:
    def groups() -> Iterator[str]:
        return group_problems(fixer.problems)

    return DataError(
        f"{_NAME} has {fixer.rejected:,} invalid lines, and nothing was written: "
        "fix them, or write them to a file of their own with --rejected FILE",
        list(groups()),
    )
