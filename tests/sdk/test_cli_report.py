"""`tunestack jobs metrics` and `jobs report`."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from tests.parameters import every
from tests.sdk.losses import TRAINING, VALIDATION, write_losses
from tunestack.report import create_report


@pytest.fixture
def overfitted(tuner, chat):
    job = tuner.submit(
        "nova-micro", chat, validation_data=chat[:8], hyperparameters={"epochCount": 5}
    ).wait()
    write_losses(job)
    return job


@pytest.fixture
def other(tuner, completions):
    return tuner.submit("nova-micro", completions, name="other").wait()


def test_chart_has_the_losses_and_a_warning(cli, overfitted):
    code, out, err = cli("jobs", "metrics", "latest", "--chart")
    assert code == 0
    assert f"training: {TRAINING[-1]:.4g} at step 25" in out
    assert f"validation: {VALIDATION[-1]:.4g} at step 25, lowest 1 at step 13" in out
    assert err.startswith(f"warning: job {overfitted.name}: validation loss rises from step 14 on")
    assert "3 epochs would have been enough (of 5): submit with epochCount=3" in err


def test_rows_in_a_pipe_are_those_of_the_job(cli, overfitted):
    _, out, err = cli("jobs", "metrics", overfitted.id, "--json")
    assert [json.loads(line) for line in out.splitlines()] == [
        dict(r) for r in overfitted.metrics()
    ]
    assert json.loads(err)["level"] == "warning"
    assert len(cli("jobs", "metrics", overfitted.id)[1].splitlines()) == 50


def test_range_of_steps_has_the_warning_of_all(cli, overfitted):
    steps = ("--from-step", "10", "--to-step", "12")
    _, out, err = cli("jobs", "metrics", overfitted.id, "--json", *steps)
    assert [json.loads(line)["step_number"] for line in out.splitlines()] == [10, 11, 12] * 2
    assert "validation loss rises from step 14 on" in err
    _, out, _ = cli("jobs", "metrics", overfitted.id, "--chart", *steps)
    assert f"training: {TRAINING[11]:.4g} at step 12" in out
    assert cli("jobs", "metrics", overfitted.id, "--from-step", "26")[1] == ""


def test_rows_of_several_jobs_have_their_job(cli, overfitted, other):
    _, out, _ = cli("jobs", "metrics", overfitted.id, other.id, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row.pop("job") for row in rows] == [overfitted.id] * 50 + [other.id] * len(
        other.metrics()
    )
    assert rows[50:] == [dict(row) for row in other.metrics()]


def test_chart_of_several_jobs_names_them(cli, overfitted, other):
    _, out, _ = cli("jobs", "metrics", overfitted.id, other.id, "--chart")
    text = " ".join(out.split())
    assert f"* {overfitted.name}: {TRAINING[-1]:.4g} at step 25" in text
    assert f"o {other.name}: {other.info.training_loss:.4g} at step" in text
    assert text.startswith("training loss")
    assert "validation loss" in text


@pytest.mark.parametrize(
    ("name", "start"), [("x.svg", b"<svg "), ("x.png", b"\x89PNG"), ("x.HTML", b"<!doctype html>")]
)
def test_chart_is_written_to_a_file(cli, overfitted, tmp_path, name, start):
    path = tmp_path / name
    code, out, err = cli("jobs", "metrics", overfitted.id, "--output", str(path))
    assert (code, out) == (0, "")
    assert path.read_bytes().startswith(start)
    assert f"the chart is in {path}" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.pdf", "use .svg, .png or .html"), ("none/x.svg", "can't be written: No such file")],
)
def test_invalid_file_of_a_chart_is_an_error(cli, overfitted, tmp_path, name, message):
    code, _, err = cli("jobs", "metrics", overfitted.id, "-o", str(tmp_path / name))
    assert code == 2
    assert message in err


def test_no_chart_in_these_steps_is_a_warning(cli, overfitted, tmp_path):
    path = tmp_path / "x.svg"
    code, out, err = cli("jobs", "metrics", overfitted.id, "-o", str(path), "--from-step", "9999")
    assert (code, out) == (0, "")
    assert f"warning: {path} is not written: there are no losses in these steps" in err
    assert not path.exists()


TRACKERS = {
    "mlflow": (
        "class MlflowException(Exception): ...\ndef start_run(**_): raise MlflowException('API request failed')\n",
        "can't be logged to MLflow: MlflowException: API request failed: check the server",
    ),
    "wandb": (
        "class Error(Exception): ...\ndef init(**_): raise Error('No API key configured.')\n",
        "can't be logged to Weights & Biases: Error: No API key configured: check WANDB_API_KEY",
    ),
}


@pytest.fixture(params=TRACKERS)
def failing_tracker(request, tmp_path, monkeypatch):
    """Install a package of a tracker that fails to connect, and return its name and the message."""
    name = request.param
    code, message = TRACKERS[name]
    package = tmp_path / "packages" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    (package / "entities.py").write_text("Metric = None\n")
    monkeypatch.syspath_prepend(package.parent)
    yield name, message
    for module in (name, f"{name}.entities"):
        sys.modules.pop(module, None)


def test_tracker_that_fails_is_an_error_with_a_remedy(cli, overfitted, failing_tracker):
    name, message = failing_tracker
    code, out, err = cli("jobs", "metrics", overfitted.id, "--log-to", name)
    assert (code, out) == (3, "")
    assert f"job '{overfitted.name}' {message}" in err


def test_file_name_is_checked_before_a_job_is_logged(cli, overfitted, failing_tracker, tmp_path):
    output = str(tmp_path / "x.jpg")
    arguments = ("--log-to", failing_tracker[0], "--output", output)
    code, _, err = cli("jobs", "metrics", overfitted.id, *arguments)
    assert (code, "use .svg, .png or .html" in err) == (2, True)


def test_job_without_losses_says_its_state(cli, tuner, chat):
    job = tuner.submit("nova-micro", chat)
    code, out, err = cli("jobs", "metrics", job.id, "--chart")
    assert (code, out) == (0, "")
    assert f"job {job.name} has no losses: it is pending (validation)" in err


@pytest.mark.parametrize("columns", every(3, [40, 80, 120]))
@pytest.mark.parametrize("color", [True, False])
def test_chart_in_a_terminal_fits(sandbox, overfitted, columns, color):
    reader, writer = pty.openpty()
    environment = {
        **os.environ,
        **sandbox.variables(),
        "COLUMNS": str(columns),
        "TERM": "xterm-256color",
        "PYTHONIOENCODING": "utf-8",
    }
    environment |= {} if color else {"NO_COLOR": "1"}
    command = [sys.executable, "-m", "tunestack", "jobs", "metrics", overfitted.id]
    with subprocess.Popen(command, stdout=writer, env=environment) as run:
        os.close(writer)
        output = b""
        while chunk := read_terminal(reader):
            output += chunk
        assert run.wait() == 0
    text = output.decode()
    assert ("\033[" in text) is color
    # Braille needs colors to tell the lines apart.
    assert bool(re.search("[\u2801-\u28ff]", text)) is color
    lines = re.sub(r"\033\[\d*m", "", text).splitlines()
    assert max(map(len, lines)) <= columns


def read_terminal(reader):
    try:
        return os.read(reader, 65536)
    except OSError:  # closed
        os.close(reader)
        return b""


def test_report_is_written_to_a_file(cli, overfitted, tmp_path):
    path = tmp_path / "report.html"
    result = tmp_path / "result.json"
    result.write_text('{"scores": {"accuracy": {"base": 0.61}}}')
    code, out, err = cli("jobs", "report", "latest", "-o", str(path), "--evaluation", str(result))
    assert (code, out, err) == (0, "", f"the report is in {path}\n")
    text = path.read_text()
    profile = create_report(overfitted).training_data
    assert profile is not None
    assert profile.sha256 in text
    assert "0.61" in text


def test_report_is_named_after_the_job(cli, overfitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("jobs", "report", overfitted.id)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{overfitted.name}.html"]


def test_report_as_json_has_the_numbers_and_writes_no_file(cli, overfitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("jobs", "report", overfitted.id, "--json", "--no-data")
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    report = json.loads(out)
    assert report["info"]["id"] == overfitted.id
    assert report["hyperparameters"]["epochCount"] == "5"
    assert list(report["losses"]["validation"].values()) == VALIDATION
    assert report["training_data"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "is not a JSON file"),
        ("[" * 5000, "is not a JSON file"),
        ("[]", 'use {"data"'),
    ],
    ids=["missing", "not JSON", "too deep", "list"],
)
def test_invalid_evaluation_file_is_an_error(cli, overfitted, tmp_path, content, message):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    code, _, err = cli("jobs", "report", overfitted.id, "--evaluation", str(path))
    assert code == 2
    assert message in err


def test_part_that_can_not_be_read_is_a_warning(cli, overfitted, inject_error, tmp_path):
    inject_error("ListTagsForResource", "AccessDeniedException", times=5)
    code, _, err = cli("jobs", "report", overfitted.id, "-o", str(tmp_path / "x.html"))
    assert code == 0
    assert "warning: the report has no tags: " in err
