"""`jobs rerun` submits the same job again: the same data, hyperparameters and tags, after a plan and a confirmation."""

import json

import pytest

from tests.sdk.terminal import open_terminal


@pytest.fixture
def original(tuner, chat):
    return tuner.submit(
        "nova-micro",
        chat,
        hyperparameters={"epochCount": 3},
        name="tickets",
        tags={"team": "support"},
    )


def load(cli, *arguments):
    code, out, err = cli(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_job_is_the_next_attempt_with_the_same_data_and_tags(cli, tuner, original):
    again = load(cli, "jobs", "rerun", original.id)
    assert again["id"] != original.id
    # The name has the digest of model, data and hyperparameters.
    assert original.name.endswith("-1")
    assert again["name"] == f"{original.name[:-2]}-2"
    assert again["training_data"] == original.info.training_data
    jobs = {job.id: job.backend.job_tags(job.id) for job in tuner.jobs()}
    assert len(jobs) == 2
    assert jobs[again["id"]] == jobs[original.id]
    assert jobs[again["id"]]["team"] == "support"


def test_rendering_of_prompts_is_kept(cli, west, completions):
    chats = [
        {
            "messages": [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in completions
    ]
    for data, rendering in ((chats, "chat-template"), (completions, "raw")):
        job = west.submit("llama-3-1-8b", data)
        again = load(cli, "jobs", "rerun", job.id, "--region", "us-west-2")
        assert again["name"] == f"{job.name[:-2]}-2"
        assert again["training_data"] == job.info.training_data
        tags = job.backend.job_tags(again["id"])
        assert tags["tunestack:rendering"] == rendering


def test_validation_data_is_submitted_again(cli, west, completions):
    job = west.submit("llama-3-1-8b", completions, validation_data=completions[:20])
    again = load(cli, "jobs", "rerun", job.id, "--region", "us-west-2")
    assert again["name"] == f"{job.name[:-2]}-2"


def test_dry_run_and_max_cost_submit_nothing(cli, tuner, original):
    code, out, _ = cli("jobs", "rerun", "latest", "--dry-run")
    assert code == 0
    assert "data: 20 records" in out
    assert "3 epochs" in out
    code, _, err = cli("jobs", "rerun", "latest", "--max-cost", "0.000001")
    assert code == 2
    assert "more than max_cost" in err
    assert len(list(tuner.jobs())) == 1


def test_terminal_shows_the_plan_and_asks(tuner, original):
    with open_terminal("jobs", "rerun", original.id) as terminal:
        terminal.wait_for("Submit this job? [y/N]: ")
        assert "training: $" in terminal.text
        assert len(list(tuner.jobs())) == 1
        terminal.type("n\n")
        assert terminal.finish() == 1
    assert len(list(tuner.jobs())) == 1
    with open_terminal("jobs", "rerun", original.id) as terminal:
        terminal.wait_for("Submit this job? [y/N]: ")
        terminal.type("y\n")
        assert terminal.finish() == 0, terminal.text
    assert len(list(tuner.jobs())) == 2
