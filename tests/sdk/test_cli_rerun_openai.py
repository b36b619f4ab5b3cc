"""`jobs rerun` submits a job at OpenAI again, with the file and the settings that OpenAI has."""

import json

import openai
import pytest

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.fixture
def original(tuner, chat):
    return tuner.submit(
        GPT,
        chat,
        validation_data=chat[:2],
        hyperparameters={"n_epochs": 2},
        name="tickets",
        tags={"team": "support"},
        seed=7,
        suffix="desk",
    )


@pytest.fixture
def preferences():
    return [
        {
            "input": {"messages": [{"role": "user", "content": f"What is number {number}?"}]},
            "preferred_output": [{"role": "assistant", "content": f"It is {number}."}],
            "non_preferred_output": [{"role": "assistant", "content": "A number."}],
        }
        for number in range(20)
    ]


def list_jobs(tuner):
    return list(tuner.jobs(provider="openai"))


def read_requests(job):
    """Return what decides the result of a job, as OpenAI has it."""
    row = openai.OpenAI().fine_tuning.jobs.retrieve(job.id).to_dict()
    names = ("model", "training_file", "validation_file", "method", "seed", "user_provided_suffix")
    return {name: row[name] for name in names}


def test_job_has_the_same_files_and_settings(cli, tuner, original, sent_requests):
    code, out, err = cli("jobs", "rerun", original.id, "--json")
    assert code == 0, err
    again = tuner.job(json.loads(out)["id"])
    assert again.id != original.id
    assert read_requests(again) == read_requests(original)
    assert again.info.training_data == original.refresh().training_data
    assert (again.info.method, again.info.seed, again.info.suffix) == ("supervised", 7, "desk")
    assert again.backend.job_tags(again.id)["team"] == "support"
    assert again.name.startswith("tickets-gpt-4o-mini-2024-07-18-")
    # The files exist, so they are not uploaded again.
    assert ("POST", "/files") not in {request[:2] for request in sent_requests}


def test_values_that_openai_has_chosen_are_sent(cli, tuner, chat, sandbox):
    job = tuner.submit(GPT, chat).wait()
    code, out, err = cli("jobs", "rerun", "latest", "--provider", "openai", "--json")
    assert code == 0, err
    again = tuner.job(json.loads(out)["id"])
    sandbox.clock.advance(10_000)
    assert again.refresh().hyperparameters == job.info.hyperparameters
    assert again.info.seed == job.info.seed


def test_method_dpo_is_kept(cli, tuner, preferences):
    job = tuner.submit(
        "openai/gpt-4.1-mini-2025-04-14",
        preferences,
        method="dpo",
        hyperparameters={"beta": 0.1},
    )
    code, out, err = cli("jobs", "rerun", job.id, "--json")
    assert code == 0, err
    assert read_requests(tuner.job(json.loads(out)["id"])) == read_requests(job)


def test_dry_run_submits_nothing(cli, tuner, original):
    code, out, err = cli("jobs", "rerun", original.id, "--dry-run")
    assert code == 0, err
    assert "data: 20 records" in out
    assert "2 epochs" in out
    assert len(list_jobs(tuner)) == 1


def test_file_that_was_deleted_names_the_command_to_use(cli, tuner, original):
    openai.OpenAI().files.delete(original.refresh().training_data)
    code, _, err = cli("jobs", "rerun", original.id)
    assert code == 2
    assert "which may have expired: use your copy of the data" in err
    assert "`tunestack submit FILE --model gpt-4o-mini-2024-07-18 --rerun`" in err
    assert len(list_jobs(tuner)) == 1
