"""The HTTP server on loopback: HTTP/1.1 and HTTP/2, in a thread."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from email.utils import format_datetime
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response as WsgiResponse

from tunestack_sandbox.addresses import LOOPBACK
from tunestack_sandbox.faults import LostReplyError
from tunestack_sandbox.http2 import PROTOCOL, Http2Connection, is_http2
from tunestack_sandbox.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from werkzeug.serving import BaseWSGIServer

    from tunestack_sandbox.routing import Router

    Interceptor = Callable[[Request], Response | None]


_HANDSHAKE_TIMEOUT = 10.0
"""Seconds that a client may take for the TLS handshake."""


class _ConnectionHandler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # it delays small parts, such as those of a stream, by 40 ms
    now: Callable[[], datetime]
    respond: Callable[[Request], Response]

    def handle(self) -> None:
        """Serve a connection. The TLS handshake is in its thread, so that a silent client blocks no other."""
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.settimeout(_HANDSHAKE_TIMEOUT)
            try:
                self.connection.do_handshake()
            except OSError:
                return
            self.connection.settimeout(None)
        if is_http2(self.connection):
            Http2Connection(self.connection, self.respond, headers=self._list_headers).serve()
        else:
            super().handle()

    def _list_headers(self, response: Response) -> Iterator[tuple[str, str]]:
        yield from _build_headers(response).items()
        yield "Date", self.date_time_string()
        if not response.chunks:
            yield "Content-Length", str(len(response.body))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the sandbox's time for the `Date` header."""
        if timestamp is None:
            return format_datetime(self.now(), usegmt=True)
        return super().date_time_string(timestamp)

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Write no log."""


class Server:
    """An HTTP server that passes requests to the handlers of a route table."""

    def __init__(self, router: Router, *, now: Callable[[], datetime], tls: bool) -> None:
        """Bind a free port. `start` begins to serve.

        Args:
            router: Finds the handler of a request.
            now: Returns the time for the `Date` header.
            tls: Serve HTTPS.
        """
        self._router = router
        self._now = now
        self._interceptors: list[Interceptor] = []
        self._scheme = "https" if tls else "http"
        self._socket = socket.create_server((LOOPBACK, 0), backlog=1024)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{self._scheme}://{LOOPBACK}:{self._socket.getsockname()[1]}"

    def start(self, certificate: tuple[Path, Path] | None = None) -> None:
        """Begin to serve.

        Args:
            certificate: The files of the certificate and its key; required with TLS.
        """
        self._server = make_server(
            LOOPBACK,
            self._socket.getsockname()[1],
            self._run_wsgi,
            threaded=True,
            request_handler=type(
                "ConnectionHandler",
                (_ConnectionHandler,),
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
        """Stop serving and free the port."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()
        with suppress(OSError):
            # A forked process may hold the socket, too, and would accept connections that nothing serves.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def add_interceptor(self, interceptor: Interceptor) -> None:
        """Call a function for each request before its handler; a response that it returns is sent instead."""
        self._interceptors.insert(0, interceptor)

    def remove_interceptor(self, interceptor: Interceptor) -> None:
        """Stop calling a function for each request."""
        self._interceptors.remove(interceptor)

    def _run_wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        wsgi = WsgiRequest(environ)
        try:
            body = wsgi.get_data()
        except (OSError, ClientDisconnected):  # invalid chunks, or the client closed the connection
            return WsgiResponse(b"{}", 400)(environ, start_response)
        request = Request(
            method=wsgi.method,
            target=environ["REQUEST_URI"],
            headers=dict(wsgi.headers),
            body=body,
        )
        try:
            response = self._respond(request)
        except LostReplyError:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError from None  # werkzeug ignores it, as if the client had closed
        # An iterator has no length, so werkzeug sends its parts as chunks.
        content = iter(response.chunks) if response.chunks else response.body
        return WsgiResponse(content, response.status, headers=_build_headers(response))(
            environ, start_response
        )

    def _respond(self, request: Request) -> Response:
        """Return the response to a request.

        Raises:
            LostReplyError: Close the connection instead.
        """
        route, labels = self._router.match(request)
        try:
            for interceptor in tuple(self._interceptors):
                response = interceptor(request)
                if response is not None:
                    return response
            return route.handle(request, labels)
        except LostReplyError:
            raise
        except Exception as error:
            # While the sandbox stops, the services that handlers depend on stop, too.
            if self._server is None:
                raise LostReplyError from error
            return route.handle_crash(error)


def _build_headers(response: Response) -> dict[str, str]:
    return {"Content-Type": "application/json", **response.headers}
