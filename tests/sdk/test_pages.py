"""The code blocks of the pages work, from the first to the last, in a sandbox."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.day import AS_OF
from tests.sdk.page_blocks import ROOT, read_all
from tunestack_sandbox import Sandbox

PAGES = read_all()
(SWEEP, *_) = re.findall(
    r"^```toml\n(.*?)^```", (ROOT / "docs/runs.md").read_text(), re.DOTALL | re.MULTILINE
)
BEFORE = {
    "docs/evaluation.md": "python examples/tickets.py all.jsonl\n"
    "tunestack submit all.jsonl -m nova-micro --yes --wait\n",
    "docs/jobs.md": "python examples/tickets.py tickets.jsonl\n"
    "tunestack submit tickets.jsonl -m nova-lite --yes --wait\n"
    "tunestack endpoints start latest\n",
    "docs/my-data.md": 'python -c \'for n in range(20): print(f"a{n},b{n}" if n else "question,answer")\' > tickets.csv\n',
    "docs/runs.md": "python examples/tickets.py tickets.jsonl\n"
    "cat > sweep.toml <<'TOML'\n" + SWEEP + "TOML\n",
    "docs/report.md": "python examples/tickets.py all.jsonl\n"
    "tunestack data split all.jsonl -t train.jsonl -v test.jsonl\n"
    "tunestack submit train.jsonl -m nova-micro --validation test.jsonl --yes --wait\n"
    """echo '{"scores": {"F1": {"base": 0.5}}}' > result.json\n""",
}
"""What a page expects in the folder and in the account."""
NAMES = {
    "docs/evaluation.md": "from tunestack import Tuner\njob = next(Tuner().jobs())\n",
    "docs/jobs.md": "from datetime import timedelta\nfrom tunestack import Tuner\n"
    "tuner, file, files = Tuner(), 'tickets.jsonl', ['tickets.jsonl']\n",
}
"""What the Python code of a page expects."""
REPLACED = {" JOB": " latest", "time.sleep(60)": "time.sleep(0.1)"}
OUTPUTS = {
    "docs/cli.md": "jobs list --state $1",
    "docs/index.md": "shipping",
    "docs/start/quickstart.md": "shipping",
    "docs/start/application-developer.md": "did you mean 'nova-micro'?",
    "docs/start/data-scientist.md": "better than base",
    "docs/start/moving.md": "shipping\nshipping",
    "docs/start/platform-engineer.md": "",
    "docs/concepts/costs.md": "$",
    "docs/evaluation.md": "better than base",
    "docs/jobs.md": "succeeded",
    "docs/my-data.md": "tunestack-nova-micro",
    "docs/report.md": "loss",
    "docs/runs.md": "succeeded",
}
"""A part of the output of a page."""
TO_RUN = {
    page: blocks
    for page, all_blocks in PAGES.items()
    if (blocks := [block for block in all_blocks if not block.reason and not block.test])
}


@pytest.fixture(scope="module")
def fast_sandbox(count_traffic):
    with Sandbox(speed=10_000, as_of=AS_OF) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.refused + sandbox.traffic.violations == []


@pytest.fixture(scope="module")
def sandbox_of_today(count_traffic):
    """Run a sandbox for `tunestack doctor`, which compares the clocks."""
    with Sandbox(speed=10_000) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)


@pytest.fixture
def run(fast_sandbox, sandbox_of_today, tmp_path):
    """Return a function that runs a block in a folder with the examples."""
    fast_sandbox.reset()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    changes = {
        "PATH": path,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "200",
    }

    def call(language, code):
        sandbox = sandbox_of_today if "tunestack doctor" in code else fast_sandbox
        for text, other in REPLACED.items():
            code = code.replace(text, other)
        command = (
            (sys.executable, "-c", code)
            if language == "python"
            else ("bash", "-euo", "pipefail", "-c", code)
        )
        process = subprocess.run(
            command,
            cwd=tmp_path,
            env=sandbox.environment() | changes,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, f"{code}\n{process.stdout}\n{process.stderr}"
        return process.stdout

    return call


@pytest.mark.campaign
@pytest.mark.parametrize("page", TO_RUN)
def test_blocks_of_the_page_work(run, page):
    run("bash", BEFORE.get(page, ""))
    names = NAMES.get(page, "")
    outputs = [
        run(block.language, names + block.code if block.language == "python" else block.code)
        for block in TO_RUN[page]
    ]
    assert OUTPUTS.get(page, "") in "".join(outputs)


def test_every_block_is_run_or_has_a_reason(figure):
    blocks = [block for rows in PAGES.values() for block in rows]
    assert [block for block in blocks if block.reason and block.test] == []
    for page, test in {(block.page, block.test) for block in blocks if block.test}:
        assert page.split("/")[-1] in (ROOT / test).read_text()
    marked = sum(block.reason is not None for block in blocks)
    own = sum(block.test is not None for block in blocks)
    figure(
        f"{len(blocks)} code blocks of the documentation: {len(blocks) - marked - own} run page by page, {own} by tests of their own, {marked} not run, with a reason"
    )


def test_diagrams_are_those_of_the_script():
    render = runpy.run_path(str(ROOT / "docs/site/diagrams.py"))["render"]
    for name, text in render().items():
        assert (ROOT / "docs/images" / name).read_text() == text
