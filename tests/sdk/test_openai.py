"""Fine-tuning at OpenAI, with the openai package against the sandbox."""

import openai
import pytest

from tunestack.backends.base import JobState
from tunestack.backends.openai import files as openai_files
from tunestack.backends.openai import wire as openai_wire
from tunestack.errors import (
    InvalidRequestError,
    JobFailedError,
    JobStalledError,
    JobStoppedError,
)

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The openai package leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_retry_delays"),
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


def test_job_sends_exactly_these_requests(tuner, chat, sent_requests):
    """The complete requests for one job, from its first check to its last invocation."""
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
    poll = "GET", f"/fine_tuning/jobs/{info.id}", None
    polls = [call for call in sent_requests if call == poll]
    assert len(polls) >= 5
    other_requests = [call for call in sent_requests if call != poll]
    training, validation = (
        call[2].pop("file") for call in other_requests if call[:2] == ("POST", "/files")
    )
    assert training.endswith(".jsonl")
    assert len(training) == len(validation) == 64 + 6
    files = "GET", "/files?order=desc&purpose=fine-tune", None
    upload = {
        "purpose": "fine-tune",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": "2592000",
    }
    ids = {"training_file": info.training_data}
    creation = next(call for call in other_requests if call[:2] == ("POST", "/fine_tuning/jobs"))
    ids["validation_file"] = creation[2]["validation_file"]
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
    ] == other_requests


def test_less_common_methods_send_exactly_these_requests(tuner, chat, sent_requests, sandbox):
    job = tuner.submit(BASE, chat)
    sandbox.clock.advance(1000)
    sent_requests.clear()
    job.pause()
    job.resume()
    job.cancel()
    list(tuner.jobs(provider="openai"))
    list(tuner.endpoints(provider="openai"))
    tuner.preflight("gpt-4o-mini")
    path = f"/fine_tuning/jobs/{job.id}"
    assert [
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/resume", None),
        ("GET", path, None),
        ("POST", f"{path}/cancel", None),
        ("GET", "/fine_tuning/jobs?limit=100", None),
        ("GET", "/models", None),
        ("GET", "/models", None),
        ("GET", "/models/gpt-4o-mini-2024-07-18", None),
    ] == sent_requests


def test_job_from_submit_to_invocation(tuner, chat):
    job = tuner.submit("gpt-4o-mini", chat, validation_data=[row("What number?", "None.")])
    assert [job.id] == [other.id for other in tuner.jobs(provider="openai")]
    assert job.id == tuner.job(job.id).id == tuner.job(f"openai/{job.id}").id
    states = [info.description for info in job.watch()]
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
    assert [checkpoint.step for checkpoint in job.checkpoints()] == [20, 16, 12]
    assert tuner.invoke(next(iter(job.checkpoints())).model, "What is number 7?") == "It is 7."
    assert next(iter(job.messages())).text == "The job has successfully completed"
    assert job.refresh().trained_tokens > 0
    assert job.base.key == "gpt-4o-mini-2024-07-18"
    assert job.remaining().total_seconds() == 0


def test_repeated_server_errors_do_not_end_a_wait(tuner, chat, sandbox):
    job = tuner.submit(BASE, chat)
    sandbox.faults.add("error", operation="retrieveFineTuningJob", times=40)
    assert job.wait().model


def test_error_of_a_failed_job_has_the_message_of_openai(tuner, chat, sandbox):
    job = tuner.submit(BASE, chat)
    file = job.refresh().training_data
    openai.OpenAI().files.delete(file)
    with pytest.raises(JobFailedError, match="invalid_training_file") as caught:
        job.wait()
    assert f"File {file} was deleted." in caught.value.reason
    assert JobState.FAILED is job.info.state
    assert job.id != tuner.submit(BASE, chat).id, "the next attempt"


def test_paused_job_can_be_resumed(tuner, chat, sandbox):
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


def test_cancel_stops_a_job_once(tuner, chat):
    job = tuner.submit(BASE, chat)
    assert job.cancel() is True
    with pytest.raises(JobStoppedError):
        job.wait()
    assert job.cancel() is False


