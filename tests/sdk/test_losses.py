"""Losses of jobs, and charts of them in a terminal, as SVG and as PNG."""

import struct
from xml.etree import ElementTree as ET

import pytest

from tests.sdk.losses import TRAINING, VALIDATION, write_losses
from tunestack import JobInfo, JobState
from tunestack.report import Losses, create_charts, draw_text, png_file, svg_file

SVG = "{http://www.w3.org/2000/svg}"


def describe(name="a-job", **hyperparameters):
    return JobInfo(
        id=name,
        name=name,
        state=JobState.SUCCEEDED,
        raw_state="Completed",
        base_model="amazon.nova-micro-v1:0:128k",
        hyperparameters=hyperparameters,
    )


def read_losses(validation, *, training=(), per_epoch=None):
    rows = [{"step_number": step, "training_loss": v} for step, v in enumerate(training, 1)]
    for step, value in enumerate(validation, 1):
        row = {"step_number": step, "validation_loss": value}
        rows.append(row | ({"epoch_number": (step - 1) // per_epoch + 1} if per_epoch else {}))
    return rows


@pytest.fixture
def overfitted(tuner, chat):
    job = tuner.submit(
        "nova-micro", chat, validation_data=chat[:8], hyperparameters={"epochCount": 5}
    ).wait()
    write_losses(job)
    return job


def test_losses_of_a_job_are_those_of_its_files(overfitted):
    losses = Losses.of(overfitted.metrics(), overfitted.info)
    assert list(losses.training.values()) == TRAINING
    assert list(losses.validation.values()) == VALIDATION
    assert list(losses.by_epoch()) == [
        (epoch, 5 * epoch, TRAINING[5 * epoch - 1], VALIDATION[5 * epoch - 1])
        for epoch in range(1, 6)
    ]


def test_rising_validation_loss_is_reported_with_the_epochs_that_are_enough(overfitted):
    found = Losses.of(overfitted.metrics(), overfitted.info).overfitting(overfitted.info)
    assert found is not None
    assert found.text == (
        "validation loss rises from step 14 on: it was lowest at step 13 (1), and is 2.44 at step 25: "
        "3 epochs would have been enough (of 5): submit with epochCount=3"
    )


def test_simulated_losses_of_both_providers_do_not_rise(tuner, chat):
    for model in ("nova-micro", "gpt-4.1-mini-2025-04-14"):
        job = tuner.submit(model, chat, validation_data=chat[:10]).wait()
        losses = Losses.of(job.metrics(), job.info)
        assert losses.training
        assert losses.validation.keys() == losses.training.keys()
        assert max(losses.epochs.values()) == int(
            job.info.hyperparameters.get("epochCount") or job.info.hyperparameters["n_epochs"]
        )
        assert losses.overfitting(job.info) is None


def test_simulated_validation_loss_on_bedrock_rises_after_the_third_epoch(tuner, chat):
    job = tuner.submit(
        "nova-micro", chat, validation_data=chat[:8], hyperparameters={"epochCount": 5}
    ).wait()
    losses = Losses.of(job.metrics(), job.info)
    found = losses.overfitting(job.info)
    assert found is not None
    assert (found.enough, found.epochs) == (3, 5)
    assert losses.validation[found.last_step] == job.info.validation_loss


def test_steps_without_epochs_are_divided_by_the_epochs_of_the_job():
    rows = [
        {"step": step, "train_loss": 1.0, "valid_loss": abs(step - 4) / 10 + 1}
        for step in range(1, 13)
    ]
    info = describe(n_epochs="3")
    losses = Losses.of(rows, info)
    assert list(losses.epochs.values()) == [1] * 4 + [2] * 4 + [3] * 4
    found = losses.overfitting(info)
    assert found is not None
    assert (found.step, found.enough, found.parameter) == (4, 1, "n_epochs")
    assert found.text.endswith("1 epoch would have been enough (of 3): submit with n_epochs=1")


def test_epochs_that_are_counted_from_0_are_shown_from_1():
    rows = [{"step_number": n, "epoch_number": n // 2, "training_loss": 1.0} for n in range(4)]
    assert list(Losses.of(rows, describe()).epochs.values()) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "validation",
    [
        [],
        [1.0],
        [1.0, 2.0],
        [2.0, 1.0, 1.01],
        [3.0, 2.0, 1.5, 1.2, 1.0],
        [1 + 0.01 * (-1) ** step for step in range(60)],
        [0.5, 0.0, 0.0, 0.0, 0.0],
        [-0.5, -1.0, -1.0, -1.0, -1.0],
    ],
    ids=["none", "one", "two", "within noise", "falling", "noise", "zero", "negative"],
)
def test_validation_loss_that_does_not_rise_is_not_reported(validation):
    info = describe(epochCount="5")
    assert Losses.of(read_losses(validation, per_epoch=1), info).overfitting(info) is None


def test_validation_loss_that_rises_in_the_last_epoch_does_not_suggest_fewer_epochs():
    info = describe(epochCount="1")
    rows = read_losses([2.0, 1.0, 1.5, 2.0], per_epoch=4)
    found = Losses.of(rows, info).overfitting(info)
    assert found is not None
    assert found.text.endswith("in the last epoch: try a lower learning rate")


def test_values_that_are_not_finite_are_left_out():
    rows = [{"step_number": 1, "training_loss": float("nan")}, {"training_loss": 1.0}]
    losses = Losses.of(rows, describe())
    assert not losses
    assert create_charts([(describe(), losses)]) == []


@pytest.mark.parametrize("epochs", ["1", "3"])
def test_one_step_that_is_0_is_in_the_first_epoch(epochs):
    losses = Losses.of([{"step": 0, "train_loss": 1.0}], describe(n_epochs=epochs))
    assert losses.epochs == {0: 1}


@pytest.mark.parametrize(
    "values",
    [
        [1e17, 1e17],
        [1e99, 1e99],
        [-1e17, -1e17],
        [1e17, 1e17 + 16],
        [0.0, 0.0],
        [0.0, 5e-324],
        [1.0, 1.0 + 2e-16],
        [-1e99, 1e99],
        [1.0, 1e308, -1e308],
    ],
    ids=str,
)
@pytest.mark.parametrize("first", [0, 10**17])
def test_losses_of_every_size_can_be_drawn(values, first):
    info = describe()
    rows = [{"step": first + step, "train_loss": value} for step, value in enumerate(values)]
    charts = create_charts([(info, Losses.of(rows, info))])
    (chart,) = charts
    low, high = chart.y_range
    assert low < high
    assert all(low <= value <= high for _, value in chart.lines[0].points)
    ET.fromstring(svg_file(charts))
    assert all(list(draw_text(chart)))


def create_chart():
    info = describe(epochCount="5")
    losses = Losses.of(read_losses(VALIDATION, training=TRAINING, per_epoch=5), info)
    return create_charts([(info, losses)])


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_chart_fits_the_terminal(width, unicode):
    (chart,) = create_chart()
    lines = list(draw_text(chart, width=width, unicode=unicode))
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert text.isascii() is not unicode
    assert "validation" in text
    assert "lowest 1 at step 13" in text


def test_line_in_a_terminal_is_where_its_values_are():
    info = describe()
    rows = [{"step_number": step, "training_loss": float(step)} for step in range(11)]
    (chart,) = create_charts([(info, Losses.of(rows, info))])
    drawn = list(draw_text(chart, width=24, height=11, unicode=False))[1:12]
    columns = [line.partition("|")[2] for line in drawn]
    # A straight line from the lower left to the upper right corner.
    assert columns[0].rstrip()[-1] == columns[-1][0] == "*"
    firsts = [len(line) - len(line.lstrip()) for line in columns]
    assert firsts == sorted(firsts, reverse=True)
    assert drawn[0].startswith("10 ")


def test_colors_are_used_only_on_request():
    (chart,) = create_chart()
    assert "\033[" not in "".join(draw_text(chart))
    assert "\033[34m" in "".join(draw_text(chart, color=True))


def test_several_jobs_are_compared_in_a_chart_for_each_loss():
    jobs = []
    for name, factor in (("first", 1.0), ("second", 0.5)):
        info = describe(name)
        values = [value * factor for value in TRAINING]
        jobs.append((info, Losses.of(read_losses(values, training=values), info)))
    charts = create_charts(jobs)
    assert [chart.title for chart in charts] == ["training loss", "validation loss"]
    for chart in charts:
        assert [(line.label, line.style) for line in chart.lines] == [("first", 0), ("second", 1)]
        text = "\n".join(draw_text(chart, unicode=True))
        assert "* first: 0.1595 at step 25" in text
        assert "o second: 0.07975 at step 25" in text


def test_svg_file_has_a_title_a_description_and_no_links():
    text = svg_file(create_chart())
    root = ET.fromstring(text)
    chart = root.find(f"{SVG}svg")
    assert chart is not None
    assert chart.get("role") == "img"
    assert chart.findtext(f"{SVG}title") == "loss"
    description = chart.findtext(f"{SVG}desc")
    assert description is not None
    assert "validation: 2.44 at step 1, 2.44 at step 25, lowest 1." in description
    assert chart.get("aria-label") == description
    assert "lowest: 1, step 13" in text
    assert "href" not in text
    assert "prefers-color-scheme: dark" in text


def test_names_in_an_svg_file_are_escaped():
    info = describe('<script>alert("1")</script>&')
    charts = create_charts(
        [(info, Losses.of([{"step": n, "train_loss": n} for n in range(3)], info))] * 2
    )
    text = svg_file(charts)
    assert "<script" not in text
    assert info.name in "".join(ET.fromstring(text).itertext())


def test_many_steps_are_drawn_with_their_peaks():
    info = describe()
    values = [1.0] * 50_000
    values[20_000], values[30_000] = 9.0, 0.1
    charts = create_charts([(info, Losses.of(read_losses((), training=values), info))])
    text = svg_file(charts)
    assert len(text) < 30_000
    assert "lowest 0.1." in text
    (chart,) = charts
    path = next(
        element.get("d")
        for element in ET.fromstring(text).iter(f"{SVG}path")
        if element.get("class") == "line s0"
    )
    assert path is not None
    heights = {float(point.partition(",")[2]) for point in path[1:].split("L")}
    assert len(heights) == 3
    assert chart.y_range[1] >= 9


def test_png_file_has_the_charts_below_each_other():
    (chart,) = create_chart()
    one, two = png_file([chart]), png_file([chart, chart])
    assert one == png_file([chart])
    sizes = [struct.unpack(">II", file[16:24]) for file in (one, two)]
    assert sizes[1] == (sizes[0][0], 2 * sizes[0][1])
