"""Reads the values of a JSON array, or JSON values on several lines, as lines.

The text of a value is not changed, except that its line breaks become spaces: between tokens they mean the same, and inside of
strings JSON does not allow them. So the rules on lines find the same problems.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, BinaryIO

from tunestack.records.chunks import MAX_LINE_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ_SIZE = 2**20
_NEXT = re.compile(r"[^\s,]")
_LINE_BREAKS = re.compile(r"[\r\n]+")
_scan = json.JSONDecoder().raw_decode


class JsonValues:
    """Reads JSON values that are separated by spaces, line breaks or commas, with or without brackets around them."""

    def __init__(self, file: BinaryIO, *, is_wrapped: bool = False) -> None:
        """Take the stream.

        Args:
            file: UTF-8, with or without a byte order mark.
            is_wrapped: whether the array is a field of an object, whose rest is ignored.
        """
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._is_wrapped = is_wrapped
        self._text = ""
        self._is_at_end = False

    def lines(self) -> Iterator[bytes]:
        """Yield each value as a line.

        Raises:
            ValueError: the file ends inside of a value, or is no JSON; the message has the number of the record.
        """
        self._fill()
        position = self._skip(0)
        is_array = self._text.startswith("[", position)
        position += is_array
        number = 1
        while True:
            position = self._skip(position)
            if position == len(self._text):
                if is_array:
                    raise ValueError(
                        f"the file ends after record {number - 1}, before the end of the array: it is not complete"
                    )
                return
            if is_array and self._text[position] == "]":
                self._require_end(position + 1)
                return
            end = self._find_end(position, number)
            yield _LINE_BREAKS.sub(" ", self._text[position:end]).encode() + b"\n"
            number += 1
            position = end
            if position > _READ_SIZE:
                self._text, position = self._text[position:], 0

    def _skip(self, position: int) -> int:
        """Return the position of the next value or bracket."""
        while True:
            match = _NEXT.search(self._text, position)
            if match is not None or self._is_at_end:
                return len(self._text) if match is None else match.start()
            self._text, position = "", 0
            self._fill()

    def _find_end(self, position: int, number: int) -> int:
        """Return the end of the value at a position, and read more of the file until it is complete."""
        while True:
            try:
                return _scan(self._text, position)[1]
            except (ValueError, RecursionError) as error:
                if self._is_at_end and _is_cut(error, len(self._text)):
                    raise ValueError(
                        f"the file ends inside of record {number}: it is not complete"
                    ) from error
                is_incomplete = (
                    not self._is_at_end and len(self._text) - position <= 2 * MAX_LINE_LENGTH
                )
                if not is_incomplete:
                    raise ValueError(
                        f"record {number} is not JSON, or longer than 8 MiB: {_explain(error, position)}"
                    ) from error
            self._fill(2 * (len(self._text) - position))

    def _fill(self, size: int = _READ_SIZE) -> None:
        data = self._file.read(max(size, _READ_SIZE))
        try:
            self._text += self._decode(data, not data)
        except UnicodeDecodeError as error:
            raise ValueError(f"the file is not UTF-8: {error.reason}: save it as UTF-8") from error
        self._is_at_end = not data

    def _require_end(self, position: int) -> None:
        if not self._is_wrapped and self._skip(position) < len(self._text):
            raise ValueError(
                "there is text after the end of the array: use one array, or JSON Lines"
            )


def _is_cut(error: Exception, end: int) -> bool:
    """Return whether a value is invalid because the text ends inside of it."""
    return isinstance(error, json.JSONDecodeError) and (
        error.pos >= end - 1 or error.msg.startswith("Unterminated string")
    )


def _explain(error: Exception, start: int) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos - start + 1} of the record"
    return "it is nested too deeply"
