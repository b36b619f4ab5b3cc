"""Evaluations and charts in notebooks."""

import re

import pytest

from tests.sdk.losses import write_losses
from tests.sdk.test_notebook import to_text
from tunestack.report import Losses, create_charts


@pytest.fixture
def evaluation(job, chat, tmp_path):
    job.start_endpoint()
    yield job.evaluate(
        chat, against=["base"], require=["exact_match>=base"], cache=tmp_path, store=False
    )
    job.stop_endpoint()


def test_evaluation_is_a_table_with_its_comparisons(evaluation):
    html = evaluation._repr_html_()
    assert html.count("<tr>") == 3
    text = to_text(html)
    for expected in ("exact match", "100.0 (100.0 to 100.0)", "base", "unknown"):
        assert expected in text
    for line in (*evaluation.sentences, "passed: exact_match>=base", "20 of 20 records"):
        assert line in text


def test_charts_of_several_jobs_are_images(tuner, chat):
    jobs = [
        tuner.submit(
            "nova-micro",
            chat,
            validation_data=chat[:8],
            hyperparameters={"epochCount": epochs},
            name=f"{epochs}-epochs",
        ).wait()
        for epochs in (1, 5)
    ]
    for job in jobs:
        write_losses(job)
    charts = create_charts([(job.info, Losses.of(job.metrics(), job.info)) for job in jobs])
    for chart, title in zip(charts, ("training loss", "validation loss"), strict=True):
        html = chart._repr_html_()
        assert title in to_text(html)
        (described,) = re.findall(r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,', html)
        assert "1-epochs-nova-micro" in described
        assert "5-epochs-nova-micro" in described
