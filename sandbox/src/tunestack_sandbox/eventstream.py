"""Write the binary event stream that Bedrock's streaming operations answer with.

Source: Smithy specification, amazon-eventstream (read 2026-11-22): lengths, CRC, string headers, payload, CRC.
"""

from __future__ import annotations

import struct
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def event(kind: str, payload: bytes) -> bytes:
    """Write one event."""
    return _message(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"},
        payload,
    )


def exception(kind: str, payload: bytes) -> bytes:
    """Write the exception that ends a stream."""
    return _message(
        {
            ":exception-type": kind,
            ":content-type": "application/json",
            ":message-type": "exception",
        },
        payload,
    )


def _message(headers: dict[str, str], payload: bytes) -> bytes:
    written = b""
    for name, value in headers.items():
        key, text = name.encode(), value.encode()
        written += struct.pack(f"!B{len(key)}sBH", len(key), key, _STRING, len(text)) + text
    prelude = struct.pack("!II", 16 + len(written) + len(payload), len(written))
    message = prelude + struct.pack("!I", crc32(prelude)) + written + payload
    return message + struct.pack("!I", crc32(message))
