"""A job at OpenAI is created once, even if responses are lost or other processes submit the same job."""

import threading
from dataclasses import replace

import openai
import pytest

from tunestack import Tuner
from tunestack.backends.base import JobState

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The openai package leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_retry_delays"),
]


def test_identical_submission_returns_the_same_job(tuner, chat, poll, sent_requests):
    job = tuner.submit(BASE, chat)
    again = Tuner(openai=openai.OpenAI(), poll=poll).submit("gpt-4o-mini", chat)
    assert job.id == again.id
    assert len([call for call in sent_requests if call[:2] == ("POST", "/files")]) == 1
    assert job.id == tuner.submit(BASE, chat, suffix="x", tags={"a": "b"}).id
    assert job.id != tuner.submit(BASE, chat, rerun=True).id
    assert job.id != tuner.submit(BASE, chat, seed=1).id
    other = tuner.submit(BASE, chat[:12])
    other.cancel()
    assert JobState.STOPPED is other.status()
    assert other.id != tuner.submit(BASE, chat[:12]).id


@pytest.mark.parametrize("kind", ["lost-reply", "error"])
@pytest.mark.parametrize("operation", ["createFineTuningJob", "createFile", "*"])
def test_lost_response_or_error_creates_no_second_job(tuner, chat, sandbox, kind, operation):
    sandbox.faults.add(kind, operation=operation, times=4)
    job = tuner.submit(BASE, chat)
    assert len(list(tuner.jobs(provider="openai"))) == 1, "one job"
    assert len(list(openai.OpenAI().files.list())) == 1, "one file"
    job.wait()


def test_of_two_simultaneous_jobs_only_one_trains(tuner, chat, poll, intercept):
    first_id: list[str | None] = []

    def submit_first(request):
        if not first_id and (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs"):
            first_id.append(None)
            first_id[0] = Tuner(poll=poll).submit(BASE, chat).id

    intercept(submit_first)
    job = tuner.submit(BASE, chat)
    assert first_id == [job.id]
    states = [other.info.state for other in tuner.jobs(provider="openai")]
    assert states == [JobState.STOPPED, JobState.PENDING], (
        "the second job is stopped before training"
    )


@pytest.mark.parametrize("visible", ["all immediately", "one immediately, the others later"])
def test_submit_returns_the_duplicate_that_is_not_cancelled(chat, poll, sandbox, visible):
    """A process that submits while others resolve their duplicates must not return a job that will be cancelled."""
    client = openai.OpenAI()
    cancelled = client.fine_tuning.jobs.retrieve(Tuner(poll=poll).submit(BASE, chat).id)
    client.fine_tuning.jobs.cancel(cancelled.id)
    duplicates = []

    def create(times):
        for _ in range(times):
            created = client.fine_tuning.jobs.create(
                model=cancelled.model,
                training_file=cancelled.training_file,
                metadata=cancelled.metadata,
            )
            duplicates.append((created.created_at, created.id))

    def sleep(seconds):
        if len(duplicates) == 1:
            create(5)
        sandbox.clock.advance(seconds)

    create(6 if visible == "all immediately" else 1)
    job = Tuner(poll=replace(poll, sleep=sleep)).submit(BASE, chat)
    assert len(duplicates) == 6
    assert min(duplicates)[1] == job.id


def test_failed_check_for_duplicates_does_not_lose_the_job(tuner, chat, sandbox, caplog, intercept):
    posted: list[object] = []

    def fail_lists(request):
        if (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs") and not posted:
            posted.append(request)
            sandbox.faults.add(
                "error", operation="listPaginatedFineTuningJobs", code="invalid_api_key"
            )

    intercept(fail_lists)
    job = tuner.submit(BASE, chat)
    sandbox.faults.clear()
    assert f"could not check whether job {job.id} was created twice" in caplog.text
    assert [job.id] == [one.id for one in tuner.jobs(provider="openai")]


def test_threads_that_submit_the_same_data_get_one_job(chat, poll):
    ids = []
    threads = [
        threading.Thread(target=lambda: ids.append(Tuner(poll=poll).submit(BASE, chat).id))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    not_stopped = [
        job.id
        for job in Tuner(poll=poll).jobs(provider="openai")
        if job.info.state is not JobState.STOPPED
    ]
    assert ids[:1] == not_stopped
