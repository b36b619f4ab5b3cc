"""Tuning at OpenAI, with the openai package itself against the sandbox."""

import openai
import pytest

from tunestack.backends.base import JobState
from tunestack.backends.openai import files as openai_files
from tunestack.backends.openai import wire as openai_requests
from tunestack.errors import (
    InvalidRequestError,
    JobFailedError,
    JobStalledError,
    JobStoppedError,
)

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The package's own: sockets that it leaves to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_pauses"),
]


@pytest.fixture
def preferences():
    return [
        {
            "input": {"messages": [{"role": "user", "content": f"What is number {number}?"}]},
            "preferred_output": [{"role": "assistant", "content": f"It is {number}."}],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        }
        for number in range(20)
    ]


def row(openai_id, text):
    return {
        "messages": [
            {"role": "user", "content": openai_id},
            {"role": "assistant", "content": text},
        ]
    }


def test_the_wire_of_every_call(tuner, chat, wire):
    """The literal table: what goes out, whole, for one job from its first check to its last question."""
    job = tuner.submit(
        BASE,
        chat,
        hyperparameters={"epochCount": 3, "batchSize": 4, "learning_rate_multiplier": 0.5},
        validation_data=[row("What number?", "None.")],
        seed=7,
        suffix="tickets",
        tags={"team": "search"},
    )
    job.wait()
    job.start_endpoint()
    job.endpoint().invoke("What is number 7?")
    job.metrics()
    list(job.checkpoints())
    list(job.messages())
    job.stop_endpoint()
    info = job.info
    key = info.name.removeprefix("tunestack-gpt-4o-mini-2024-07-18-")
    digest = key.removesuffix("-1")
    name = "GET", f"/fine_tuning/jobs/{info.id}", None
    looks = [call for call in wire if call == name]
    assert len(looks) >= 5
    asked = [call for call in wire if call != name]
    training, validation = (call[2].pop("file") for call in asked if call[:2] == ("POST", "/files"))
    assert training.endswith(".jsonl")
    assert len(training) == len(validation) == 64 + 6
    files = "GET", "/files?order=desc&purpose=fine-tune", None
    upload = {
        "purpose": "fine-tune",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": "2592000",
    }
    ids = {"training_file": info.training_data}
    made = next(call for call in asked if call[:2] == ("POST", "/fine_tuning/jobs"))
    ids["validation_file"] = made[2]["validation_file"]
    model = ("GET", f"/models/{info.model}", None)
    assert [
        ("GET", "/models/gpt-4o-mini-2024-07-18", None),
        ("GET", f"/fine_tuning/jobs?limit=100&metadata%5Btunestack%3Acontent%5D={digest}", None),
        files,
        ("POST", "/files", upload),
        files,
        ("POST", "/files", upload),
        (
            "POST",
            "/fine_tuning/jobs",
            {
                "model": "gpt-4o-mini-2024-07-18",
                **ids,
                "method": {
                    "type": "supervised",
                    "supervised": {
                        "hyperparameters": {
                            "batch_size": 4,
                            "learning_rate_multiplier": 0.5,
                            "n_epochs": 3,
                        }
                    },
                },
                "metadata": {
                    "team": "search",
                    "tunestack:managed-by": "tunestack",
                    "tunestack:base-model": "gpt-4o-mini-2024-07-18",
                    "tunestack:content": digest,
                    "tunestack:key": key,
                    "tunestack:name": info.name,
                },
                "seed": 7,
                "suffix": "tickets",
            },
        ),
        ("GET", f"/fine_tuning/jobs?limit=100&metadata%5Btunestack%3Akey%5D={key}", None),
        model,
        model,
        (
            "POST",
            "/chat/completions",
            {
                "model": info.model,
                "messages": [{"role": "user", "content": "What is number 7?"}],
            },
        ),
        ("GET", f"/files/{info.output}/content", None),
        ("GET", f"/fine_tuning/jobs/{info.id}/checkpoints", None),
        ("GET", f"/fine_tuning/jobs/{info.id}/events?limit=100", None),
    ] == asked


