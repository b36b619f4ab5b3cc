"""Run the examples in docs/sandbox.md."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.samples import converse_row
from tunestack_sandbox import FaultKind

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/sandbox.md").read_text()
SHELL = re.findall(r"^```bash\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def find_block(text: str) -> str:
    """Return the only shell block of the guide that contains a text."""
    (block,) = [block for block in SHELL if text in block]
    return block


@pytest.fixture
def shell(sandbox, tmp_path):
    """Return a function that runs shell commands in a folder with a training file."""
    rows = "".join(json.dumps(converse_row(number)) + "\n" for number in range(8))
    (tmp_path / "train.jsonl").write_text(rows)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").symlink_to(Path(sys.executable).with_name("aws"))

    def run(text):
        path = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
        process = subprocess.run(
            ["bash", "-euc", text],
            cwd=tmp_path,
            env={**sandbox.environment(), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


def test_the_aws_cli_submits_a_job(sandbox, bedrock, shell):
    first, _, rest = find_block("aws s3 cp").partition("\n")
    assert first == "tunestack sandbox -- bash"
    assert '"jobArn": "arn:aws:bedrock:us-east-1:' in shell(rest)
    sandbox.clock.advance(6000)
    assert bedrock.get_custom_model(modelIdentifier="model")["modelName"] == "model"


def test_the_aws_cli_creates_and_uses_a_long_term_key(shell):
    assert '"text": "[sandbox: an untrained Nova Micro' in shell(
        find_block("AWS_BEARER_TOKEN_BEDROCK")
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_controls_the_sandbox(sandbox, shell):
    before = sandbox.clock.now()
    out = shell(find_block("curl").replace("curl ", "curl -sS "))
    assert '"regions"' in out
    assert '"kind": "throttle"' in out
    # The last command resets the sandbox, and with it the clock.
    assert sandbox.clock.now() < before.replace(year=before.year + 1)
    assert sandbox.faults.listed() == []


def test_the_guide_lists_all_options_and_faults():
    help_text = subprocess.run(
        [Path(sys.executable).with_name("tunestack"), "sandbox", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = {"--speed", "--as-of", "--enforce-iam", "--no-model-units", "--fault", "--seed"}
    for option in options | {"--empty"}:
        assert option in help_text
        assert option in GUIDE
    for kind in FaultKind:
        assert f"`{kind.value}`" in GUIDE


@pytest.mark.parametrize("text", PYTHON)
def test_the_python_examples_compile(text):
    compile(text, "docs/sandbox.md", "exec")


def test_all_links_in_the_documentation_resolve():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        prose = re.sub(r"`[^`\n]*`", "", page.read_text())
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
