"""Which records are there twice, found with eight bytes a record.

Two different records have the same fingerprint by chance once in some 37 million files of a million records (64 bits).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_AT_ONCE = 200_000
"""Fingerprints that are compared at once: a set of them takes some 80 bytes each."""


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

    def doubles(self) -> list[tuple[int, int]]:
        """List the lines that are there before, each with the line where it is first; lines count from 1."""
        seen_twice: set[int] = set()
        for some in self._parts():
            once: set[int] = set()
            for fingerprint in some if len(set(some)) < len(some) else ():
                if fingerprint in once:
                    seen_twice.add(fingerprint)
                once.add(fingerprint)
        return list(_pairs(self._all, seen_twice)) if seen_twice else []

    def shared(self, other: Fingerprints) -> list[tuple[int, int]]:
        """List the lines that another file has too, each with the first such line there."""
        found: list[tuple[int, int]] = []
        for some in other._parts():
            wanted = set(some)
            common = {fingerprint for fingerprint in self._all if fingerprint in wanted}
            if common:
                first: dict[int, int] = {}
                for line, fingerprint in enumerate(other._all, start=1):
                    if fingerprint in common:
                        first.setdefault(fingerprint, line)
                found += [
                    (line, first[fingerprint])
                    for line, fingerprint in enumerate(self._all, start=1)
                    if fingerprint in common
                ]
        return sorted(found)

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


def _pairs(fingerprints: Iterable[int], wanted: set[int]) -> Iterator[tuple[int, int]]:
    first: dict[int, int] = {}
    for line, fingerprint in enumerate(fingerprints, start=1):
        if fingerprint in wanted:
            before = first.setdefault(fingerprint, line)
            if before != line:
                yield line, before
