"""The report of a job: each number and text is that of the job."""

import hashlib
import re
from html.parser import HTMLParser

import boto3
import pytest

from tests.sdk.losses import TRAINING, VALIDATION, write_losses
from tunestack import EndpointCostWarning, JobState
from tunestack._utils.formatting import utc_text
from tunestack.errors import ConfigError
from tunestack.records import check
from tunestack.report import create_report
from tunestack.report.scores import Scores
from tunestack.spec.cost import usd_text

EVALUATION = {
    "data": "test.jsonl",
    "records": 120,
    "scores": {
        "exact match": {"base": {"value": 0.41, "low": 0.33, "high": 0.5}, "fine-tuned": 0.78},
        "F1": {"fine-tuned": 0.83},
    },
    "notes": ["p = 0.0004 (McNemar's test)"],
}


class Page(HTMLParser):
    """A page as tables, sections, ids and text."""

    VOID = ("meta", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.sections: dict[str, list[str]] = {}
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "caption":
            self.rows: list[list[str]] = []
            self.caption = ""
        if tag == "section":
            self.section = dict(attrs)["aria-labelledby"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "caption":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "title", "desc"):
            return
        self.text.append(data)
        if "section" in self.open:
            self.sections.setdefault(self.section, []).append(data)
        if "caption" in self.open:
            self.caption += data
        elif {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    def rows_of(self, caption):
        """Return the rows of a table by their first cell."""
        return {first: others for first, *others in self.tables[caption]}

    def section_text(self, name):
        return "\n".join(self.sections[name])


@pytest.fixture
def overfitted(tuner, chat):
    job = tuner.submit(
        "nova-micro", chat, validation_data=chat[:8], hyperparameters={"epochCount": 5}
    ).wait()
    write_losses(job)
    return job


@pytest.fixture
def stored(overfitted):
    """Return the training and validation files of the job."""
    info = overfitted.info
    files = []
    for uri in (info.training_data, info.validation_data):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        files.append(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return files


def test_report_has_the_profile_of_the_stored_data(overfitted, stored, tmp_path):
    report = create_report(overfitted)
    page = Page(report.html())
    expected = []
    for name, content in zip(("training", "validation"), stored, strict=True):
        path = tmp_path / name
        path.write_bytes(content)
        expected.append(check(path, overfitted.base))
    rows = page.rows_of("Data")
    assert rows["in the file"] == ["training", "validation"]
    assert rows["records"] == ["20", "8"] == [str(one.records) for one in expected]
    assert rows["tokens"] == [f"{one.tokens.total:,}" for one in expected]
    assert rows["longest"] == [f"{one.tokens.max:,}" for one in expected]
    assert rows["bytes"] == [f"{len(content):,}" for content in stored]
    lengths = page.rows_of("Records of training data by length")
    assert sum(int(count) for count, *_ in list(lengths.values())[1:]) == 20


def test_report_has_the_lineage_from_the_hash_of_the_data_to_the_endpoint(
    overfitted, stored, tuner
):
    endpoint = overfitted.start_endpoint()
    page = Page(create_report(overfitted).html())
    text = page.section_text("lineage")
    info, model = overfitted.info, tuner.custom_model(overfitted.model)
    positions = [
        text.index(part)
        for part in (
            hashlib.sha256(stored[0]).hexdigest(),
            info.training_data,
            hashlib.sha256(stored[1]).hexdigest(),
            info.validation_data,
            "Nova Micro",
            info.id,
            utc_text(info.created),
            utc_text(info.ended),
            "tunestack:stage=dev",
            model.id,
            endpoint.id,
            "ready",
        )
    ]
    assert positions == sorted(positions)


def test_report_has_the_losses_and_the_hint(overfitted):
    text = create_report(overfitted).html()
    page = Page(text)
    assert "3 epochs would have been enough (of 5)" in text
    assert page.rows_of("Loss at the end of each epoch")["5"] == [
        "25",
        f"{TRAINING[-1]:.4f}",
        f"{VALIDATION[-1]:.4f}",
    ]
    # For wide and narrow screens.
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert [chart["class"] for chart in charts] == ["chart wide", "chart narrow"]
    assert "lowest 1." in charts[0]["aria-label"]


def test_report_has_the_estimated_cost_with_the_source_of_each_price(overfitted, tuner, chat):
    estimated = tuner.cost("nova-micro", chat, hyperparameters={"epochCount": 5})
    low, high = map(usd_text, estimated.training_usd_range)
    report = create_report(overfitted)
    assert report.cost == estimated
    rows = Page(report.html()).rows_of("Cost")
    assert rows["training"] == [
        usd_text(estimated.training_usd),
        f"estimated, {low} to {high}: {estimated.tokens} tokens x 5 epochs at ${report.prices['training'].usd:.2f} per million tokens",
    ]
    assert rows["storing the model"][0] == usd_text(estimated.storage_usd_a_month)
    prices = Page(report.html()).rows_of("Prices")
    assert "per million tokens trained" in prices["training"][1]
    for kind, price in report.prices.items():
        assert prices[kind][0] == usd_text(price.usd)
        assert price.source in prices[kind][1]
        assert str(price.seen or "undated") in prices[kind][1]


def test_report_has_the_cost_of_provisioned_throughput_so_far(llama, sandbox):
    with pytest.warns(EndpointCostWarning):
        endpoint = llama.start_endpoint()
    endpoint.refresh()
    sandbox.clock.advance(2 * 3600)
    report = create_report(llama)
    hours = (report.created - endpoint.info.created).total_seconds() / 3600
    assert hours > 2
    price = report.prices["provisioned"].usd
    amount, how = Page(report.html()).rows_of("Cost")[f"endpoint {endpoint.name}"]
    assert amount == usd_text(hours * price)
    assert f"1 model unit at ${price:,.2f} an hour" in how
    endpoint.stop()


def test_report_has_the_hyperparameters_with_defaults_and_ranges(overfitted):
    rows = Page(create_report(overfitted).html()).rows_of("Hyperparameters")
    assert rows["epochCount"] == ["5", "2", "1 to 5"]
    assert rows["learningRateWarmupSteps"] == ["10", "10", "0 to 100"]


def test_report_at_openai_has_the_actual_cost(tuner, chat):
    job = tuner.submit("gpt-4.1-mini-2025-04-14", chat, validation_data=chat[:10]).wait()
    report = create_report(job)
    info = job.info
    price = report.prices["training"].usd
    assert info.trained_tokens
    amount, how = Page(report.html()).rows_of("Cost")["training"]
    assert amount == usd_text(info.trained_tokens * price / 1e6)
    assert how.startswith(f"actual: {info.trained_tokens:,} tokens")
    assert report.training_data is not None
    assert report.training_data.report.records == 20
    assert report.validation_data is not None
    assert report.unread == {}


def test_report_of_preferences_counts_the_records(tuner):
    preferences = [
        {
            "input": {"messages": [{"role": "user", "content": f"Question {number}"}]},
            "preferred_output": [{"role": "assistant", "content": "Yes, please."}],
            "non_preferred_output": [{"role": "assistant", "content": "No."}],
        }
        for number in range(10)
    ]
    job = tuner.submit("gpt-4.1-mini-2025-04-14", preferences, method="dpo").wait()
    report = create_report(job)
    assert report.training_data is not None, report.unread
    assert report.training_data.report.ok
    assert report.training_data.report.records == 10


def test_report_has_the_evaluation(job):
    page = Page(create_report(job, evaluation=EVALUATION).html())
    rows = page.rows_of("Scores on test.jsonl, 120 records")
    assert rows == {
        "metric": ["base", "fine-tuned"],
        "exact match": ["0.41 0.33 to 0.5", "0.78 "],
        "F1": ["-", "0.83 "],
    }
    assert "p = 0.0004 (McNemar's test)" in page.section_text("evaluation")


def test_report_has_the_result_of_evaluate(job):
    result = {
        "models": [
            {"name": "job", "values": {"exact": 0.5}, "intervals": {"exact": [0.25, 0.75]}},
            {"name": "base", "values": {"exact": 0.25}, "intervals": {}},
        ],
        "records": 40,
        "sentences": ["better than base by 25.0 points of exact"],
        "gates": [{"gate": "exact >= 0.4", "passed": True, "detail": "0.5"}],
        "notes": [],
    }
    page = Page(create_report(job, evaluation=result).html())
    assert page.rows_of("Scores on 40 records") == {
        "metric": ["job", "base"],
        "exact": ["0.5 0.25 to 0.75", "0.25 "],
    }
    text = page.section_text("evaluation")
    assert "better than base by 25.0 points of exact" in text
    assert "passed: exact >= 0.4: 0.5" in text


@pytest.mark.parametrize(
    "evaluation",
    [
        {},
        {"models": [{"name": "job"}]},
        {"models": [1]},
        {"models": []},
        {"scores": {}},
        {"scores": {"F1": 0.5}},
        {"scores": {"F1": {"base": "good"}}},
        {"scores": {"F1": {"base": True}}},
        {"scores": {"F1": {"base": float("nan")}}},
        {"scores": {"F1": {"base": {"low": 1}}}},
        {"scores": {"F1": {"base": {"value": 1, "low": "x"}}}},
        {"scores": {"F1": {"base": 1}}, "records": "many"},
        {"scores": {"F1": {"base": 10**400}}},
        {"scores": {"F1": {"base": {"value": 1, "high": -(10**400)}}}},
    ],
    ids=lambda evaluation: str(evaluation)[:60],
)
def test_invalid_evaluation_is_rejected_with_an_example(job, evaluation):
    with pytest.raises(ConfigError, match=r'use \{"data"'):
        create_report(job, evaluation=evaluation)


@pytest.mark.parametrize("name", ["notes", "sentences"])
@pytest.mark.parametrize("value", [5, {"a": 1}, True])
def test_invalid_notes_of_an_evaluation_are_errors(name, value):
    model = {"name": "base", "model": "x", "values": {"F1": 0.5}}
    with pytest.raises(ConfigError, match=f"invalid {name} .* of an evaluation: use a list"):
        Scores.from_mapping({"models": [model], name: value})
    if name == "notes":
        with pytest.raises(ConfigError, match=f"invalid {name}"):
            Scores.from_mapping({"scores": {"F1": {"base": 0.5}}, name: value})


@pytest.mark.parametrize(
    ("notes", "read"), [("one", ("one",)), (["a", "b"], ("a", "b")), (None, ())]
)
def test_notes_of_an_evaluation_are_a_text_or_a_list(notes, read):
    model = {"name": "base", "model": "x", "values": {"F1": 0.5}}
    assert Scores.from_mapping({"models": [model], "sentences": notes}).notes == read
    assert Scores.from_mapping({"scores": {"F1": {"base": 0.5}}, "notes": notes}).notes == read


def test_report_of_a_running_job_says_so(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    page = Page(create_report(job).html())
    assert any("this report shows what is known so far" in text for text in page.text)
    assert "none, the job is" in page.section_text("losses")
    assert page.rows_of("Data")["records"] == ["20"]


def test_report_of_a_failed_job_has_the_reason(tuner, chat, sandbox):
    sandbox.faults.add("internal-failure", times=1)
    job = tuner.submit("nova-micro", chat)
    tuner.wait_all([job])
    page = Page(create_report(job).html())
    assert job.info.state is JobState.FAILED
    assert job.info.failure in page.text
    how = page.rows_of("Cost")["training"][1]
    assert how.endswith("at most, because the job did not complete")
    assert "none, the job is failed" in page.section_text("losses")


def test_all_text_is_escaped(job):
    mark = "<script>alert('1')</script>"
    evaluation = {"data": mark, "scores": {mark: {mark: 1}}, "notes": [mark]}
    text = create_report(job, evaluation=evaluation).html()
    assert "<script" not in text
    page = Page(text)
    assert page.rows_of(f"Scores on {mark}") == {"metric": [mark], mark: ["1 "]}


def test_parts_that_can_not_be_read_are_named_with_the_reason(overfitted, inject_error):
    inject_error("ListTagsForResource", "AccessDeniedException", times=5)
    bucket, _, key = overfitted.info.training_data.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    versions = client.list_object_versions(Bucket=bucket, Prefix=key)
    for version in versions.get("Versions", ()):
        client.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    report = create_report(overfitted)
    assert report.unread.keys() == {"training data", "tags"}
    page = Page(report.html())
    assert report.unread["training data"] in page.section_text("data")
    assert page.rows_of("Cost")["training"][0] == "unknown"


def test_report_without_data_reads_no_data(overfitted, requests):
    before = requests.sdk_counts.copy()
    report = create_report(overfitted, read_data=False)
    # The two files of losses.
    assert (requests.sdk_counts - before)["s3", "GetObject"] == 2
    assert report.training_data is None
    assert "not read" in Page(report.html()).section_text("data")


def test_report_creates_and_changes_nothing(overfitted, requests):
    before = requests.sdk_counts.copy()
    create_report(overfitted)
    verbs = {name for _, name in requests.sdk_counts - before}
    assert all(re.match("Get|List|Describe", name) for name in verbs), verbs


def test_page_loads_nothing_and_is_accessible(overfitted):
    text = create_report(overfitted, evaluation=EVALUATION).html()
    page = Page(text)
    tags = dict(page.tags)
    assert not {"script", "link", "img", "iframe"} & tags.keys()
    assert not re.search(r"url\(|@import|src=|href=", text)
    policies = [attributes.get("content") for tag, attributes in page.tags if tag == "meta"]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policies
    assert tags["html"]["lang"] == "en"
    assert "width=device-width" in text
    for tag, attributes in page.tags:
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    captions = sum(tag == "caption" for tag, _ in page.tags)
    assert captions == sum(tag == "table" for tag, _ in page.tags) > 5
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
