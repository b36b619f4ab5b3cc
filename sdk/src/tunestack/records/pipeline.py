"""From a caller's data to the file that a job reads, in one pass, on all cores where that is worth it."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from tunestack.records.chunk import Piece, Pieces
from tunestack.records.findings import Findings, Severity
from tunestack.records.fingerprints import Fingerprints
from tunestack.records.formats import SourceFormat, told_by
from tunestack.records.helpers import Place, can_help, with_helpers
from tunestack.records.jsonline import decode
from tunestack.records.report import Problem, Report, Tokens
from tunestack.records.rules import RULES
from tunestack.records.source import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tunestack.records.source import Lines, Records, Stream
    from tunestack.records.target import Target
    from tunestack.records.writer import Writer

_WORTH_HELP = 48 * 2**20
"""Bytes; a helping process takes a tenth of a second to start, in which one process does some 20 MiB."""


_PLACES = 100
"""Places in records whose losses are counted one by one."""
_FIRST = 16
"""Pieces in which a first record is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far it is."""

    records: int
    bytes: int
    """Of the file that were read; 0 where the data is no plain file."""
    total_bytes: int | None
    seconds: float

    @property
    def bytes_per_second(self) -> float:
        """How quick it is."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def eta(self) -> float | None:
        """How many seconds it will still take; `None` if that can't be told."""
        if self.total_bytes is None or not self.bytes:
            return None
        return (self.total_bytes - self.bytes) / self.bytes_per_second


@dataclass(slots=True)
class Sums:
    """Adds up what was found in the pieces, in their order."""

    target: Target
    most: int
    records: int = 0
    lines: int = 0
    bad: int = 0
    skimmed: int = 0
    errors: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    holds: Counter[str] = field(default_factory=Counter)
    histogram: Counter[int] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    _listed: Counter[str] = field(default_factory=Counter)

    @property
    def enough(self) -> bool:
        """Whether so many errors were found that nobody needs more."""
        return self.errors >= self.most

    def add(self, piece: Piece, offset: int | None) -> None:
        """Add the next piece.

        Whether it got more than a quick look depends on what ran beside it; what is counted does not.
        """
        self.histogram.update(piece.plain)
        self.records += piece.records
        if self.enough:
            # Nothing comes of the file: what is in it twice does not matter any more.
            self.skimmed += piece.unsure
        else:
            self.fingerprints.add(piece.fingerprints)
            self._add_careful(piece, offset)
        self.lines += piece.lines

    def _add_careful(self, piece: Piece, offset: int | None) -> None:
        self.histogram.update(piece.others)
        self.holds.update(piece.holds)
        self.skimmed += piece.skimmed
        self.errors += piece.errors
        self.bad += piece.bad
        for careful in piece.careful:
            for found in careful.found:
                self._listed[found.rule] += 1
                if self._listed[found.rule] <= self.most:
                    self.problems.append(
                        Problem(
                            rule=found.rule,
                            severity=RULES[found.rule].severity,
                            message=found.message,
                            line=self.lines + careful.line + 1,
                            offset=None if offset is None else offset + careful.offset,
                            path=found.path,
                        )
                    )
            for loss in careful.losses:
                place = f"{_anywhere(loss.path)}: {loss.message}"
                known = place in self.losses or len(self.losses) < _PLACES
                self.losses[place if known else "elsewhere"] += 1
        self.counts.update(piece.counts)

    def add_to_file(self, rule: str, message: str, *, line: int | None = None) -> None:
        """Add a problem of the whole file."""
        if rule in self.target.ignored:
            return
        known = RULES[rule]
        self.counts[rule] += 1
        self.problems.append(
            Problem(rule=rule, severity=known.severity, message=message, line=line)
        )
        self.errors += known.severity is Severity.ERROR

    def report(self, duplicates: int) -> Report:
        """Sum up."""
        source = self.target.source or SourceFormat.CHAT
        return Report(
            model=self.target.model_key,
            format=self.target.record_format,
            source_format=source.value,
            records=self.records,
            bad_records=self.bad,
            unexamined_records=self.skimmed,
            problems=tuple(self.problems),
            counts=dict(self.counts),
            losses=dict(self.losses.most_common()),
            duplicates=duplicates,
            holds=dict(sorted(self.holds.items())),
            tokens=Tokens.of(self.histogram),
        )


def _anywhere(path: str) -> str:
    """Name a place without its numbers, so that equal losses are counted together."""
    parts = path.split("[")
    return "[*]".join([parts[0], *(part.partition("]")[2] for part in parts[1:])])


def run(
    source: File | Stream | Records,
    target: Target,
    writer: Writer,
    *,
    most: int,
    processes: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Sums:
    """Look at all pieces of a source, and write what is to be written.

    Args:
        source: the data.
        target: what it is written for; if it does not say what records come in, the first record does.
        writer: where it is written to.
        most: how many errors are looked for, and how many problems of one rule are listed.
        processes: how many work; as many as there are cores if not given and if it is worth it.
        progress: called after every piece.

    Raises:
        DataError: the data can't be read, or the file can't be written.
    """
    pieces = source.pieces()
    first: list[Lines] = []
    if target.source is None:
        told = None
        while told is None and len(first) < _FIRST and (lines := next(pieces, None)):
            first.append(lines)
            told = _told_by(lines)
        target = replace(target, source=told or SourceFormat.CHAT)
    sums = Sums(target, most)
    began = time.monotonic()
    helpers = _helpers(source, processes)
    if isinstance(source, File) and helpers:
        writer.stay_here()
        looked_at = with_helpers(source, target, most, helpers, lambda: sums.enough)
    else:
        looked_at = _alone(chain(first, pieces), sums)
    for place, piece, out in looked_at:
        sums.add(piece, place.offset)
        if not sums.errors:
            writer.write(out)
        if progress is not None:
            progress(
                Progress(
                    records=sums.records,
                    bytes=place.end or 0,
                    total_bytes=source.size,
                    seconds=time.monotonic() - began,
                )
            )
    return sums


def _alone(pieces: Iterable[Lines], sums: Sums) -> Iterator[tuple[Place, Piece, bytes]]:
    look = Pieces(sums.target, sums.most).look
    for lines in pieces:
        piece, out = look(lines, skim=sums.enough)
        yield Place(lines.offset, lines.end), piece, out


def _helpers(source: File | Stream | Records, processes: int | None) -> int:
    """Tell how many processes are to help."""
    if not isinstance(source, File) or not can_help():
        return 0
    if processes is not None:
        return processes - 1
    return len(os.sched_getaffinity(0)) - 1 if source.size >= _WORTH_HELP else 0


def _told_by(lines: Lines) -> SourceFormat | None:
    """Tell what records come in by the first one that is one."""
    for line in lines.lines:
        record = decode(line.rstrip(b"\r\n"), Findings())
        if record is not None:
            return told_by(record)
    return None
