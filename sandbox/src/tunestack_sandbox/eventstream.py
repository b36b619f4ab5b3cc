"""The binary event stream of Bedrock's streaming operations.

Source: Smithy specification, amazon-eventstream (read 2026-11-22): lengths, CRC, string headers, payload, CRC.
"""

from __future__ import annotations

import struct
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING_TYPE = 7


def build_event(kind: str, payload: bytes) -> bytes:
    """Build one event."""
    return _build_message(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"},
        payload,
    )


def _build_message(headers: dict[str, str], payload: bytes) -> bytes:
    block = b""
    for name, value in headers.items():
        key, text = name.encode(), value.encode()
        block += struct.pack(f"!B{len(key)}sBH", len(key), key, _STRING_TYPE, len(text)) + text
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack("!I", crc32(prelude)) + block + payload
    return message + struct.pack("!I", crc32(message))
