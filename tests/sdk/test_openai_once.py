"""A job at OpenAI is created once, also when replies are lost and others submit the same."""

import threading
from dataclasses import replace

import openai
import pytest

from tunestack import Tuner
from tunestack.backends.base import JobState

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The package's own: sockets that it leaves to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_pauses"),
]


def test_the_same_again_is_the_same_job_from_anywhere(tuner, chat, poll, wire):
    job = tuner.submit(BASE, chat)
    again = Tuner(openai=openai.OpenAI(), poll=poll).submit("gpt-4o-mini", chat)
    assert job.id == again.id
    assert len([call for call in wire if call[:2] == ("POST", "/files")]) == 1
    assert job.id == tuner.submit(BASE, chat, suffix="x", tags={"a": "b"}).id
    assert job.id != tuner.submit(BASE, chat, rerun=True).id
    assert job.id != tuner.submit(BASE, chat, seed=1).id
    other = tuner.submit(BASE, chat[:12])
    other.cancel()
    assert JobState.STOPPED is other.status()
    assert other.id != tuner.submit(BASE, chat[:12]).id


@pytest.mark.parametrize("kind", ["lost-reply", "error"])
@pytest.mark.parametrize("operation", ["createFineTuningJob", "createFile", "*"])
def test_what_is_lost_on_the_way_makes_no_second_job(tuner, chat, sandbox, kind, operation):
    sandbox.faults.add(kind, operation=operation, times=4)
    job = tuner.submit(BASE, chat)
    assert len(list(tuner.jobs(provider="openai"))) == 1, "one job"
    assert len(list(openai.OpenAI().files.list())) == 1, "one file"
    job.wait()


def test_two_at_the_same_moment_submit_one_job(tuner, chat, poll, intercepted):
    faster: list[str | None] = []

    def first(request):
        if not faster and (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs"):
            faster.append(None)
            faster[0] = Tuner(poll=poll).submit(BASE, chat).id

    intercepted(first)
    job = tuner.submit(BASE, chat)
    assert faster == [job.id]
    states = [other.info.state for other in tuner.jobs(provider="openai")]
    assert states == [JobState.STOPPED, JobState.PENDING], "the second one never trains"


@pytest.mark.parametrize("shown", ["all at once", "one, and the others a moment later"])
def test_of_several_that_are_there_it_is_given_the_one_that_stays(chat, poll, sandbox, shown):
    """Whoever comes while others find out which of their jobs stays must not take one that is about to go."""
    client = openai.OpenAI()
    lost = client.fine_tuning.jobs.retrieve(Tuner(poll=poll).submit(BASE, chat).id)
    client.fine_tuning.jobs.cancel(lost.id)
    rivals = []

    def create(times):
        for _ in range(times):
            made = client.fine_tuning.jobs.create(
                model=lost.model, training_file=lost.training_file, metadata=lost.metadata
            )
            rivals.append((made.created_at, made.id))

    def sleep(seconds):
        if len(rivals) == 1:
            create(5)
        sandbox.clock.advance(seconds)

    create(6 if shown == "all at once" else 1)
    found = Tuner(poll=replace(poll, sleep=sleep)).submit(BASE, chat)
    assert len(rivals) == 6
    assert min(rivals)[1] == found.id


def test_what_was_created_is_not_lost_to_a_look_that_fails(
    tuner, chat, sandbox, caplog, intercepted
):
    posted: list[object] = []

    def created(request):
        if (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs") and not posted:
            posted.append(request)
            sandbox.faults.add(
                "error", operation="listPaginatedFineTuningJobs", code="invalid_api_key"
            )

    intercepted(created)
    job = tuner.submit(BASE, chat)
    sandbox.faults.clear()
    assert f"could not check whether job {job.id} was created twice" in caplog.text
    assert [job.id] == [one.id for one in tuner.jobs(provider="openai")]


def test_threads_that_submit_the_same_get_one_job(chat, poll):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(Tuner(poll=poll).submit(BASE, chat).id))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    alive = [
        job.id
        for job in Tuner(poll=poll).jobs(provider="openai")
        if job.info.state is not JobState.STOPPED
    ]
    assert found[:1] == alive
