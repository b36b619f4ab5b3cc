"""An HTTP proxy on loopback that refuses connections to AWS, OpenAI and Azure.

It stops the requests of clients that use the proxy variables, but ignore the variables with the sandbox's endpoints.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import threading
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from botocore.loaders import create_loader

from tunestack_sandbox.addresses import LOOPBACK, is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_OTHER_DOMAINS = (
    # AWS: console, sign-in, IAM Identity Center, function URLs.
    "aws.amazon.com",
    "awsapps.com",
    "on.aws",
    "signin.aws",
    # OpenAI and Azure.
    "azure-api.net",
    "azure.cn",
    "azure.com",
    "azure.us",
    "openai.com",
)
_METADATA_NETWORKS = ("169.254.0.0/16", "fd00:ec2::/32", "fe80::/10")
"""The networks of metadata services, which have credentials: link-local addresses, and AWS's for IPv6."""
_MAX_HEAD_SIZE = 65536
_CHUNK_SIZE = 65536


def list_refused_domains() -> frozenset[str]:
    """Return the domains that are refused with their subdomains: those of all AWS partitions, OpenAI and Azure.

    Source: `partitions.json` of botocore.
    """
    partitions = create_loader().load_data("partitions")["partitions"]
    aws = {
        partition["outputs"][name]
        for partition in partitions
        for name in ("dnsSuffix", "dualStackDnsSuffix")
    }
    return frozenset({*aws, *_OTHER_DOMAINS})


class Proxy:
    """A proxy for HTTP, and for other protocols with CONNECT."""

    def __init__(
        self, *, internet: bool, allowed: Collection[str], upstream: Mapping[str, str]
    ) -> None:
        """Bind a free port. `start` begins to serve.

        Args:
            internet: Allow connections to all hosts that are not refused; otherwise only to loopback.
            allowed: Hosts that are never refused.
            upstream: The proxies of the user's environment by scheme, through which other hosts are reached.
        """
        self._internet = internet
        self._allowed = frozenset(name.lower() for name in allowed)
        self._upstream = upstream
        self._refused_domains = list_refused_domains()
        self._socket = socket.create_server((LOOPBACK, 0), backlog=256)
        self._port: int = self._socket.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._ready = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="tunestack-proxy", daemon=True)

    @property
    def url(self) -> str:
        """The URL for `HTTPS_PROXY`."""
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Begin to serve, in a thread."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Close all connections and free the port."""
        if self._thread.is_alive():
            self._ready.wait()  # otherwise, the thread would serve a closed socket
            if self._loop is not None and self._stopped is not None:
                with suppress(RuntimeError):  # the loop has already ended
                    self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()
        self._is_closed = True
        self._socket.close()

    def refuses(self, host: str) -> bool:
        """Return whether connections to a host are refused."""
        host = host.lower().strip("[]").rstrip(".")
        if host in self._allowed or is_loopback(host):
            return False
        if not self._internet:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return any(host == name or host.endswith(f".{name}") for name in self._refused_domains)
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in ipaddress.ip_network(network) for network in _METADATA_NETWORKS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError:
            # An interrupt during `start` can stop this before the thread counts as alive.
            if not self._is_closed:
                raise
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._handle, sock=self._socket, limit=_MAX_HEAD_SIZE)
        self._ready.set()
        await self._stopped.wait()
        server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            url = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            await _send_error(writer, 400, "this is a proxy: the request has no absolute URL")
            return
        if self.refuses(host):
            await _send_error(writer, 403, f"the Tunestack sandbox refuses connections to {host}")
            return
        try:
            proxy = self._find_upstream(host, "https" if method == "CONNECT" else url.scheme)
            if method == "CONNECT":
                server = await _open_tunnel(host, port, proxy)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                address = (host, port) if proxy is None else _parse_address(proxy)
                server = await _connect(*address)
                path = target if proxy else (url._replace(scheme="", netloc="").geturl() or "/")
                server[1].write(_build_head(head, f"{method} {path} {version}", proxy))
        except (OSError, EOFError, ValueError) as error:
            await _send_error(writer, 502, f"can't connect to {host}: {error}")
            return
        try:
            await asyncio.gather(_copy(reader, server[1]), _copy(server[0], writer))
        finally:
            server[1].close()
            writer.close()

    def _find_upstream(self, host: str, scheme: str) -> str | None:
        """Return the upstream proxy for a host, if there is one."""
        bypass: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        if is_loopback(host) or bypass(host, dict(self._upstream)):
            return None
        return self._upstream.get(scheme) or self._upstream.get("all")


def list_environment_proxies() -> Mapping[str, str]:
    """Return the proxies of the current environment by scheme, and `no` for the hosts without a proxy."""
    return urllib.request.getproxies_environment()


def _parse_address(proxy: str) -> tuple[str, int]:
    url = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or 80


def _build_authorization(proxy: str) -> bytes:
    url = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    if url.username is None:
        return b""
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return b"Proxy-Authorization: Basic " + base64.b64encode(credentials) + b"\r\n"


async def _connect(host: str, port: int) -> Streams:
    return await asyncio.open_connection(host, port, limit=_MAX_HEAD_SIZE)


async def _open_tunnel(host: str, port: int, proxy: str | None) -> Streams:
    """Connect to a host, through an upstream proxy if there is one."""
    if proxy is None:
        return await _connect(host, port)
    reader, writer = await _connect(*_parse_address(proxy))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n".encode()
    writer.write(request + _build_authorization(proxy) + b"\r\n")
    response = await reader.readuntil(b"\r\n\r\n")
    if response.split(b" ")[1:2] != [b"200"]:
        writer.close()
        raise OSError(response.split(b"\r\n", 1)[0].decode("latin-1"))
    return reader, writer


def _build_head(head: bytes, first_line: str, proxy: str | None) -> bytes:
    """Build the head of the forwarded request. `Connection: close` allows one request, so that each request is checked."""
    fields = [
        line
        for line in head.split(b"\r\n")[1:-2]
        if line.split(b":")[0].lower()
        not in (b"connection", b"proxy-connection", b"keep-alive", b"proxy-authorization")
    ]
    lines = [first_line.encode("latin-1"), *fields, b"Connection: close"]
    authorization = b"" if proxy is None else _build_authorization(proxy)
    return b"\r\n".join([*lines, authorization + b"\r\n"])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy data until one side closes the connection."""
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_SIZE):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()


async def _send_error(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
