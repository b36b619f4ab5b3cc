"""Serve Bedrock and OpenAI over HTTP/1.1 and HTTP/2 on loopback, from a thread."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from email.utils import format_datetime
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from tunestack_sandbox.faults import Faults, LostReplyError
from tunestack_sandbox.http2 import PROTOCOL, Http2Connection, is_http2
from tunestack_sandbox.loopback import LOOPBACK
from tunestack_sandbox.wire import Answer, Call, Fault, Reply, Request, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from botocore.model import OperationModel
    from werkzeug.serving import BaseWSGIServer

    Handler = Callable[[Call], Reply]


_HANDSHAKE = 10.0
"""Seconds that a client has to begin to speak TLS."""


class _Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # it delays small parts, those of a stream, by 40 ms
    now: Callable[[], datetime]
    respond: Callable[[Request], Answer]

    def handle(self) -> None:
        """Serve a connection; the TLS handshake is in its own thread, so that a silent client blocks no other."""
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.settimeout(_HANDSHAKE)
            try:
                self.connection.do_handshake()
            except OSError:
                return
            self.connection.settimeout(None)
        if is_http2(self.connection):
            Http2Connection(self.connection, self.respond, headers=self._headers).serve()
        else:
            super().handle()

    def _headers(self, answer: Answer) -> Iterator[tuple[str, str]]:
        yield from _headers(answer).items()
        yield "Date", self.date_time_string()
        if not answer.chunks:
            yield "Content-Length", str(len(answer.body))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Say what time it is in the sandbox."""
        return (
            format_datetime(self.now(), usegmt=True)
            if timestamp is None
            else super().date_time_string(timestamp)
        )

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Write nothing: the caller's own output is what counts."""


class Server:
    """An HTTP server for the operations of one wire."""

    def __init__(
        self,
        wire: Wire,
        handle: Handler,
        *,
        faults: Faults,
        others: Sequence[Callable[[Request], Answer | None]],
        now: Callable[[], datetime],
        tls: bool,
    ) -> None:
        """Bind a free port; `start` begins to answer.

        Args:
            wire: reads requests and writes answers.
            handle: does what is asked.
            faults: what goes wrong.
            others: answer what is not for AWS; `None` for what is.
            now: the time that answers say it is.
            tls: serve HTTPS.
        """
        self._now = now
        self._wire = wire
        self._handle = handle
        self._faults = faults
        self._others = others
        self._scheme = "https" if tls else "http"
        self._socket = socket.create_server((LOOPBACK, 0), backlog=1024)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{self._scheme}://{LOOPBACK}:{self._socket.getsockname()[1]}"

    def start(self, certificate: tuple[Path, Path] | None = None) -> None:
        """Begin to answer; with TLS, by a certificate and its key."""
        self._server = make_server(
            LOOPBACK,
            self._socket.getsockname()[1],
            self._application,
            threaded=True,
            request_handler=type(
                "Handler",
                (_Handler,),
                {"now": staticmethod(self._now), "respond": staticmethod(self._respond)},
            ),
            fd=self._socket.fileno(),
        )
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
            tls.set_alpn_protocols([PROTOCOL, "http/1.1"])
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="tunestack-sandbox",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and free the port."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()
        with suppress(OSError):
            # A process that was forked may hold it too, and would take connections that nobody answers.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        http = HttpRequest(environ)
        try:
            body = http.get_data()
        except (OSError, ClientDisconnected):  # cut into chunks in no possible way, or cut off
            return Response(b"{}", 400)(environ, start_response)
        request = Request(
            method=http.method,
            target=environ["REQUEST_URI"],
            headers=dict(http.headers),
            body=body,
        )
        try:
            answer = self._respond(request)
        except LostReplyError:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError from None  # which werkzeug takes for the client's doing
        # An iterator has no length, so its parts are sent in chunks.
        content = iter(answer.chunks) if answer.chunks else answer.body
        response = Response(content, answer.status, headers=_headers(answer))
        return response(environ, start_response)

    def _respond(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            LostReplyError: close the connection instead.
        """
        answer = next(filter(None, (other(request) for other in self._others)), None)
        return answer or self._answer(request)

    def _answer(self, request: Request) -> Answer:
        operation: OperationModel | None = None
        try:
            call = self._wire.read(request)
            operation = call.operation
            self._faults.before(operation)
            reply = self._handle(call)
        except Fault as fault:
            answer = self._wire.fail(operation, fault)
        except Exception as error:
            if (
                self._server is None
            ):  # what it stands on ends as well, and whoever still asks is cut off
                raise LostReplyError from error
            # The client gets an answer, and whoever tests a finding.
            return self._wire.crashed(operation, error)
        else:
            answer = self._wire.write(operation, reply)
        if operation is not None:
            self._faults.after(operation.name)
        return answer


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": "application/json", **answer.headers}
