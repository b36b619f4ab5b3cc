"""Serve Bedrock over HTTP on loopback, from a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from tunestack.sandbox.loopback import LOOPBACK
from tunestack.sandbox.wire import Answer, Call, Fault, Request, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from botocore.model import OperationModel

    Handler = Callable[[Call], "tuple[dict[str, object], dict[str, str]]"]


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Write nothing: the caller's own output is what counts."""


class Server:
    """An HTTP server for the operations of one wire."""

    def __init__(self, wire: Wire, handle: Handler) -> None:
        """Bind a free port; `start` begins to answer."""
        self._wire = wire
        self._handle = handle
        self._server = make_server(
            LOOPBACK, 0, self._application, threaded=True, request_handler=_Silent
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="tunestack-sandbox", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        http = HttpRequest(environ)
        answer = self._answer(
            Request(
                method=http.method,
                target=environ["REQUEST_URI"],
                headers=dict(http.headers),
                body=http.get_data(),
            )
        )
        response = Response(
            answer.body,
            answer.status,
            headers=dict(answer.headers),
            content_type="application/json",
        )
        return response(environ, start_response)

    def _answer(self, request: Request) -> Answer:
        operation: OperationModel | None = None
        try:
            call = self._wire.read(request)
            operation = call.operation
            result, headers = self._handle(call)
        except Fault as fault:
            return self._wire.fail(operation, fault)
        return self._wire.write(call.operation, result, headers)