def test_unknown_state_does_not_end_a_wait(tuner, chat, monkeypatch):
    job = tuner.submit(BASE, chat)
    known = dict(openai_wire.STATES)
    del known["queued"]
    monkeypatch.setattr(openai_wire, "STATES", known)
    states = {info.state for info in job.watch()}
    assert JobState.UNKNOWN in states
    assert JobState.SUCCEEDED is job.info.state


def test_stalled_job_is_an_error(tuner, chat, sandbox):
    sandbox.faults.add("stall", phase="data-processing")
    with pytest.raises(JobStalledError, match="queued"):
        tuner.submit(BASE, chat).wait()


def test_preference_records_are_fine_tuned_with_dpo(tuner, preferences, sent_requests):
    job = tuner.submit("gpt-4.1-mini", preferences, method="dpo", hyperparameters={"beta": 0.2})
    assert job.wait().model
    (body,) = [
        body
        for method, path, body in sent_requests
        if (method, path) == ("POST", "/fine_tuning/jobs")
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


def test_auto_is_the_same_as_no_value(tuner, chat):
    job = tuner.submit(BASE, chat, hyperparameters={"n_epochs": "auto"})
    assert job.id == tuner.submit(BASE, chat).id


def test_custom_model_can_be_fine_tuned_again(tuner, chat):
    first = tuner.submit(BASE, chat).wait()
    second = tuner.submit(f"openai/{first.model}", chat)
    assert first.model == second.refresh().base_model
    assert second.base.key == "gpt-4o-mini-2024-07-18"
    assert second.wait().model != first.model


def test_large_file_is_uploaded_in_parts(tuner, chat, sent_requests, monkeypatch):
    monkeypatch.setattr(openai_files, "_MAX_FILE_BYTES", 100)
    monkeypatch.setattr(openai_files, "_PART_BYTES", 1000)
    job = tuner.submit(BASE, chat)
    posts = [
        path
        for method, path, _ in sent_requests
        if method == "POST" and path.startswith("/uploads")
    ]
    assert posts[0] == "/uploads"
    assert posts[-1].endswith("/complete")
    assert len(posts) >= 4
    assert job.wait().model
    assert [job.id] == [tuner.submit(BASE, chat).id]


def test_file_that_expires_soon_is_not_used_again(tuner, chat):
    client = openai.OpenAI()
    file = client.files.retrieve(tuner.submit(BASE, chat).wait().info.training_data)
    content = client.files.content(file.id).read()
    client.files.delete(file.id)
    expiring = client.files.create(
        file=(file.filename, content),
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    second = tuner.submit(BASE, chat, rerun=True).wait()
    assert second.info.training_data not in (file.id, expiring.id)
    third = tuner.submit(BASE, chat, rerun=True).wait()
    assert second.info.training_data == third.info.training_data


def test_jobs_of_several_pages_are_listed(tuner, sandbox):
    client = openai.OpenAI()
    file = client.files.create(file=("x.jsonl", b"{}\n"), purpose="fine-tune").id
    for _ in range(105):
        client.fine_tuning.jobs.create(model="gpt-4o-mini-2024-07-18", training_file=file)
    jobs = list(tuner.jobs(provider="openai"))
    assert len({job.id for job in jobs}) == 105
    assert jobs[0].name == jobs[0].id, "only jobs of Tunestack have a name in their metadata"
    assert list(tuner.jobs(provider="openai", state="running")) == []
    since = sandbox.clock.now()
    assert len(list(tuner.jobs(provider="openai", created_after=since))) == 0


def test_several_jobs_are_followed_with_one_list_request(tuner, chat, sent_requests):
    jobs = [tuner.submit(BASE, chat[:count]) for count in range(10, 16)]
    sent_requests.clear()
    for _ in tuner.follow(jobs):
        pass
    assert {JobState.SUCCEEDED} == {job.info.state for job in jobs}
    assert all(path.startswith("/fine_tuning/jobs?") for _, path, _ in sent_requests)
