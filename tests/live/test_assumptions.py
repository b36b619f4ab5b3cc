"""The table of assumptions, the steps and docs/assumptions.md agree."""

import json
import os
import re
from pathlib import Path

from tests.live.assumptions import ASSUMPTIONS
from tests.live.deviations import DEVIATIONS
from tests.live.live_run import STEPS
from tests.live.program import RECORDED, parse

DOCS = Path(__file__).parents[2] / "docs"
_PAGE = """# Assumptions about AWS

Tunestack was written without access to an AWS account. The sandbox and the SDK have the same authors, so a wrong belief can be in both.
This page lists every assumption that only a real account can settle, with the step of the [live suite](live.md) that settles it.
{state}

[Differences between the sandbox and AWS](sandbox-deviations.md) lists the behavior of the sandbox that AWS does not document.

This page is generated from `tests/live/assumptions.py`: `WRITE_DOCS=1 pytest tests/live/test_assumptions.py`.

| assumption | why it is assumed | if it is wrong | how the code handles both cases | step |
| --- | --- | --- | --- | --- |
{rows}
"""
_NO_RECORDING = (
    "No recording of a real account exists yet: **none of these assumptions is settled**."
)


def find_step(assumption):
    return next(step.name for step in STEPS.values() if assumption in step.settles)


def test_every_assumption_is_settled_by_one_step():
    settled = [name for step in STEPS.values() for name in step.settles]
    assert sorted(settled) == sorted(ASSUMPTIONS)


def test_every_deviation_is_meant_to_be_found_by_the_step_of_its_assumption():
    assert len(DEVIATIONS) >= 12
    for step, assumption, _ in DEVIATIONS.values():
        assert find_step(assumption) == step


def read_results():
    """Return the results in the recordings of real accounts; later recordings replace earlier ones."""
    results: dict[str, bool] = {}
    for path in sorted(RECORDED.glob("*.jsonl")):
        header, *rows = map(json.loads, path.read_text().splitlines())
        assert not header["sandbox"], f"{path.name} was recorded in a sandbox: remove it"
        results |= {row["assumption"]: row["holds"] for row in rows if "assumption" in row}
    return {name: "holds" if holds else "**wrong**" for name, holds in results.items()}


def test_documentation_lists_all_assumptions():
    """`WRITE_DOCS=1` updates the page."""
    results = read_results()
    rows = "\n".join(
        f"| `{row.id}`: {row.belief} | {row.evidence} | {row.damage} | {row.handling} "
        f"| `{find_step(row.id)}`{': ' if row.id in results else ''}{results.get(row.id, '')} |"
        for row in ASSUMPTIONS.values()
    )
    settled = f"Recordings of real accounts settle {len(results)} of {len(ASSUMPTIONS)} of them."
    expected = _PAGE.format(state=settled if results else _NO_RECORDING, rows=rows)
    page = DOCS / "assumptions.md"
    if os.environ.get("WRITE_DOCS"):
        page.write_text(expected)
    assert page.read_text() == expected


def test_guide_lists_all_steps_and_options():
    guide = (DOCS / "live.md").read_text()
    assert re.findall(r"^\| `([a-z][a-z-]*)` \|", guide, re.MULTILINE) == [*STEPS]
    for option in vars(parse([])):
        assert f"--{option.replace('_', '-')}" in guide
