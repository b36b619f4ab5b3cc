"""Decodes one line of a JSON Lines file without dropping, rounding or guessing anything."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

import orjson

from tunestack.records.findings import Finding, Findings, quote

_MAX_DEPTH = 100
"""Levels. Far more than a record has, and far fewer than a parser's stack."""
# Objects that JSON has no type for are refused, not converted to strings.
_STRICT = (
    orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
BOM = b"\xef\xbb\xbf"
# Only a number of this length can lose digits (2^53 has 16). A string may match too, which costs time only.
_LONG_NUMBER = re.compile(rb"\d{16}|[eE][-+]?\d{3}|NaN|Infinity")
_MAX_DIGITS = 20
_MAX_EXACT = 2.0**53
# A quote before a colon ends a key, unless it is escaped or starts a string that begins with a colon.
_KEY = re.compile(rb'"(?<!\\")\s*:')
_BACKSLASH_AND_QUOTE = rb'\\"'
"""The end of a key that `_KEY` would miss."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_TOO_DEEP = f"nested deeper than {_MAX_DEPTH} levels"


def decode(line: bytes, findings: Findings) -> dict[str, Any] | None:
    """Decode the object of a line, or add a problem and return `None`."""
    if line.startswith(BOM):
        findings.add("byte-order-mark", "$", "starts with a byte order mark, which was removed")
        line = line[len(BOM) :]
    if not line.strip(b" \t\r"):
        findings.add("blank-line", "$", "the line is empty and was skipped")
        return None
    record = _decode_object(line, findings)
    if record is None:
        return None
    keys, numbers = _count_keys_and_numbers(record)
    if numbers and (problem := _find_inexact_number(line)):
        findings.add("number", "$", problem)
        return None
    # JSON decoders keep the last of two equal keys, and drop the value of the first.
    may_have_duplicates = _BACKSLASH_AND_QUOTE in line or len(_KEY.findall(line)) > keys
    return None if may_have_duplicates and _has_duplicate_keys(line, findings) else record


def _decode_object(line: bytes, findings: Findings) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        findings.add(*_explain_decode_error(line, error))
        return None
    if _is_too_deep(line, record):
        findings.add("depth", "$", _TOO_DEEP)
    elif not isinstance(record, dict):
        findings.add("object", "$", f"expected an object, found {json_type(record)}")
    else:
        return record
    return None


def _explain_decode_error(line: bytes, error: orjson.JSONDecodeError) -> tuple[str, str, str]:
    """Return the rule, path and message for a line that could not be decoded."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as invalid:
        return "encoding", "$", _explain_encoding(line, invalid)
    if "depth" in error.msg:
        return "depth", "$", _TOO_DEEP
    if problem := _find_inexact_number(line):
        return "number", "$", problem
    return "json", "$", _explain_syntax(line, error)


def encode(record: object, findings: Findings) -> bytes | None:
    """Encode a record that was passed as an object, or add a problem and return `None`."""
    try:
        line = orjson.dumps(record, _to_builtin, _STRICT)
    except orjson.JSONEncodeError as error:
        findings.add("encoding", "$", f"can't be encoded as JSON: {error}")
        return None
    if b"null" in line and _has_nan_or_infinity(record):
        findings.add("number", "$", "contains NaN or infinity, which JSON does not allow")
        return None
    return line


def encode_or_explain(record: object) -> bytes | Finding:
    """Encode a record that was passed as an object, or return its problem."""
    findings = Findings()
    return encode(record, findings) or findings.problems[0]


def _to_builtin(value: object) -> object:
    """Convert an instance of a subclass of a JSON type, a model of pydantic or an example of DSPy to JSON types."""
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", exclude_none=True)
    if callable(to_dict := getattr(value, "toDict", None)):
        return to_dict()
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


def json_type(value: object) -> str:
    """Return the name of a value's JSON type, with its article."""
    for kind, name in _TYPES.items():
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


_TYPES: dict[type | tuple[type, ...], str] = {
    type(None): "null",
    bool: "a boolean",
    (int, float): "a number",
    str: "a string",
    (list, tuple): "an array",
    dict: "an object",
}


def _explain_encoding(line: bytes, error: UnicodeDecodeError) -> str:
    if line[:2] in _UTF16:
        return "the encoding is UTF-16: save the file as UTF-8"
    return f"byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8"


def _explain_syntax(line: bytes, error: orjson.JSONDecodeError) -> str:
    text = line.strip()
    for start, hint in _SYNTAX_HINTS.items():
        if text.startswith(start):
            return f"invalid JSON: {hint}"
    if b"}{" in text:
        return "invalid JSON: two records on one line, write one record per line"
    byte = len(error.doc[: error.pos].encode("utf-8", "replace")) + 1
    return f"invalid JSON: {error.msg.split(':')[0]} at byte {byte}"


_SYNTAX_HINTS = {
    b"{'": "use double quotes for keys and strings",
    b"[": "expected one object per line, found an array: write each object of the array on its own line",
    b"#": "JSON has no comments",
    b"//": "JSON has no comments",
}
"""Hints for lines that are not JSON, by their first bytes."""


def _is_too_deep(line: bytes, record: object) -> bool:
    if line.count(b"{") + line.count(b"[") <= _MAX_DEPTH:
        return False
    depth, level = 0, [record]
    while level and depth <= _MAX_DEPTH:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth > _MAX_DEPTH


def _find_inexact_number(line: bytes) -> str | None:
    """Describe a number that would be changed by decoding it."""
    if not _LONG_NUMBER.search(line):
        return None

    def parse_integer(digits: str) -> int:
        if len(digits) > _MAX_DIGITS or not -(2**63) <= int(digits) < 2**64:
            raise OverflowError("an integer beyond 64 bits, which would be rounded")
        return int(digits)

    def parse_constant(name: str) -> float:
        raise OverflowError(f"{name}, which JSON does not allow")

    def parse_float(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise OverflowError("a number beyond the range of a double")
        return value

    try:
        json.loads(
            line, parse_int=parse_integer, parse_float=parse_float, parse_constant=parse_constant
        )
    except OverflowError as error:
        return f"contains {error}: write it as a string"
    except (ValueError, RecursionError):
        return None  # not JSON at all
    return None


def _count_keys_and_numbers(record: object) -> tuple[int, int]:
    """Return the number of keys, and of numbers that decoding may have rounded."""
    keys = numbers = 0
    values = [record]
    for value in values:  # grows in the loop
        kind = type(value)
        if kind is str:
            continue
        if isinstance(value, dict):
            keys += len(value)
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
        elif isinstance(value, float) and not -_MAX_EXACT < value < _MAX_EXACT:
            numbers += 1  # may be an integer beyond 64 bits; those below are decoded as integers
    return keys, numbers


def _has_duplicate_keys(line: bytes, findings: Findings) -> bool:
    has_duplicates = False

    def check_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_duplicates
        record = dict(items)
        if len(record) < len(items):
            has_duplicates = True
            for name, count in Counter(name for name, _ in items).items():
                if count > 1:
                    message = f"the key {quote(name)} appears twice in an object: remove one"
                    findings.add("double-key", "$", message)
        return record

    json.loads(line, object_pairs_hook=check_keys)
    return has_duplicates


def _has_nan_or_infinity(value: object) -> bool:
    match value:
        case float():
            return not math.isfinite(value)
        case dict():
            return any(map(_has_nan_or_infinity, value.values()))
        case list() | tuple():
            return any(map(_has_nan_or_infinity, value))
    return False
