"""Installation by scripts/toolchain.sh, and its error messages."""

import base64
import hashlib
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
import zipfile
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE_PYTHON = vars(sys)["_base_executable"]
UV = Path(shutil.which("uv") or ROOT / ".tools/uv-0.13.9/bin/uv")
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
OPENSSL = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 36500 -subj "/CN=A company's CA" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1
printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth\\n' >server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 36500 -extfile server.ext
"""
WHEEL = "tiny-1.0-py3-none-any.whl"


@cache
def build_npm_package():
    """Return an npm package of one file. The result is cached, because gzip adds the time."""
    content = json.dumps({"name": "tiny", "version": "1.0.0"}).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def build_wheel():
    """Return a wheel without a module."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = "tiny-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Create a CA that is not trusted, and a certificate for this machine that it signed."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(["sh", "-ec", OPENSSL], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def registry(certificates):
    """Run an npm registry and a Python package index over HTTPS, with one package each."""
    files = {f"/files/{WHEEL}": build_wheel(), "/tiny/-/tiny-1.0.0.tgz": build_npm_package()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            base = f"https://{self.headers['Host']}"
            files["/tiny"] = json.dumps(
                {
                    "name": "tiny",
                    "versions": {
                        "1.0.0": {
                            "name": "tiny",
                            "version": "1.0.0",
                            "dist": {"tarball": f"{base}/tiny/-/tiny-1.0.0.tgz"},
                        }
                    },
                }
            ).encode()
            files["/simple/tiny/"] = f'<a href="{base}/files/{WHEEL}">{WHEEL}</a>'.encode()
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html" if "simple" in self.path else "binary/any")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """Ignore connections that are closed by clients that do not trust the certificate."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def installed_uv(tmp_path_factory):
    """Create the folder in which the toolchain installs uv and pip. Tests share it, because pip needs seconds."""
    folder = tmp_path_factory.mktemp("tools") / UV.parents[1].name
    subprocess.run([BASE_PYTHON, "-m", "venv", folder], check=True)
    (folder / "bin/uv").symlink_to(UV)
    return folder


@pytest.fixture
def checkout(tmp_path, installed_uv):
    """Create a project with the toolchain and one npm dependency, in which uv and pip are installed."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/toolchain.sh", tmp_path / "scripts")
    digest = base64.b64encode(hashlib.sha512(build_npm_package()).digest()).decode()
    package = {"name": "workspace", "dependencies": {"tiny": "1.0.0"}}
    locked = {"version": "1.0.0", "integrity": f"sha512-{digest}"}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "package-lock.json").write_text(
        json.dumps(
            {
                "name": "workspace",
                "lockfileVersion": 3,
                "packages": {"": package, "node_modules/tiny": locked},
            }
        )
    )
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "workspace"\nversion = "0"\nrequires-python = ">=3.11"\n'
        "[dependency-groups]\ndev = []\n[tool.uv]\npackage = false\n"
    )
    (tmp_path / "uv.lock").write_text(
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n'
        '[[package]]\nname = "workspace"\nversion = "0"\nsource = { virtual = "." }\n'
        "\n[package.dev-dependencies]\ndev = []\n\n[package.metadata]\n"
        "\n[package.metadata.requires-dev]\ndev = []\n"
    )
    (tmp_path / ".tools").mkdir()
    (tmp_path / ".tools" / installed_uv.name).symlink_to(installed_uv)
    return tmp_path


@pytest.fixture
def bash(checkout, registry):
    """Return a function that runs bash commands in a clean environment."""

    def run(commands, **variables):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(checkout / "home"),
            "PYTHON": BASE_PYTHON,
            "npm_config_registry": registry,
            "npm_config_fetch_retries": "0",
            "PIP_RETRIES": "0",
            "PIP_CONFIG_FILE": os.devnull,
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=checkout,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def build_install_script(registry):
    return (
        "source scripts/toolchain.sh\n"
        f'"$uv" pip install --quiet --target by-uv --default-index {registry}/simple tiny\n'
        f'"${{uv%/uv}}/pip" install --quiet --target by-pip --index-url {registry}/simple tiny\n'
    )


@pytest.mark.campaign
@pytest.mark.parametrize("variable", VARIABLES)
def test_custom_ca_is_trusted_by_npm_uv_and_pip(bash, checkout, registry, certificates, variable):
    process = bash(build_install_script(registry), **{variable: str(certificates / "ca.pem")})
    assert process.returncode == 0, process.stderr
    assert (checkout / "node_modules/tiny/package.json").exists()
    assert (checkout / "by-uv/tiny-1.0.dist-info").exists()
    assert (checkout / "by-pip/tiny-1.0.dist-info").exists()


@pytest.mark.campaign
def test_node_trusts_the_ca_of_each_variable(bash, checkout, certificates, tmp_path):
    """One variable has the CAs of the system, another one has the custom CA."""
    other = tmp_path / "other.pem"
    other.write_bytes((certificates / "server.pem").read_bytes())
    ca = str(certificates / "ca.pem")
    process = bash(
        "source scripts/toolchain.sh; echo $SSL_CERT_FILE",
        SSL_CERT_FILE=ca,
        NODE_EXTRA_CA_CERTS=str(other),
    )
    assert (0, f"{ca}\n") == (process.returncode, process.stdout), process.stderr


def test_error_of_npm_without_the_ca_is_shown(bash, checkout):
    process = bash("source scripts/toolchain.sh")
    assert process.returncode == 1
    assert "npm error" in process.stderr
    assert "certificate" in process.stderr
    assert "the CDK CLI can't be installed, for the reason above" in process.stderr


def test_error_about_a_missing_ca_file_names_it(bash):
    process = bash("source scripts/toolchain.sh", SSL_CERT_FILE="/no/such/file.pem")
    assert process.returncode == 1
    assert (
        "error: SSL_CERT_FILE is set to '/no/such/file.pem', which can't be read" in process.stderr
    )


def test_error_in_another_shell_suggests_bash(checkout):
    (checkout / "run.sh").write_text(". scripts/toolchain.sh\n")
    zsh_like = "unset BASH_VERSION; . scripts/toolchain.sh"
    for command in (["dash", "run.sh"], ["bash", "-c", zsh_like]):
        if shutil.which(command[0]):
            process = subprocess.run(
                command, cwd=checkout, capture_output=True, text=True, check=False
            )
            assert process.returncode == 1
            assert "needs bash: run 'bash --rcfile scripts/toolchain.sh'" in process.stderr


def test_interactive_shell_stays_open_if_python_is_missing(checkout, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "mkdir"):
        (programs / name).symlink_to(shutil.which(name))
    process = subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "-i"],
        input="source scripts/toolchain.sh\necho still open\n",
        env={"PATH": str(programs)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Python 3.11 or newer is needed" in process.stderr
    assert process.stdout == "still open\n"


def test_scripts_are_compatible_with_bash_3_and_bsd_tools():
    """macOS has bash 3.2 and BSD tools."""
    unsupported = (
        *("mapfile", "readarray", "declare -A", "local -n", ",,}", "^^}", "readlink -f"),
        *("sed -i", "grep -P", "date -d", "realpath", "${groups[@]}"),
    )
    scripts = [ROOT / "demo", ROOT / "check", *sorted((ROOT / "scripts").glob("*.sh"))]
    assert {"build.sh", "matrix.sh"} <= {script.name for script in scripts}
    for script in scripts:
        text = script.read_text()
        assert [word for word in unsupported if word in text] == []
        # `head` can close the pipe early, so that the writer fails with 141.
        assert "| head" not in text


def test_second_run_keeps_the_virtual_environment(bash, checkout, certificates):
    """This also works if `python3` is a script that starts Python, like that of pyenv."""
    shim = checkout / "shim"
    shim.write_text(f'#!/bin/sh\nexec {BASE_PYTHON} "$@"\n')
    shim.chmod(0o755)
    trusted = {"SSL_CERT_FILE": str(certificates / "ca.pem")}
    marker = checkout / ".venv/marker"
    source = "source scripts/toolchain.sh"
    first = bash(f"{source}; touch .venv/marker", PYTHON=str(shim), **trusted)
    second = bash(source, PYTHON=str(shim), **trusted)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert marker.exists()


def test_bytecode_is_cached_although_the_caller_disables_it(bash, checkout, certificates):
    (checkout / "module.py").touch()
    process = bash(
        "source scripts/toolchain.sh; python -c 'import module'",
        SSL_CERT_FILE=str(certificates / "ca.pem"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert process.returncode == 0, process.stderr
    cache = checkout / ".tools/cache/pycache"
    assert [path.name.split(".")[0] for path in cache.rglob("module.*.pyc")] == ["module"]
    assert not (checkout / "__pycache__").exists()
