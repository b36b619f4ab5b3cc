"""The example notebooks and docs/report.md work as they are shown."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.day import AS_OF
from tests.sdk.notebooks import start
from tunestack.report import Scores
from tunestack_sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {
    "fine_tuning.ipynb": "'repairs'",
    "compare_epochs.ipynb": "better than base by 100.0 points of exact match",
}
"""The notebooks, and an output of each."""
PAGE = (ROOT / "docs" / "report.md").read_text()


def read_outputs(path):
    """Return the kinds of the outputs of each cell."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [
        [(output.output_type, sorted(output.get("data", ()))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_of_the_notebook_are_kept(name):
    notebook = ROOT / "examples" / name
    kinds = {kind for cell in read_outputs(notebook) for kind, _ in cell}
    assert kinds <= {"execute_result", "display_data", "stream"}
    text = notebook.read_text()
    assert "3 epochs would have been enough (of 5)" in text
    assert NOTEBOOKS[name] in text
    assert str(ROOT) not in text


def test_evaluation_of_the_page_is_valid():
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    evaluation = Scores.from_mapping(json.loads(example))
    assert evaluation.models == ["base", "fine-tuned"]


def test_images_of_the_page_are_small():
    images = re.findall(r"!\[[^\]]{20,}\]\((images/\S+)\)", PAGE)
    assert len(images) == 2
    for image in images:
        assert 10_000 < (ROOT / "docs" / image).stat().st_size < 150_000


@pytest.fixture
def fast_sandbox(count_traffic):
    with Sandbox(speed=10_000, as_of=AS_OF) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.refused + sandbox.traffic.violations == []


@pytest.mark.campaign
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_has_the_outputs_that_are_shown(fast_sandbox, tmp_path, name):
    (tmp_path / "tickets.py").symlink_to(ROOT / "examples" / "tickets.py")
    source, target = ROOT / "examples" / name, tmp_path / name
    process = start(source, target, env=fast_sandbox.environment())
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert read_outputs(target) == read_outputs(source)
    text = target.read_text()
    assert "3 epochs would have been enough (of 5)" in text
    assert NOTEBOOKS[name] in text
    if "report.html" in text:
        report = (tmp_path / "report.html").read_text()
        assert "3 epochs would have been enough (of 5)" in report


@pytest.mark.campaign
def test_python_of_the_page_works(fast_sandbox, tmp_path):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    submit = (
        "from tunestack import Tuner\n"
        f"import sys; sys.path.insert(0, {str(ROOT / 'examples')!r})\n"
        "from tickets import make_records\n"
        "rows = make_records()\n"
        "hyperparameters = {'epochCount': 5}\n"
        "Tuner().submit('nova-micro', rows[::2], validation_data=rows[1::2], hyperparameters=hyperparameters).wait()\n"
    )
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", submit + code],
        cwd=tmp_path,
        env=fast_sandbox.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("Overfitting(step=12, ")
    assert (tmp_path / "losses.svg").read_text().startswith("<svg ")
