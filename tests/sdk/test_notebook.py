"""Objects as HTML in notebooks: complete, escaped, and without calls."""

import re
import time
from html.parser import HTMLParser

import nbformat
import pytest

from tests.sdk.losses import write_losses
from tests.sdk.notebooks import start
from tunestack import Check, ConfigError, Tuner, Verdict
from tunestack._utils.formatting import utc_text
from tunestack._utils.html import Markup, tag
from tunestack.backends.base import Checks
from tunestack.catalog import CATALOG
from tunestack.records import check
from tunestack.report import create_report


def to_text(html):
    """Return the text of HTML, and check that all elements are closed."""
    parser = _Parser()
    parser.feed(html)
    assert parser.still_open == []
    return "\n".join(parser.texts)


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts: list[str] = []
        self.still_open: list[str] = []

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        if tag not in ("img", "wbr"):
            self.still_open.append(tag)

    def handle_endtag(self, tag):
        assert self.still_open.pop() == tag


def count_calls(requests):
    return sum(requests.sdk_counts.values())


def test_job_endpoint_and_model_are_shown_without_calls(job, tuner, requests):
    endpoint = job.start_endpoint()
    model = tuner.custom_model(job.model)
    listed = next(tuner.jobs())
    before = count_calls(requests)
    shown = {one: to_text(one._repr_html_()) for one in (job, endpoint, model, listed)}
    assert count_calls(requests) == before
    for expected in (job.name, job.id, job.model, "succeeded", utc_text(job.info.created)):
        assert expected in shown[job]
    for expected in (endpoint.name, endpoint.id, "on-demand", "ready"):
        assert expected in shown[endpoint]
    assert model.id in shown[model]


def test_running_job_that_was_just_submitted_is_shown_without_calls(tuner, chat, requests):
    job = tuner.submit("nova-micro", chat)
    before = count_calls(requests)
    assert "pending" in to_text(job._repr_html_())
    assert count_calls(requests) == before


def test_cost_is_shown_with_all_lines(tuner, chat):
    cost = tuner.cost("nova-micro", chat)
    text = to_text(cost._repr_html_())
    for line in cost.lines():
        what, _, amount = line.partition(": ")
        assert what in text
        assert amount in text


def test_checks_of_preflight_are_a_table(tuner):
    checks = tuner.preflight("nova-micro")
    assert isinstance(checks, Checks)
    text = to_text(checks._repr_html_())
    for one in checks:
        assert one.name in text
        assert one.detail in text
    assert checks[0].detail in to_text(checks[0]._repr_html_())


def test_report_on_data_has_problems_and_lengths(chat):
    (model,) = [model for model in CATALOG if model.key == "nova-micro"]
    rows = [*chat, {"messages": []}]
    report = check(rows, model)
    text = to_text(report._repr_html_())
    assert "21 records (chat) for nova-micro" in text
    assert "invalid" in text
    assert str(report.errors[0]) in text
    assert f"{report.tokens.total:,}" in text


def test_report_on_a_job_has_the_chart_as_an_image(tuner, chat):
    job = tuner.submit(
        "nova-micro", chat, validation_data=chat[:8], hyperparameters={"epochCount": 5}
    ).wait()
    write_losses(job)
    html = create_report(job)._repr_html_()
    assert "3 epochs would have been enough" in to_text(html)
    assert re.search(r'<img alt="loss by step[^"]+" src="data:image/svg\+xml;base64,', html)


def test_text_is_escaped():
    mark = "<img src=x onerror=alert(1)>"
    failed = Check(name=mark, verdict=Verdict.FAIL, detail=mark, fix=mark, link="https://x.test/")
    html = Checks([failed])._repr_html_()
    assert "<img" not in html
    assert to_text(html).count(mark) == 3
    assert f"{mark}: https://x.test/" in to_text(html)
    assert tag("a", Markup("<b>x</b>"), title='"<') == '<a title="&quot;&lt;"><b>x</b></a>'


def test_progress_receives_each_observation(tuner, chat):
    seen: list[str] = []
    job = tuner.submit("nova-micro", chat).wait(progress=lambda info: seen.append(info.description))
    assert seen[0] == "pending (validation)"
    assert "running (training)" in seen
    assert seen[-1] == "succeeded"
    assert job.info.model


def test_progress_without_notebook_and_terminal_is_logged(tuner, chat, capsys, caplog):
    caplog.set_level("INFO", "tunestack")
    job = tuner.submit("nova-micro", chat).wait(progress=True)
    assert capsys.readouterr().err == ""
    assert f"job {job.name} is succeeded" in caplog.text


@pytest.mark.campaign
def test_progress_in_a_notebook_updates_one_line(sandbox, tuner, chat, tmp_path):
    job = tuner.submit("nova-micro", chat)
    code = (
        "from tunestack import Poll, Tuner\n"
        f"job = Tuner(poll=Poll(first=0.1, longest=0.1)).job({job.id!r})\n"
        "open('started', 'w').close()\n"
        "job.wait(progress=True)"
    )
    source, target = tmp_path / "source.ipynb", tmp_path / "target.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, source)
    with start(source, target) as process:
        # The kernel polls in real time. The first poll shows the job as pending.
        while process.poll() is None:
            time.sleep(0.5)
            if (tmp_path / "started").exists():
                sandbox.clock.advance(600)
        assert process.returncode == 0, process.stderr.read()
    notebook = nbformat.read(target, as_version=4)
    line, result = notebook.cells[0].outputs
    assert line.output_type == "display_data"
    assert "<b>succeeded</b>" in line.data["text/html"]
    assert f"job {job.name}: " in line.data["text/html"]
    assert job.name in to_text(result.data["text/html"])


@pytest.mark.parametrize("progress", ["yes", None, 1])
def test_invalid_progress_is_an_error(job, progress):
    with pytest.raises(ConfigError, match="use True, False or a function"):
        Tuner().job(job.id).wait(progress=progress)
