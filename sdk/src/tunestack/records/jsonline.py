"""One line of a JSONL file, decoded with care: nothing is dropped, rounded or guessed."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from tunestack.records.findings import quoted

if TYPE_CHECKING:
    from tunestack.records.findings import Findings

_DEEPEST = 100
"""Levels; far more than any record has, and far fewer than a parser's stack."""
# What JSON has no type for is to be refused, and not to be turned into a text.
_AS_IT_IS = (
    orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
BOM = b"\xef\xbb\xbf"
# Only a number this long can lose digits: 2^53 has 16. A text that holds one is looked at for nothing.
_LONG_NUMBER = re.compile(rb"\d{16}|[eE][-+]?\d{3}|NaN|Infinity")
_DIGITS = 20
_KEY = re.compile(rb'"\s*:')
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_TOO_DEEP = f"is nested deeper than {_DEEPEST} levels, as no record is"


def decode(line: bytes, findings: Findings) -> dict[str, Any] | None:
    """Read the object of a line, or note why it has none."""
    if line.startswith(BOM):
        findings.add("byte-order-mark", "$", "begins with a byte order mark, which was left out")
        line = line[len(BOM) :]
    if not line.strip(b" \t\r"):
        findings.add("blank-line", "$", "the line is empty, and was left out")
        return None
    record = _parsed(line, findings)
    if record is None:
        return None
    # What reads JSON keeps the last of two equal keys and drops the first: that would be data lost.
    # A key is followed by a colon; only where there are more of those than keys can one be double.
    if sum(1 for _ in _KEY.finditer(line)) > _keys(record) and _has_double_keys(line, findings):
        return None
    return record


def _parsed(line: bytes, findings: Findings) -> dict[str, Any] | None:
    rule, why = "object", ""
    try:
        line.decode("utf-8")
        record = orjson.loads(line)
        if _depth(record) > _DEEPEST:
            rule, why = "depth", _TOO_DEEP
        elif _LONG_NUMBER.search(line) and (bad := _bad_number(line)):
            rule, why = "number", bad
        elif isinstance(record, dict):
            return record
        else:
            why = f"expected an object with fields, found {named_type(record)}"
    except UnicodeDecodeError as error:
        rule, why = "encoding", _not_utf8(line, error)
    except orjson.JSONDecodeError as error:
        rule, why = "json", _not_json(line, error)
        if "depth" in error.msg:
            rule, why = "depth", _TOO_DEEP
        elif _LONG_NUMBER.search(line) and (bad := _bad_number(line)):
            rule, why = "number", bad
    findings.add(rule, "$", why)
    return None


def encode(record: object, findings: Findings) -> bytes | None:
    """Write a record that came as an object as a line, or note why it can't be one."""
    try:
        line = orjson.dumps(record, _plain, _AS_IT_IS)
    except orjson.JSONEncodeError as error:
        findings.add("encoding", "$", f"can't be written as JSON: {error}")
        return None
    if b"null" in line and _has_no_number(record):
        findings.add("number", "$", "holds NaN or infinity, which is not JSON")
        return None
    return line


def _plain(value: object) -> object:
    """Take a subclass for what it is a kind of, and nothing else."""
    match value:
        case dict():
            return dict(value)
        case list():
            return list(value)
        case str():
            return str.__str__(value)
        case int():
            return int(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


def named_type(value: object) -> str:
    """Say what a value is, in the words of JSON."""
    for kind, name in _TYPES.items():
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


_TYPES: dict[type | tuple[type, ...], str] = {
    type(None): "null",
    bool: "true or false",
    (int, float): "a number",
    str: "a text",
    (list, tuple): "a list",
    dict: "an object",
}


def _not_utf8(line: bytes, error: UnicodeDecodeError) -> str:
    if line[:2] in _UTF16:
        return "is UTF-16: save the file as UTF-8"
    return f"byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8"


def _not_json(line: bytes, error: orjson.JSONDecodeError) -> str:
    text = line.strip()
    for begins, hint in _HINTS.items():
        if text.startswith(begins):
            return f"not JSON: {hint}"
    if b"}{" in text:
        return "not JSON: two records on one line, put each on a line of its own"
    byte = len(error.doc[: error.pos].encode("utf-8", "replace")) + 1
    return f"not JSON: {error.msg.split(':')[0]} at byte {byte}"


_HINTS = {
    b"{'": "names and texts stand in double quotes",
    b"[": "not one object a line, but a JSON array: write each of its objects on a line of its own",
    b"#": "JSON has no comments",
    b"//": "JSON has no comments",
}
"""What a line begins with that is no JSON, and what to do."""


def _depth(value: object) -> int:
    """Tell how deeply a value is nested, up to just beyond what is allowed."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth


def _bad_number(line: bytes) -> str | None:
    """Name a number that would be altered on the way."""

    def integer(digits: str) -> int:
        if len(digits) > _DIGITS or not -(2**63) <= int(digits) < 2**64:
            raise OverflowError("an integer beyond 64 bits, which would be rounded")
        return int(digits)

    def constant(name: str) -> float:
        raise OverflowError(f"{name}, which is not JSON")

    def real(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise OverflowError("a number beyond what a double can hold")
        return value

    try:
        json.loads(line, parse_int=integer, parse_float=real, parse_constant=constant)
    except OverflowError as error:
        return f"holds {error}: write it as a text"
    except (ValueError, RecursionError):
        return None  # not JSON at all
    return None


def _keys(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _has_double_keys(line: bytes, findings: Findings) -> bool:
    double = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal double
        counts = Counter(name for name, _ in items)
        for name, count in counts.items():
            if count > 1:
                double = True
                why = f"the key {quoted(name)} is there twice in one object: keep one of them"
                findings.add("double-key", "$", why)
        return dict(items)

    json.loads(line, object_pairs_hook=pairs)
    return double


def _has_no_number(value: object) -> bool:
    match value:
        case float():
            return not math.isfinite(value)
        case dict():
            return any(map(_has_no_number, value.values()))
        case list() | tuple():
            return any(map(_has_no_number, value))
    return False
