"""The code blocks of the documentation: which are run, by which test, and why others are not."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>bash|sh|python)\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
TESTED = {
    ("README.md", "bash"): "tests/sdk/test_first_run.py",
    ("README.md", "sh"): "tests/sdk/test_readme.py",
    ("README.md", "python"): "tests/sdk/test_readme.py",
    ("docs/dspy.md", "python"): "tests/sdk/test_readme.py",
    ("docs/infrastructure.md", "python"): "tests/infra/test_synth.py",
    ("docs/openai.md", "python"): "tests/sdk/test_readme.py",
    ("docs/own-traffic.md", "python"): "tests/sdk/test_own_traffic_guide.py",
    ("docs/own-traffic.md", "sh"): "tests/sdk/test_own_traffic_guide.py",
    ("docs/report.md", "python"): "tests/sdk/test_report_page.py",
    ("docs/sandbox.md", "bash"): "tests/sandbox/test_guide.py",
    ("docs/sandbox.md", "python"): "tests/sandbox/test_guide.py",
    ("docs/training-data.md", "python"): "tests/records/test_guide.py",
    ("docs/training-data.md", "sh"): "tests/records/test_guide.py",
}
"""Blocks with tests of their own, by page and language."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code of a page."""

    page: str
    language: str
    code: str
    reason: str | None
    """Why the block is not run."""

    @property
    def test(self) -> str | None:
        """The file of the test that runs the block, apart from tests/sdk/test_pages.py."""
        return TESTED.get((self.page, self.language))


def read_blocks(page: Path) -> list[Block]:
    """Return the blocks of shell and Python code of a page."""
    return [
        Block(page=page.relative_to(ROOT).as_posix(), **match.groupdict())
        for match in _BLOCK.finditer(page.read_text())
    ]


def read_all() -> dict[str, list[Block]]:
    """Return the blocks of each page that has some."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    # Tables with a generated content, and sessions of the command line, are no blocks of these languages.
    blocks = {page: read_blocks(page) for page in sorted(pages) if "_build" not in page.parts}
    return {page.relative_to(ROOT).as_posix(): rows for page, rows in blocks.items() if rows}
