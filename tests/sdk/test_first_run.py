"""The blocks of the README, on a machine that has only Python and git.

Each run installs everything again from the package registries, with the registry settings of this machine.
"""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.campaign

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(bash|sh|python)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PROGRAMS = (
    *("bash", "sh", "env", "git", "grep", "sed", "basename", "cat", "chmod", "cp", "cut", "date"),
    *("dirname", "echo", "expr", "false", "head", "id", "install", "ln", "ls", "mkdir", "mktemp"),
    *("mv", "nproc", "od", "paste", "printf", "pwd", "readlink", "rm", "rmdir", "seq", "sleep"),
    *("sort", "stat", "tail", "tee", "test", "touch", "tr", "true", "uname", "uniq", "wc"),
)
REGISTRY_VARIABLES = re.compile(
    r"(SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|PIP_.*|"
    r"UV_(INDEX|DEFAULT_INDEX).*|(?i:npm_config_registry|https?_proxy|no_proxy))"
)
"""Variables that configure the registries and the trusted certificates of package clients."""


@pytest.fixture
def machine(tmp_path):
    """Return the environment of a machine with coreutils, bash, git and Python."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        if program := shutil.which(name, path="/usr/bin:/bin"):
            (programs / name).symlink_to(program)
    (programs / "python3").symlink_to(os.path.realpath(vars(sys)["_base_executable"]))
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if REGISTRY_VARIABLES.fullmatch(name)
    }
    for name, file in (
        ("PIP_CONFIG_FILE", ".config/pip/pip.conf"),
        ("npm_config_userconfig", ".npmrc"),
    ):
        if (path := Path.home() / file).exists():
            environment.setdefault(name, str(path))
    # An interactive bash writes its history to a file.
    environment["HISTFILE"] = os.devnull
    return environment | {"PATH": str(programs), "HOME": str(home), "CDK_REQUIRE_APPROVAL": "never"}


def clone(folder):
    subprocess.run(["git", "clone", "--quiet", "--local", ROOT, folder], check=True)
    return folder


def run(checkout, machine, script, before=""):
    """Run a script with bash and return its output."""
    file = checkout.parent / "script.sh"
    file.write_text(script)
    process = subprocess.run(
        [
            shutil.which("bash") or "bash",
            "-c",
            f"{before}\nexec bash -euo pipefail {shlex.quote(str(file))}",
        ],
        cwd=checkout,
        env=machine,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1800,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


def format_block(kind, block):
    return f"python - <<'PYTHON'\n{block}PYTHON\n" if kind == "python" else block


def test_every_block_of_the_readme_works(machine, tmp_path):
    """The first block runs after the blocks that deploy the stage. `./check` only collects the tests."""
    first, (_, setup), (_, shells), (_, deployment), *rest = BLOCKS
    assert re.findall(r"^\./\w+", setup, re.MULTILINE) == ["./demo", "./check"]
    tools, sandbox = shells.splitlines()
    (data,) = re.findall(r"^`(python examples/tickets\.py \S+)`", README, re.MULTILINE)
    account = "".join(
        format_block(*block)
        for block in [("bash", deployment), rest[0], ("sh", f"{data}\n"), first, *rest[1:]]
    )
    (install,) = re.findall(r"`(pip install '\./sdk\[.*?\]')`", README)
    account += f"python3 -m venv app && app/bin/{install}\napp/bin/tunestack models list\n"
    checkout = clone(tmp_path / "tunestack")
    inside = tmp_path / "inside.sh"
    inside.write_text(f"set -euo pipefail\n{account}")
    sandboxed = sandbox.replace("sandbox --", "sandbox --empty --speed 10000 --")
    outside = tmp_path / "outside.sh"
    outside.write_text(f"set -e\n{sandboxed} {shlex.quote(str(inside))}\n./demo\n")
    out = run(
        checkout,
        machine,
        f"{setup.replace('./check', './check --collect-only')}\n{tools} -i {shlex.quote(str(outside))}\n",
    )
    assert out.count("Nothing that costs money is left") == 2  # also after `uv sync && npm ci`
    assert "Endpoint deployed: " in out
    assert "gpt-4o-mini" in out
    assert sorted((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    "before",
    ["umask 077", "unset HOME", "export TMPDIR=/no/such/folder"],
    ids=["umask", "no home", "no TMPDIR"],
)
def test_demo_works_in_any_folder(machine, tmp_path, before):
    """The path has spaces and non-ASCII characters, and the home folder is read-only."""
    parent = tmp_path / "Mïne & Øther's 仕事"
    parent.mkdir()
    checkout = clone(parent / "tune stack")
    home = tmp_path / "home"
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        out = run(checkout, machine, "./demo", before)
    finally:
        home.chmod(stat.S_IRWXU)
    assert "Nothing that costs money is left" in out
    assert sorted(home.iterdir()) == []


def test_demo_names_its_failed_step(machine, tmp_path):
    checkout = clone(tmp_path / "tunestack")
    (checkout / "examples/from_dspy.py").write_text("raise SystemExit(7)\n")
    with pytest.raises(AssertionError, match=r"failed with exit code 7 in step 3\. An application"):
        run(checkout, machine, "./demo")
