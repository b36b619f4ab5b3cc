"""A piece of a file, looked at whole: what is to be written of it, and what was found in it.

A pure function of its lines, so that it is the same in whichever process it runs.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import xxhash

from tunestack.records.fast_path import FastPath
from tunestack.records.findings import Found, Severity
from tunestack.records.jsonline import BOM
from tunestack.records.rules import RULES
from tunestack.records.slow_path import Examined, examine
from tunestack.records.tokens import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from tunestack.records.source import Lines
    from tunestack.records.target import Target

NOTHING = 0
"""Stands for the fingerprint of a line of which nothing is written."""


class Careful(msgspec.Struct):
    """A record that needed a careful look, and in which something was found."""

    line: int
    """Of the piece, from 0."""
    offset: int
    """In the piece, in bytes."""
    found: tuple[Found, ...]
    losses: tuple[Found, ...]


class Piece(msgspec.Struct):
    """What became of a piece of a file."""

    lines: int = 0
    records: int = 0
    """Without empty lines."""
    fingerprints: bytes = b""
    """Eight bytes for each line, to find equal records by."""
    plain: dict[int, int] = {}
    """How many of the records that needed no careful look have so many tokens."""
    others: dict[int, int] = {}
    """The same of those that did."""
    careful: list[Careful] = []
    counts: dict[str, int] = {}
    """How often each rule was broken; no more than `most` of each are in `careful`."""
    holds: dict[str, int] = {}
    """How many records hold something beside text."""
    errors: int = 0
    bad: int = 0
    """Records with errors."""
    unsure: int = 0
    """Records that needed a careful look, whether they got it or not."""
    skimmed: int = 0
    """Those of them that did not get it."""


class Pieces:
    """Looks at pieces for one target."""

    def __init__(self, target: Target, most: int) -> None:
        """Prepare.

        Args:
            target: what the records are written for.
            most: with so many errors, the rest of a piece gets a quick look only.
        """
        self._target = target
        self._most = most
        self._fast_path = FastPath(target)

    def look(self, piece_lines: Lines, *, skim: bool = False) -> tuple[Piece, bytes]:
        """Look at lines, and return what was found with what is to be written.

        Args:
            piece_lines: the lines.
            skim: give them a quick look only.
        """
        lines = piece_lines.lines
        outs, sizes, unsure = self._fast_path.convert(lines)
        piece = Piece(lines=len(lines), plain=_histogram(sizes))
        other_sizes: list[int] = []
        offsets = _Offsets(piece_lines)
        for place in unsure:
            line = lines[place].rstrip(b"\r\n")
            is_record = bool(line.removeprefix(BOM).strip(b" \t\r"))
            piece.unsure += is_record
            if skim or piece.errors >= self._most:
                piece.skimmed += is_record
                continue
            if not is_record and piece.counts.get("blank-line", 0) >= self._most:
                piece.counts["blank-line"] += 1
                continue
            refused = piece_lines.refused.get(place)
            examined = (
                examine(line, self._target)
                if refused is None
                else Examined(None, 0, (refused,), ())
            )
            self._count(examined, piece, place, offsets)
            if examined.line is not None:
                outs[place] = examined.line
                other_sizes.append(examined.size)
        fingerprints = array("Q", map(xxhash.xxh3_64_intdigest, outs))
        for place in unsure:
            if not outs[place]:
                fingerprints[place] = NOTHING
        piece.records = len(sizes) + piece.unsure
        piece.fingerprints = fingerprints.tobytes()
        piece.others = _histogram(other_sizes)
        return piece, b"".join(outs)

    def _count(self, examined: Examined, piece: Piece, place: int, offsets: _Offsets) -> None:
        listed = []
        errors = 0
        for found in examined.found:
            count = piece.counts.get(found.rule, 0) + 1
            piece.counts[found.rule] = count
            errors += RULES[found.rule].severity is Severity.ERROR
            if count <= self._most:
                listed.append(found)
        if listed or examined.losses:
            piece.careful.append(Careful(place, offsets.of(place), tuple(listed), examined.losses))
        piece.errors += errors
        piece.bad += bool(errors)
        for kind in examined.holds:
            piece.holds[kind] = piece.holds.get(kind, 0) + 1


class _Offsets:
    """Tells where lines begin, asked in their order."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines.lines
        self._long = lines.long
        self._place = self._offset = 0

    def of(self, place: int) -> int:
        while self._place < place:
            self._offset += self._long.get(self._place, len(self._lines[self._place]))
            self._place += 1
        return self._offset


def _histogram(sizes: list[int]) -> dict[int, int]:
    # As `tokens.tokens`, without a call for each.
    return Counter([-(-size // BYTES_PER_TOKEN) for size in sizes])
