"""Problems and losses found in training data, each with its JSON path."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

import msgspec

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


class Severity(StrEnum):
    """The effect of a problem on the job."""

    ERROR = "error"
    """The job would fail, or would learn something else than the data contains. Nothing is written."""
    WARNING = "warning"
    """The job runs, but probably does not learn what was intended."""
    HINT = "hint"
    """A possible improvement."""


class Finding(msgspec.Struct, frozen=True):
    """A problem or a loss in one record."""

    rule: str
    """Name of the rule in `RULES`."""
    path: str
    """JSON path in the record: `$.messages[2].content`."""
    message: str
    """The problem and the expected value. Never contains a text of the data."""


_MAX_PER_RECORD = 100


class Findings:
    """Collects the problems and losses of one record."""

    __slots__ = ("_counts", "losses", "problems")

    def __init__(self) -> None:
        """Start without problems."""
        self.problems: list[Finding] = []
        self.losses: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def add(self, rule: str, path: str, message: str) -> None:
        """Add a problem. The list has at most 100 problems of one rule."""
        self._counts[rule] += 1
        if self._counts[rule] <= _MAX_PER_RECORD:
            self.problems.append(Finding(rule, path, message))

    def add_loss(self, path: str, message: str) -> None:
        """Add a part of the record that the target format can't represent."""
        if len(self.losses) < _MAX_PER_RECORD:
            self.losses.append(Finding("loss", path, message))


def quote(value: object) -> str:
    """Quote a field name, role or type. A value that may be data is described instead."""
    if isinstance(value, str):
        return repr(value) if _NAME.fullmatch(value) else "a string"
    return "null" if value is None else f"a value of type {type(value).__name__}"


def without_indices(path: str) -> str:
    """Replace the indices of a path, so that equal findings can be counted together."""
    return re.sub(r"\[\d+\]", "[*]", path)


def field_path(path: str, key: object) -> str:
    """Return the path of a field of an object. A name that may be data is replaced."""
    return f"{path}.{key}" if isinstance(key, str) and _NAME.fullmatch(key) else f"{path}.(a field)"
