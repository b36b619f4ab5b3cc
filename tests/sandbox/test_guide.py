"""What docs/sandbox.md shows is what happens."""

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


def block(word):
    (found,) = [text for text in SHELL if word in text]
    return found


@pytest.fixture
def shell(sandbox, tmp_path):
    """Run lines as a reader would, in a folder with a file to train on."""
    rows = "".join(json.dumps(converse_row(number)) + "\n" for number in range(8))
    (tmp_path / "train.jsonl").write_text(rows)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").symlink_to(Path(sys.executable).with_name("aws"))

    def run(text):
        path = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=tmp_path,
            env={**sandbox.environment(), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_aws_cli_submits_a_job(sandbox, bedrock, shell):
    first, _, rest = block("aws s3 cp").partition("\n")
    assert first == "tunestack sandbox -- bash"
    assert '"jobArn": "arn:aws:bedrock:us-east-1:' in shell(rest)
    sandbox.clock.advance(6000)
    assert bedrock.get_custom_model(modelIdentifier="model")["modelName"] == "model"


def test_a_long_term_key_is_made_and_used(shell):
    assert '"text": "[sandbox: an untrained Nova Micro' in shell(block("AWS_BEARER_TOKEN_BEDROCK"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_tells_it_what_is_not_python(sandbox, shell):
    before = sandbox.clock.now()
    out = shell(block("curl").replace("curl ", "curl -sS "))
    assert '"regions"' in out
    assert '"kind": "throttle"' in out
    # The last of them is a reset, which turns the clock back.
    assert sandbox.clock.now() < before.replace(year=before.year + 1)
    assert sandbox.faults.listed() == []


def test_every_option_and_every_fault_is_shown():
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
def test_the_python_of_the_guide_is_python(text):
    compile(text, "docs/sandbox.md", "exec")


def test_no_link_of_the_documentation_leads_nowhere():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        prose = re.sub(r"`[^`\n]*`", "", page.read_text())
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
