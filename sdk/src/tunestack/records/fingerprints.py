"""Which records are there twice, found with eight bytes a record.

Two different records have the same fingerprint by chance once in some 37 million files of a million records (64 bits).
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 200_000
"""Fingerprints that are compared at once: a set of them takes some 80 bytes each."""


@dataclass(frozen=True, slots=True)
class Doubles:
    """Lines that are there before, or elsewhere."""

    count: int
    line: int
    """The first of them, from 1."""
    other: int
    """The line that it is equal to."""


class Fingerprints:
    """The fingerprints of a file's lines, in their order; 0 for a line of which nothing was written."""

    def __init__(self) -> None:
        """Begin with none."""
        self._all = array("Q")

    def __len__(self) -> int:
        """Tell for how many lines there are fingerprints."""
        return len(self._all)

    def add(self, fingerprints: bytes) -> None:
        """Add those of the next lines."""
        self._all.frombytes(fingerprints)

    def doubles(self) -> Doubles | None:
        """Count the lines that are there before; `None` if there are none."""
        twice: set[int] = set()
        distinct = lines = 0
        for some in self._parts():
            counts = Counter(some)
            lines += len(some)
            distinct += len(counts)
            if len(counts) < len(some):
                twice.update(key for key, count in counts.items() if count > 1)
        return _first(self._all, self._all, twice, lines - distinct) if twice else None

    def shared(self, other: Fingerprints) -> Doubles | None:
        """Count the lines that another file has too; `None` if there are none."""
        common: set[int] = set()
        for some in other._parts():
            common |= set(some).intersection(self._all)
        count = sum(key in common for key in self._all)
        return _first(self._all, other._all, common, count) if common else None

    def _parts(self) -> Iterator[list[int]]:
        """Go through the fingerprints in parts, equal ones in the same part."""
        parts = len(self._all) // _AT_ONCE + 1
        if parts == 1:
            yield [fingerprint for fingerprint in self._all if fingerprint]
            return
        for part in range(parts):
            yield [
                fingerprint
                for fingerprint in self._all
                if fingerprint % parts == part and fingerprint
            ]


def _first(lines: array[int], others: array[int], wanted: set[int], count: int) -> Doubles:
    """Find the first line that is another line too."""
    for line, key in enumerate(lines, start=1):
        if key in wanted:
            other = others.index(key) + 1
            if lines is not others or other < line:
                return Doubles(count=count, line=line, other=other)
    raise AssertionError("what is there twice was not found again")
