"""The code of a Lambda function with the SDK: the installed package and its dependencies, for the platform of the function.

No Docker is needed: all dependencies have wheels. Two builds of the same versions have the same content, so a deployment changes
the function only if a version has changed.
"""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import tunestack.deployment
from tunestack.errors import TunestackError

PYTHON_VERSION = "3.14"
# Amazon Linux 2023, which the runtime is based on, has glibc 2.34.
PLATFORM = "aarch64-manylinux_2_28"
MAX_BYTES = 250 * 1024 * 1024
"""Source: Lambda developer guide, gettingstarted-limits: the size of a deployment package, unzipped."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
# Written by the installer: they have paths of this machine, and the function does not need them.
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


@cache
def build_bundle(platform: str | None = PLATFORM, python_version: str = PYTHON_VERSION) -> Path:
    """Build the archive, and return its path. The packages are downloaded, or taken from the cache of uv.

    Args:
        platform: the platform, as `uv pip install --python-platform` has it; `None` for this machine.
        python_version: the version of Python.

    Raises:
        TunestackError: a package can't be installed, or the code is too large.
    """
    folder = Path(tempfile.mkdtemp(prefix="tunestack-bundle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    packages = folder / "packages"
    _install(list_requirements(), packages, platform, python_version)
    shutil.copytree(Path(tunestack.deployment.__file__).parent, packages / "tunestack")
    files = sorted(
        path for path in packages.rglob("*") if path.is_file() and _is_needed(path, packages)
    )
    size = sum(path.stat().st_size for path in files)
    if size > MAX_BYTES:
        raise TunestackError(
            f"the code of the function has {size:,} bytes, and Lambda allows {MAX_BYTES:,}"
        )
    archive = folder / "function.zip"
    with ZipFile(archive, "w", ZIP_DEFLATED) as target:
        for path in files:
            # Without the time and the mode of the file, which differ between machines.
            entry = ZipInfo(path.relative_to(packages).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, path.read_bytes())
    shutil.rmtree(packages)
    return archive


def list_requirements() -> list[str]:
    """Return the dependencies of the SDK without its extras, in the versions that are installed."""
    found: dict[str, str] = {}
    pending = ["tunestack"]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        found[name] = installed.version
        for requirement in installed.requires or ():
            required = _NAME.match(requirement)
            if required is not None and "extra ==" not in requirement:
                pending.append(required[0].lower().replace("_", "-"))
    del found["tunestack"]
    return sorted(f"{name}=={version}" for name, version in found.items())


def _install(
    requirements: list[str], folder: Path, platform: str | None, python_version: str
) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise TunestackError(
            "run_evaluation and run_schedules need uv to build the code of their functions: install it "
            "(https://docs.astral.sh/uv), or pass the code with function_code"
        )
    for_platform = [] if platform is None else ["--python-platform", platform]
    command = [
        *(uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-config"),
        *("--target", str(folder), "--python", sys.executable, "--python-version", python_version),
        *for_platform,
        *requirements,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise TunestackError(
            f"the packages of the function can't be installed: {done.stderr.strip()}"
        )


def _is_needed(path: Path, packages: Path) -> bool:
    parts = path.relative_to(packages).parts
    return "__pycache__" not in parts and parts[0] != "bin" and path.name not in _LEFT_OUT
