"""HTTP/2 for one connection. The AWS SDK for JavaScript v3 uses it for the Bedrock runtime by default.

Over `http://` a client starts with the HTTP/2 preface (prior knowledge, RFC 9113 section 3.3); over `https://` it selects
`h2` by ALPN. The `h2` library implements the protocol; this module adds the socket and a thread for each request.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from tunestack_sandbox.faults import LostReplyError
from tunestack_sandbox.messages import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from h2.events import Event

    from tunestack_sandbox.messages import Response

    Respond = Callable[[Request], Response]
    Headers = Iterable[tuple[str, str]]

PROTOCOL = "h2"
"""The name of the protocol in ALPN."""
_PREFACE_START = b"PRI"
"""The start of the preface, which no HTTP/1.1 request has."""
_READ_SIZE = 65_536
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def is_http2(connection: socket.socket) -> bool:
    """Return whether the client speaks HTTP/2; reads nothing from the connection."""
    if isinstance(connection, ssl.SSLSocket):
        return connection.selected_alpn_protocol() == PROTOCOL
    try:
        flags = socket.MSG_PEEK | socket.MSG_WAITALL
        return connection.recv(len(_PREFACE_START), flags) == _PREFACE_START
    except OSError:
        return False


@dataclass(slots=True)
class _Stream:
    """A request that is being received."""

    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)


class Http2Connection:
    """Serves the requests of one connection until the client closes it."""

    def __init__(
        self,
        connection: socket.socket,
        respond: Respond,
        *,
        headers: Callable[[Response], Headers],
    ) -> None:
        """Initialize the connection.

        Args:
            connection: The socket, after the TLS handshake if there is one.
            respond: Returns the response to a request; raises `LostReplyError` to close the connection instead.
            headers: Returns the headers of a response.
        """
        self._socket = connection
        self._respond = respond
        self._headers = headers
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        # Guards the protocol's state and the socket: OpenSSL does not allow reading and writing at the same time.
        self._changed = threading.Condition()
        self._closed = False

    def serve(self) -> None:
        """Serve requests until the client closes the connection or violates the protocol."""
        self._socket.settimeout(0)
        try:
            with self._changed:
                self._h2.initiate_connection()
                self._flush()
            while data := self._receive():
                with self._changed:
                    self._handle_data(data)
                    self._changed.notify_all()
        except (OSError, ProtocolError):
            with suppress(OSError), self._changed:
                self._flush()  # the GOAWAY frame, which says why
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _receive(self) -> bytes:
        while True:
            with self._changed:
                if self._closed:
                    return b""
                with suppress(*_WOULD_BLOCK):
                    return self._socket.recv(_READ_SIZE)
            self._wait(select.POLLIN)

    def _handle_data(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            self._handle_event(event)
        self._flush()

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._streams[event.stream_id] = _Stream(
                [(str(name), str(value)) for name, value in event.headers]
            )
        elif isinstance(event, DataReceived):
            # Unknown streams are those that were reset.
            if stream := self._streams.get(event.stream_id):
                stream.body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            if stream := self._streams.pop(event.stream_id, None):
                threading.Thread(
                    target=self._send_response,
                    args=(event.stream_id, _build_request(stream)),
                    daemon=True,
                ).start()
        elif isinstance(event, StreamReset):
            self._streams.pop(event.stream_id, None)
        elif isinstance(event, ConnectionTerminated):
            # GOAWAY: no new streams, but open ones get their responses (RFC 9113 section 6.8). The AWS SDK for JavaScript
            # sends it as soon as it has the headers, after which h2 would send nothing more.
            self._h2.state_machine.state = ConnectionState.SERVER_OPEN

    def _send_response(self, stream: int, request: Request) -> None:
        try:
            self._send(stream, self._respond(request))
        except LostReplyError:
            # As with HTTP/1.1, other requests of this connection get no response either.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, ProtocolError):
            pass  # the client closed the connection or reset the stream

    def _send(self, stream: int, response: Response) -> None:
        head = [(":status", str(response.status))]
        head += [(name.lower(), value) for name, value in self._headers(response)]
        parts = [part for part in response.chunks or [response.body] if part]
        with self._changed:
            self._h2.send_headers(stream, head, end_stream=not parts)
            if not parts:
                self._flush()
        # The headers are sent together with the first part, and the end is a flag of the last one.
        for number, part in enumerate(parts, 1):
            self._send_data(stream, memoryview(part), ends=number == len(parts))

    def _send_data(self, stream: int, data: memoryview, *, ends: bool = False) -> None:
        """Send data as far as the client's flow control window allows, and wait for more."""
        while data:
            with self._changed:
                if self._h2.local_flow_control_window(stream) <= 0:
                    self._flush()
                self._changed.wait_for(
                    lambda: self._closed or self._h2.local_flow_control_window(stream) > 0
                )
                if self._closed:
                    raise ConnectionResetError
                size = min(
                    self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size
                )
                part, data = data[:size], data[size:]
                self._h2.send_data(stream, bytes(part), end_stream=ends and not data)
                self._flush()

    def _flush(self) -> None:
        """Send what the protocol has to send; the caller holds the lock."""
        data = memoryview(self._h2.data_to_send())
        while data:
            try:
                data = data[self._socket.send(data) :]
            except _WOULD_BLOCK:
                self._wait(select.POLLOUT)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        poll.poll()


def _build_request(stream: _Stream) -> Request:
    pseudo = {name: value for name, value in stream.headers if name.startswith(":")}
    headers: dict[str, str] = {}
    for name, value in stream.headers:
        if not name.startswith(":"):
            # Names are in lower case in HTTP/2; this is the case of HTTP/1.1. A header can have several fields.
            title = name.title()
            headers[title] = f"{headers[title]}, {value}" if title in headers else value
    return Request(
        method=pseudo.get(":method", ""),
        target=pseudo.get(":path", ""),
        # The AWS SDK for JavaScript signs `:authority`, other SDKs sign `host`.
        headers={
            ":authority": pseudo.get(":authority", ""),
            "Host": pseudo.get(":authority", ""),
            **headers,
        },
        body=bytes(stream.body),
    )
