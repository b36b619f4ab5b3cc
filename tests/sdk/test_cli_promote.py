"""`promote` and `evaluate` accept the same ids of jobs as the commands of jobs."""

import json

import pytest

from tests.sdk.terminal import run_in_terminal
from tunestack.cli.identifiers import short_id


@pytest.mark.parametrize("form", ["latest", "short", "name"])
def test_job_is_promoted_by_latest_short_id_and_name(cli, job, tuner, form):
    text = {"latest": "latest", "short": short_id(job.id), "name": job.name}[form]
    tuner.promote(job.id, f"bot-{form}")
    code, out, err = cli("promote", text, "--to", f"bot-{form}", "--json")
    assert code == 0, err
    assert json.loads(out)["model"] == job.model


def test_latest_without_a_job_says_what_to_do(cli, sandbox):
    code, _, err = cli("promote", "latest", "--to", "bot")
    assert code == 3
    assert "this region has no jobs: submit one with `tunestack submit FILE --model MODEL`" in err


@pytest.mark.parametrize("form", ["latest", "short"])
def test_job_is_evaluated_by_latest_and_short_id(cli, folder, job, form):
    job.start_endpoint()
    text = {"latest": "latest", "short": short_id(job.id)}[form]
    code, out, err = cli("evaluate", "train.jsonl", "-m", text, "--limit", "2", "--no-store")
    assert code == 0, err
    assert "exact_match" in out


@pytest.mark.parametrize("columns", [80, 100])
def test_price_of_running_costs_is_shown_beside_stored_data(job, columns):
    code, terminal = run_in_terminal("cost", "--running", columns=columns)
    assert code == 0
    assert "PRICE" in terminal.text.splitlines()[0]
    assert "s3://.../datasets/" in terminal.text


def test_cost_has_the_price_of_storage_once(cli, folder):
    line = next(
        line
        for line in cli("cost", "train.jsonl", "-m", "nova-micro")[1].splitlines()
        if line.startswith("storing the model: ")
    )
    assert line.count("$") == 1
    assert line.startswith("storing the model: $1.96 a month (price list of ")
