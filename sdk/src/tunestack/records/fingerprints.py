"""Fingerprints of records, to find duplicates with eight bytes per record.

With 64 bits, two different records of a file of a million records have the same fingerprint in one of 37 million files.
"""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING

import msgspec
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PART_SIZE = 250_000
"""Fingerprints that are compared at once: each takes about 100 bytes of memory then."""
_NOT_WRITTEN = xxhash.xxh3_64_intdigest(b"")


class Duplicates(msgspec.Struct, frozen=True):
    """Lines that are equal to another line."""

    count: int
    line: int
    """The first duplicate, from 1."""
    original: int
    """The line that it is equal to."""


_NOT_LETTERS = re.compile(r"\\[nrt]|[\W_]+")


def simplify(line: bytes) -> bytes:
    """Return a line without case, spaces and punctuation; equal lines are near-duplicates."""
    if not line:
        return b""
    return _NOT_LETTERS.sub("", line.decode().casefold()).encode()


class Fingerprints:
    """The fingerprints of the lines of a file, in order."""

    def __init__(self) -> None:
        """Start without fingerprints."""
        self._all = array("Q")

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._all)

    def add(self, lines: Iterable[bytes]) -> None:
        """Add converted lines; an empty line is one that was not written."""
        self._all.extend(map(xxhash.xxh3_64_intdigest, lines))

    def duplicates(self) -> Duplicates | None:
        """Count the lines that appeared before; `None` if there are none."""
        written = len(self._all) - self._all.count(_NOT_WRITTEN)
        distinct = sum(map(len, self._parts()))
        if distinct == written:
            return None
        line, key = min(filter(None, map(self._first_duplicate, range(self._part_count))))
        return Duplicates(count=written - distinct, line=line, original=self._all.index(key) + 1)

    def near_duplicates(self, exact: Fingerprints) -> Duplicates | None:
        """Count the lines that are equal to an earlier one here, but not in the exact fingerprints; `None` if there are none."""
        originals: dict[int, int] = {}
        seen: set[int] = set()
        count, first = 0, (0, 0)
        for line, (key, full) in enumerate(zip(self._all, exact._all, strict=True), start=1):
            if full == _NOT_WRITTEN or full in seen:
                continue
            seen.add(full)
            original = originals.setdefault(key, line)
            if original != line:
                count += 1
                first = first if count > 1 else (line, original)
        return Duplicates(count, *first) if count else None

    def shared(self, other: Fingerprints) -> Duplicates | None:
        """Count the lines that another file has too; `None` if there are none."""
        common: set[int] = set()
        for part in other._parts():
            common |= part.intersection(self._all)
        if not common:
            return None
        line, key = next(
            (line, key) for line, key in enumerate(self._all, start=1) if key in common
        )
        count = sum(key in common for key in self._all)
        return Duplicates(count=count, line=line, original=other._all.index(key) + 1)

    @property
    def _part_count(self) -> int:
        """Number of parts; equal fingerprints are in the same part."""
        return len(self._all) // _PART_SIZE + 1

    def _parts(self) -> Iterator[set[int]]:
        count = self._part_count
        if count == 1:
            yield {*self._all} - {_NOT_WRITTEN}
            return
        for part in range(count):
            yield {key for key in self._all if key % count == part} - {_NOT_WRITTEN}

    def _first_duplicate(self, part: int) -> tuple[int, int] | None:
        """Return the first line of a part that appeared before, and its fingerprint."""
        seen: set[int] = set()
        for line, key in enumerate(self._all, start=1):
            if key != _NOT_WRITTEN and key % self._part_count == part:
                if key in seen:
                    return line, key
                seen.add(key)
        return None
