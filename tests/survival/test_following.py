"""Many jobs are followed with one List request per poll, and none is lost."""

from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tunestack import JobState, Poll, Tuner
from tunestack.errors import ConfigError, JobTimeoutError
from tunestack_sandbox import Sandbox
from tunestack_sandbox.bedrock.state import Quotas


@pytest.fixture
def calls():
    """Record the operations that a session calls at Bedrock."""
    session, counted = boto3.Session(), []

    def count(model, **_):
        counted.append(model.name)

    session.events.register("before-call.bedrock.*", count)
    return session, counted


@pytest.fixture
def several(sandbox, tuner, chat):
    return [tuner.submit("nova-micro", chat[: 8 + number]) for number in range(6)]


def test_follow_yields_every_change_until_all_jobs_have_ended(several, calls, poll):
    session, counted = calls
    tuner = Tuner(session=session, poll=poll)
    jobs = [tuner.job(job.id) for job in several]
    counted.clear()
    changes = [
        (job.id, job.info.state, job.info.phase) for job in tuner.follow(jobs, timedelta(hours=9))
    ]
    assert len(changes) == len(set(changes))
    for job in several:
        states = [state for name, state, _ in changes if name == job.id]
        assert states[-1] == JobState.SUCCEEDED
        assert len(states) >= 3
    assert set(counted) == {"ListModelCustomizationJobs"}
    assert all(job.info.model for job in jobs)


def test_reason_of_a_failure_is_read(sandbox, several, tuner):
    sandbox.faults.add("internal-failure", phase="training", times=2)
    ended = tuner.wait_all(several)
    assert several == ended
    failed = [job.info for job in ended if job.info.state is JobState.FAILED]
    assert len(failed) == 2
    assert all(info.failure for info in failed)
    assert sum(job.info.state is JobState.SUCCEEDED for job in ended) == 4


def test_failed_poll_loses_no_job(sandbox, several, tuner, inject_error):
    """The next poll yields the changes that a failed poll has read."""
    sandbox.faults.add("internal-failure", phase="training", times=1)
    sandbox.clock.advance(6 * 3600)
    inject_error("GetModelCustomizationJob", "ThrottlingException", times=12)
    ended = [job.id for job in tuner.follow(several) if job.info.state.is_terminal]
    assert sorted(job.id for job in several) == sorted(ended)


def test_two_objects_of_one_job_are_both_updated(tuner, chat):
    one, other = (tuner.submit("nova-micro", chat) for _ in range(2))
    assert one.id == other.id
    assert tuner.wait_all([one, other]) == [one, other]
    assert one.require_success().model == other.require_success().model


def test_jobs_of_several_regions_are_followed_together(tuner, west, chat, completions):
    jobs = [tuner.submit("nova-micro", chat), west.submit("llama-3-1-8b", completions)]
    assert jobs == tuner.wait_all(jobs)
    assert all(job.info.model for job in jobs)


def test_job_that_is_not_listed_is_read_by_itself(sandbox, several, poll):
    session, hidden = boto3.Session(), several[0].id

    def hide(parsed, **_):
        rows = parsed.get("modelCustomizationJobSummaries", ())
        parsed["modelCustomizationJobSummaries"] = [row for row in rows if row["jobArn"] != hidden]

    session.events.register("after-call.bedrock.ListModelCustomizationJobs", hide)
    tuner = Tuner(session=session, poll=poll)
    jobs = tuner.wait_all([tuner.job(job.id) for job in several])
    assert all(job.info.model for job in jobs)


def test_timeout_of_a_wait_for_many_names_the_number_of_running_jobs(several, tuner):
    with pytest.raises(
        JobTimeoutError, match="6 of 6 jobs have not ended after 1 minute; they continue"
    ):
        tuner.wait_all(several, 60)


def test_nothing_to_follow_returns_immediately(tuner, job):
    assert list(tuner.follow([])) == []
    assert tuner.wait_all([job]) == [job]


