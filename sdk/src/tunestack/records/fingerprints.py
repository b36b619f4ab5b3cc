"""Which records are there twice, found with eight bytes a record.

Two different records have the same fingerprint by chance once in some 37 million files of a million records (64 bits).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 250_000
"""Fingerprints that are compared at once: each takes some 100 bytes then."""


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
        written = len(self._all) - self._all.count(0)
        distinct = sum(map(len, self._parts()))
        if distinct == written:
            return None
        line, key = min(filter(None, map(self._first_double, range(self._count))))
        return Doubles(count=written - distinct, line=line, other=self._all.index(key) + 1)

    def shared(self, other: Fingerprints) -> Doubles | None:
        """Count the lines that another file has too; `None` if there are none."""
        common: set[int] = set()
        for some in other._parts():
            common |= some.intersection(self._all)
        if not common:
            return None
        line, key = next(
            (line, key) for line, key in enumerate(self._all, start=1) if key in common
        )
        count = sum(key in common for key in self._all)
        return Doubles(count=count, line=line, other=other._all.index(key) + 1)

    @property
    def _count(self) -> int:
        """Into how many parts they are divided, equal ones into the same part."""
        return len(self._all) // _AT_ONCE + 1

    def _parts(self) -> Iterator[set[int]]:
        parts = self._count
        if parts == 1:
            yield {*self._all} - {0}
            return
        for part in range(parts):
            yield {key for key in self._all if key % parts == part} - {0}

    def _first_double(self, part: int) -> tuple[int, int] | None:
        """Find the first line of a part that is there before, and what it has in common."""
        seen: set[int] = set()
        for line, key in enumerate(self._all, start=1):
            if key and key % self._count == part:
                if key in seen:
                    return line, key
                seen.add(key)
        return None