def test_the_wire_of_what_is_rarer(tuner, chat, wire, sandbox):
    job = tuner.submit(BASE, chat)
    sandbox.clock.advance(1000)
    wire.clear()
    job.pause()
    job.resume()
    job.cancel()
    list(tuner.jobs(provider="openai"))
    list(tuner.endpoints(provider="openai"))
    tuner.preflight("gpt-4o-mini")
    one = f"/fine_tuning/jobs/{job.id}"
    assert [
        ("POST", f"{one}/pause", None),
        ("POST", f"{one}/resume", None),
        ("GET", one, None),
        ("POST", f"{one}/cancel", None),
        ("GET", "/fine_tuning/jobs?limit=100", None),
        ("GET", "/models", None),
        ("GET", "/models", None),
        ("GET", "/models/gpt-4o-mini-2024-07-18", None),
    ] == wire


def test_the_whole_life_of_a_job(tuner, chat):
    job = tuner.submit("gpt-4o-mini", chat, validation_data=[row("What number?", "None.")])
    assert [job.id] == [other.id for other in tuner.jobs(provider="openai")]
    assert job.id == tuner.job(job.id).id == tuner.job(f"openai/{job.id}").id
    states = [info.described for info in job.watch()]
    assert list(dict.fromkeys(states)) == [
        "pending (validation)",
        "pending (queued)",
        "running (training)",
        "succeeded",
    ]
    assert job.model.startswith("ft:gpt-4o-mini-2024-07-18:sandbox::")
    assert job.model == job.start_endpoint().name
    assert job.endpoint().invoke("What is number 7?") == "It is 7."
    assert tuner.invoke(f"openai/{job.model}", "What is number 7?") == "It is 7."
    with job.endpoint() as endpoint:
        assert endpoint.model == job.model
    job.stop_endpoint()
    assert tuner.endpoint(job.model).invoke("What is number 7?") == "It is 7."
    assert {"step", "train_loss", "train_accuracy", "valid_loss"} <= job.metrics()[-1].keys()
    assert [found.step for found in job.checkpoints()] == [20, 16, 12]
    assert tuner.invoke(next(iter(job.checkpoints())).model, "What is number 7?") == "It is 7."
    assert next(iter(job.messages())).text == "The job has successfully completed"
    assert job.refresh().trained_tokens > 0
    assert job.base.key == "gpt-4o-mini-2024-07-18"
    assert job.remaining().total_seconds() == 0


def test_a_storm_of_errors_while_it_is_waited_for_loses_nothing(tuner, chat, sandbox):
    job = tuner.submit(BASE, chat)
    sandbox.faults.add("error", operation="retrieveFineTuningJob", times=40)
    assert job.wait().model


def test_a_job_that_fails_says_why_in_openais_words(tuner, chat, sandbox):
    job = tuner.submit(BASE, chat)
    file = job.refresh().training_data
    openai.OpenAI().files.delete(file)
    with pytest.raises(JobFailedError, match="invalid_training_file") as caught:
        job.wait()
    assert f"File {file} was deleted." in caught.value.reason
    assert JobState.FAILED is job.info.state
    assert job.id != tuner.submit(BASE, chat).id, "the next attempt"


def test_pause_and_resume(tuner, chat, sandbox):
    job = tuner.submit(BASE, chat)
    with pytest.raises(InvalidRequestError, match="can't be paused"):
        job.pause()
    sandbox.clock.advance(1000)
    job.pause()
    sandbox.clock.advance(100_000)
    assert JobState.PAUSED is job.status()
    assert not job.info.state.is_terminal
    assert job.id == tuner.submit(BASE, chat).id
    job.resume()
    assert JobState.RUNNING is job.status()
    assert job.wait().model


def test_cancel(tuner, chat):
    job = tuner.submit(BASE, chat)
    assert job.cancel() is True
    with pytest.raises(JobStoppedError):
        job.wait()
    assert job.cancel() is False


