"""Tags that a job gets after its creation."""

import json

import pytest

from tests.sdk.test_cli_schema import check
from tunestack import ConfigError, QuotaError

GPT = "openai/gpt-4o-mini-2024-07-18"


def test_tags_are_added_and_replaced(tuner, chat):
    job = tuner.submit("nova-micro", chat, tags={"team": "support", "kept": "no"})
    tags = job.add_tags({"kept": "yes", "reviewed by": "ana"})
    assert tags == job.tags()
    assert (tags["team"], tags["kept"], tags["reviewed by"]) == ("support", "yes", "ana")
    assert tags["tunestack:stage"] == "dev"
    assert [found.id for found in tuner.jobs(tags={"kept": "yes"})] == [job.id]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"tunestack:stage": "prod"}, "reserved"),
        ({"aws:x": "1"}, "reserved"),
        ({"team": "Zürich"}, "invalid tag"),
        (["team"], "use a mapping"),
    ],
)
def test_invalid_tags_are_refused_and_change_nothing(tuner, chat, tags, message):
    job = tuner.submit("nova-micro", chat)
    before = job.tags()
    with pytest.raises(ConfigError, match=message):
        job.add_tags(tags)
    assert job.tags() == before


def test_more_tags_than_aws_allows_are_refused(tuner, chat):
    job = tuner.submit("nova-micro", chat, tags={f"a{number}": "1" for number in range(40)})
    with pytest.raises(QuotaError):
        job.add_tags({f"b{number}": "1" for number in range(20)})


def test_job_at_openai_can_not_get_tags(tuner, chat):
    job = tuner.submit(GPT, chat, tags={"team": "support"})
    assert job.tags()["team"] == "support"
    with pytest.raises(ConfigError, match="can't get tags: OpenAI does not support that"):
        job.add_tags({"team": "search"})


def test_command_adds_and_shows_tags(cli, tuner, chat):
    job = tuner.submit("nova-micro", chat)
    code, out, _ = cli("jobs", "tag", job.name, "team=search", "--json")
    assert code == 0
    document = json.loads(out)
    check(document, "tags")
    assert document["team"] == "search"
    lines = cli("jobs", "tag", "latest")[1].splitlines()
    assert ["team", "search"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [(("team",), "'team' is not NAME=VALUE"), (("a=1", "a=2"), "'a' is given twice")],
)
def test_invalid_pairs_are_usage_errors(cli, tuner, chat, pairs, message):
    job = tuner.submit("nova-micro", chat)
    code, _, err = cli("jobs", "tag", job.name, *pairs)
    assert code == 2
    assert message in err
