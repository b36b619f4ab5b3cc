"""What is found in training data: problems and losses, each with its place."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

import msgspec

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


class Severity(StrEnum):
    """What a problem means for the job."""

    ERROR = "error"
    """The job would fail, or learn something other than the data says: nothing is written."""
    WARNING = "warning"
    """The job runs, and probably does not learn what was meant."""
    HINT = "hint"
    """Worth a look."""


class Found(msgspec.Struct, frozen=True):
    """Something that is wrong in one record."""

    rule: str
    """By the name that `RULES` has it under."""
    path: str
    """Where in the record, as a JSON path: `$.messages[2].content`."""
    message: str
    """What is wrong, and what was expected; never a text of the data."""


_MOST = 100


class Findings:
    """Collects what is found in one record."""

    __slots__ = ("_counts", "losses", "problems")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.problems: list[Found] = []
        self.losses: list[Found] = []
        self._counts: Counter[str] = Counter()

    def add(self, rule: str, path: str, message: str) -> None:
        """Note a problem; of one rule in one record, no more than a person reads."""
        self._counts[rule] += 1
        if self._counts[rule] <= _MOST:
            self.problems.append(Found(rule, path, message))

    def lose(self, path: str, message: str) -> None:
        """Note something that the target format can't carry."""
        if len(self.losses) < _MOST:
            self.losses.append(Found("loss", path, message))


def quoted(word: object) -> str:
    """Quote a field's name, a role or a type, unless it may be somebody's data."""
    if isinstance(word, str):
        return repr(word) if _WORD.fullmatch(word) else "a text"
    return "nothing" if word is None else f"a value of type {type(word).__name__}"


def below(path: str, key: object) -> str:
    """Name a field of an object, unless its name may be somebody's data."""
    return f"{path}.{key}" if isinstance(key, str) and _WORD.fullmatch(key) else f"{path}.(a field)"