def test_a_state_that_nobody_knows_is_no_end(tuner, chat, monkeypatch):
    job = tuner.submit(BASE, chat)
    known = dict(openai_requests.STATES)
    del known["queued"]
    monkeypatch.setattr(openai_requests, "STATES", known)
    states = {info.state for info in job.watch()}
    assert JobState.UNKNOWN in states
    assert JobState.SUCCEEDED is job.info.state


def test_a_job_that_stands_still_is_told_of(tuner, chat, sandbox):
    sandbox.faults.add("stall", phase="data-processing")
    with pytest.raises(JobStalledError, match="queued"):
        tuner.submit(BASE, chat).wait()


def test_preferences(tuner, preferences, wire):
    job = tuner.submit("gpt-4.1-mini", preferences, method="dpo", hyperparameters={"beta": 0.2})
    assert job.wait().model
    (body,) = [
        body for method, path, body in wire if (method, path) == ("POST", "/fine_tuning/jobs")
    ]
    assert body["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}
    assert tuner.invoke(job.model, "What is number 7?") == "It is 7."
    implied = tuner.submit(
        "gpt-4.1-mini",
        preferences,
        record_format="preference",
        hyperparameters={"beta": 0.2},
    )
    assert job.id == implied.id


def test_auto_is_what_is_left_out(tuner, chat):
    job = tuner.submit(BASE, chat, hyperparameters={"n_epochs": "auto"})
    assert job.id == tuner.submit(BASE, chat).id


def test_a_tuned_model_is_tuned_further(tuner, chat):
    first = tuner.submit(BASE, chat).wait()
    second = tuner.submit(f"openai/{first.model}", chat)
    assert first.model == second.refresh().base_model
    assert second.base.key == "gpt-4o-mini-2024-07-18"
    assert second.wait().model != first.model


def test_what_is_large_goes_in_parts(tuner, chat, wire, monkeypatch):
    monkeypatch.setattr(openai_files, "_MAX_FILE_BYTES", 100)
    monkeypatch.setattr(openai_files, "_PART_BYTES", 1000)
    job = tuner.submit(BASE, chat)
    posts = [path for method, path, _ in wire if method == "POST" and path.startswith("/uploads")]
    assert posts[0] == "/uploads"
    assert posts[-1].endswith("/complete")
    assert len(posts) >= 4
    assert job.wait().model
    assert [job.id] == [tuner.submit(BASE, chat).id]


def test_a_file_that_is_about_to_go_is_not_used_again(tuner, chat):
    client = openai.OpenAI()
    file = client.files.retrieve(tuner.submit(BASE, chat).wait().info.training_data)
    content = client.files.content(file.id).read()
    client.files.delete(file.id)
    brief = client.files.create(
        file=(file.filename, content),
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    second = tuner.submit(BASE, chat, rerun=True).wait()
    assert second.info.training_data not in (file.id, brief.id)
    third = tuner.submit(BASE, chat, rerun=True).wait()
    assert second.info.training_data == third.info.training_data


def test_jobs_are_found_among_many(tuner, sandbox):
    client = openai.OpenAI()
    file = client.files.create(file=("x.jsonl", b"{}\n"), purpose="fine-tune").id
    for _ in range(105):
        client.fine_tuning.jobs.create(model="gpt-4o-mini-2024-07-18", training_file=file)
    found = list(tuner.jobs(provider="openai"))
    assert len({job.id for job in found}) == 105
    assert found[0].name == found[0].id, "the name is our own metadata's"
    assert list(tuner.jobs(provider="openai", state="running")) == []
    since = sandbox.clock.now()
    assert len(list(tuner.jobs(provider="openai", created_after=since))) == 0


def test_many_are_followed_with_one_list(tuner, chat, wire):
    jobs = [tuner.submit(BASE, chat[:count]) for count in range(10, 16)]
    wire.clear()
    for _ in tuner.follow(jobs):
        pass
    assert {JobState.SUCCEEDED} == {job.info.state for job in jobs}
    assert all(path.startswith("/fine_tuning/jobs?") for _, path, _ in wire)
