"""Network in which every host name resolves to a listener, and a home with "real" credentials; run by test_escapes.py.

It has to be started in network and mount namespaces of its own. For each line of JSON on standard input, `{"name",
"command", "folder"}`, it runs the command and writes `{"name", "requests", "output", "code"}`: what has reached the
listener, by host name where the connection says it.
"""

import contextlib
import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

EVERYWHERE, METADATA, CONTAINER = "198.51.100.1", "169.254.169.254", "169.254.170.2"
SEEN: list[str] = []
ROLE = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAREAL",
    "SecretAccessKey": "real",
    "Token": "real",
    "LastUpdated": "2026-01-01T00:00:00Z",
    "Expiration": "2099-01-01T00:00:00Z",
}
SETTLED = 0.3
"""Seconds to wait for requests that were sent."""


def host_of(data):
    """Return the host of a connection, from the server name of TLS or the Host header of HTTP."""
    if data[:1] == b"\x16":
        place = data.find(b"\x00\x00", 40)
        while (
            place >= 0
        ):  # extension server_name: list length, entry length, type 0, name length, name
            try:
                (length,) = struct.unpack(">H", data[place + 7 : place + 9])
                name = data[place + 9 : place + 9 + length].decode("ascii")
            except (struct.error, UnicodeDecodeError):
                break
            if "." in name and name.isprintable() and 3 < length < 254:
                return name
            place = data.find(b"\x00\x00", place + 1)
        return "TLS"
    for line in data.split(b"\r\n")[1:]:
        if line.lower().startswith(b"host:"):
            return line[5:].strip().decode("latin-1")
    return repr(data[:40])


class Listener(socketserver.BaseRequestHandler):
    """Record each connection; respond only to requests to the metadata service, with credentials."""

    def handle(self):
        self.request.settimeout(2)
        place = len(SEEN)
        address = self.request.getsockname()[0]
        SEEN.append(address)
        try:
            data = self.request.recv(65536)
        except OSError:
            return
        SEEN[place] = host_of(data) if data else f"{SEEN[place]}, a connection without data"
        if address in (METADATA, CONTAINER):
            path = data.split(b" ")[1] if data.count(b" ") > 1 else b""
            body = "token" if b"token" in path else json.dumps(ROLE) if b"role" in path else "role"
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.request.sendall((head + body).encode())


class Names(socketserver.BaseRequestHandler):
    """DNS server that resolves every name to the same address."""

    def handle(self):
        data, answers = self.request
        end = data.index(b"\x00", 12) + 5
        is_ipv4 = data[end - 4 : end - 2] == b"\x00\x01"
        head = (
            data[:2]
            + b"\x81\x80"
            + data[4:6]
            + (b"\x00\x01" if is_ipv4 else b"\x00\x00")
            + b"\x00" * 4
        )
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + socket.inet_aton(EVERYWHERE)
        answers.sendto(head + data[12:end] + (record if is_ipv4 else b""), self.client_address)


def build(folder):
    """Create the network and a home folder with credentials of a real account; return the environment."""
    run = (
        ["ip", "link", "set", "lo", "up"],
        *(
            ["ip", "address", "add", f"{address}/32", "dev", "lo"]
            for address in (EVERYWHERE, METADATA, CONTAINER)
        ),
    )
    for command in run:
        subprocess.run(command, check=True)
    settings = folder / "resolv.conf"
    settings.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", settings, Path("/etc/resolv.conf").resolve()], check=True)
    servers: list[socketserver.ThreadingUDPServer | socketserver.ThreadingTCPServer] = [
        socketserver.ThreadingUDPServer(("127.0.0.1", 53), Names)
    ]
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    places = (EVERYWHERE, 443), (EVERYWHERE, 80), (METADATA, 80), (CONTAINER, 80)
    servers += [socketserver.ThreadingTCPServer(place, Listener) for place in places]
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    home = folder / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws/config").write_text(
        "[default]\nregion = us-east-1\nmax_attempts = 1\n[profile real]\nregion = us-east-1\nmax_attempts = 1\n"
    )
    keys = "aws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
    (home / ".aws/credentials").write_text(f"[default]\n{keys}[real]\n{keys}")
    return {
        "PATH": os.environ["PATH"],
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "OPENAI_API_KEY": "sk-real",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def execute(command, folder, environment):
    """Run a command; return its exit code, which is `None` if it did not end in time, and its output."""
    # The output goes to a file, because a background process would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=120)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        else:
            code = process.returncode
        output.seek(0)
        return code, output.read()


def main():
    """Run the commands from standard input until it ends."""
    with tempfile.TemporaryDirectory() as name:
        environment = build(Path(name))
        for line in sys.stdin:
            asked = json.loads(line)
            SEEN.clear()
            code, output = execute(asked["command"], asked["folder"], environment)
            time.sleep(SETTLED)
            answer = {
                "name": asked["name"],
                "requests": sorted(set(SEEN)),
                "output": output[-3000:],
                "code": code,
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