def test_jobs_are_filtered_by_state_time_and_tag(sandbox, tuner, chat):
    first = tuner.submit("nova-micro", chat, tags={"team": "search"}).wait()
    between = sandbox.clock.now()
    sandbox.clock.advance(60)
    second = tuner.submit("nova-micro", chat[:9], tags={"team": "ads"})

    def list_names(**filters):
        return [job.name for job in tuner.jobs(**filters)]

    assert list_names(state="succeeded") == [first.name]
    assert list_names(state="pending") == [second.name]
    assert list_names(state="failed") == []
    assert list_names(created_after=between) == [second.name]
    assert list_names(tags={"team": "search"}) == [first.name]
    assert list_names(tags={"team": "search"}, state="pending") == []
    with pytest.raises(ConfigError, match="use one of pending, running"):
        tuner.jobs(state="done")
    with pytest.raises(ConfigError, match="has no time zone"):
        tuner.jobs(created_after=between.replace(tzinfo=None))


def test_remaining_time_is_estimated_from_earlier_jobs(sandbox, tuner, chat):
    first = tuner.submit("nova-micro", chat)
    assert first.remaining() is None
    took = first.wait().info.ended - first.info.created
    second = tuner.submit("nova-micro", chat[:9])
    assert abs((second.remaining() - took).total_seconds()) < 60
    sandbox.clock.advance(600)
    assert 540 < (took - second.remaining()).total_seconds() < 660


@pytest.mark.campaign
def test_five_thousand_jobs_are_followed_with_throttling(monkeypatch, count_traffic, figure):
    """At most six List requests per poll, no job lost, and no job read by itself without a change."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with Sandbox(speed=1, quotas=Quotas(jobs=6000, custom_models=6000)) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        deployment = sandbox.deployment()
        rows = b'{"schemaVersion":"bedrock-conversation-2024","messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"text":"b"}]}]}\n'
        key = f"{deployment.datasets_prefix}rows.jsonl"
        boto3.client("s3").put_object(Bucket=deployment.data_bucket, Key=key, Body=rows * 8)
        # A request first processes what is due in the sandbox, which may be the work of thousands of jobs.
        root = boto3.client("bedrock", config=Config(read_timeout=900))
        request: dict[str, Any] = {
            "roleArn": deployment.job_role_arn,
            "baseModelIdentifier": "amazon.nova-micro-v1:0:128k",
            "trainingDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
            "outputDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
            "hyperParameters": {"epochCount": "1"},
        }
        figures = {}
        for count in (10, 100, 1000, 5000):
            names = [f"j{count}-{number}" for number in range(count)]
            for name in names:
                root.create_model_customization_job(jobName=name, customModelName=name, **request)
            figures[count] = follow_jobs(sandbox, names)
        count_traffic(sandbox.traffic)
    figure(f"followed, by how many jobs: {figures}")
    assert {count: figures[count]["most lists"] for count in (10, 100, 1000)} == {
        10: 1,
        100: 1,
        1000: 1,
    }
    assert figures[5000]["most lists"] <= 6


def follow_jobs(sandbox, names):
    session, counted, looks = boto3.Session(), [], []

    def count(model, **_):
        counted.append(model.name)

    def sleep(seconds):
        looks.append(list(counted))
        counted.clear()
        sandbox.clock.advance(seconds)

    tuner = Tuner(
        session=session, poll=Poll(sleep=sleep, clock=sandbox.clock.monotonic, longest=600)
    )
    name_set = set(names)
    jobs = [job for job in tuner.jobs() if job.name in name_set]
    assert len(jobs) == len(names)
    session.events.register("before-call.bedrock.*", count)
    tuner._accounts.bedrock._clients._clients.clear()
    sandbox.faults.add("throttle", operation="ListModelCustomizationJobs", rate=0.1)
    sandbox.faults.add("internal-failure", phase="training", rate=0.05)
    # Thousands of events would take most of the time, and no process reads them.
    sandbox.faults.add("event-loss")
    tuner.wait_all(jobs)
    sandbox.faults.clear()
    looks.append(counted)
    ends = [job.info.state for job in jobs]
    failed = ends.count(JobState.FAILED)
    assert len(names) == failed + ends.count(JobState.SUCCEEDED)
    gets = sum(look.count("GetModelCustomizationJob") for look in looks)
    assert gets == failed
    return {
        "looks": len(looks),
        "most lists": max(look.count("ListModelCustomizationJobs") for look in looks),
        "gets": gets,
        "failed": failed,
    }
