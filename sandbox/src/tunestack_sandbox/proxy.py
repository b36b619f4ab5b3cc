"""An HTTP proxy on loopback that refuses the hosts of AWS, OpenAI and Azure.

Some clients ignore the variables that name endpoints and do read those that name a proxy. Their requests to a real
account end here.
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

from tunestack_sandbox.loopback import LOOPBACK, is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_OTHERS = (
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
_METADATA = ("169.254.0.0/16", "fd00:ec2::/32", "fe80::/10")
"""Where virtual machines and containers get credentials: link-local addresses, and AWS's own for IPv6."""
_LONGEST_HEAD = 65536
_PIECE = 65536


def refused_hosts() -> frozenset[str]:
    """Return the domains that are refused with all their subdomains: AWS's of every partition, OpenAI's, Azure's.

    Source: `partitions.json` of botocore.
    """
    partitions = create_loader().load_data("partitions")["partitions"]
    aws = {
        partition["outputs"][name]
        for partition in partitions
        for name in ("dnsSuffix", "dualStackDnsSuffix")
    }
    return frozenset({*aws, *_OTHERS})


class Proxy:
    """A proxy for HTTP, and for anything through CONNECT."""

    def __init__(
        self, *, internet: bool, allowed: Collection[str], before: Mapping[str, str]
    ) -> None:
        """Bind a free port; `start` begins to answer.

        Args:
            internet: pass on connections to other hosts than those that are refused; else only to loopback.
            allowed: hosts to pass on all the same.
            before: the proxies of the environment before this one, by scheme: other hosts are reached through them.
        """
        self._internet = internet
        self._allowed = frozenset(name.lower() for name in allowed)
        self._before = before
        self._refused = refused_hosts()
        self._socket = socket.create_server((LOOPBACK, 0), backlog=256)
        self._port: int = self._socket.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tunestack-proxy", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, as `HTTPS_PROXY` has it."""
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Begin to answer, in a thread."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End every connection, and free the port."""
        if self._thread.is_alive():
            self._ready.wait()  # or the thread would serve a socket that is closed
            if self._loop is not None and self._ended is not None:
                with suppress(RuntimeError):  # the loop has ended already
                    self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        self._socket.close()

    def refuses(self, host: str) -> bool:
        """Tell whether connections to a host are refused."""
        host = host.lower().strip("[]").rstrip(".")
        if host in self._allowed or is_loopback(host):
            return False
        if not self._internet:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return any(host == name or host.endswith(f".{name}") for name in self._refused)
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in ipaddress.ip_network(network) for network in _METADATA)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._answer, sock=self._socket, limit=_LONGEST_HEAD)
        self._ready.set()
        await self._ended.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            url = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            await _end(writer, 400, "this is a proxy: the request has no absolute URL")
            return
        if self.refuses(host):
            await _end(writer, 403, f"the Tunestack sandbox refuses connections to {host}")
            return
        try:
            through = self._proxy_to(host, "https" if method == "CONNECT" else url.scheme)
            if method == "CONNECT":
                outside = await _tunnel(host, port, through)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                outside = await _connect(*((host, port) if through is None else _place(through)))
                path = target if through else (url._replace(scheme="", netloc="").geturl() or "/")
                outside[1].write(_forwarded(head, f"{method} {path} {version}", through))
        except (OSError, EOFError, ValueError) as error:
            await _end(writer, 502, f"{host} can't be reached: {error}")
            return
        try:
            await asyncio.gather(_copy(reader, outside[1]), _copy(outside[0], writer))
        finally:
            outside[1].close()
            writer.close()

    def _proxy_to(self, host: str, scheme: str) -> str | None:
        """Return the proxy that leads to a host, if the environment had one."""
        bypass: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        if is_loopback(host) or bypass(host, dict(self._before)):
            return None
        return self._before.get(scheme) or self._before.get("all")


def proxies_before() -> Mapping[str, str]:
    """Return the proxies of the present environment, by scheme, and `no` for the hosts to reach without one."""
    return urllib.request.getproxies_environment()


def _place(proxy: str) -> tuple[str, int]:
    url = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or 80


def _credentials(proxy: str) -> bytes:
    url = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    if url.username is None:
        return b""
    said = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return b"Proxy-Authorization: Basic " + base64.b64encode(said) + b"\r\n"


async def _connect(host: str, port: int) -> Streams:
    return await asyncio.open_connection(host, port, limit=_LONGEST_HEAD)


async def _tunnel(host: str, port: int, through: str | None) -> Streams:
    """Connect to a host, through another proxy if there is one."""
    if through is None:
        return await _connect(host, port)
    reader, writer = await _connect(*_place(through))
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n".encode()
    writer.write(request + _credentials(through) + b"\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    if answer.split(b" ")[1:2] != [b"200"]:
        writer.close()
        raise OSError(answer.split(b"\r\n", 1)[0].decode("latin-1"))
    return reader, writer


def _forwarded(head: bytes, first: str, through: str | None) -> bytes:
    """Write the head of a request as it goes on: of one connection comes one request, so that none escapes the check."""
    fields = [
        line
        for line in head.split(b"\r\n")[1:-2]
        if line.split(b":")[0].lower()
        not in (b"connection", b"proxy-connection", b"keep-alive", b"proxy-authorization")
    ]
    lines = [first.encode("latin-1"), *fields, b"Connection: close"]
    login = b"" if through is None else _credentials(through)
    return b"\r\n".join([*lines, login + b"\r\n"])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the sender ends or either side is gone."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()


async def _end(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
