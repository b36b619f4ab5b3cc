"""Submitting, attaching, following and stopping jobs, on the sandbox."""

import dataclasses
import json
import os
import pickle

import boto3
import pytest

from tunestack import JobState, Poll, Tuner
from tunestack.catalog import CATALOG
from tunestack.errors import (
    AccessError,
    BusyError,
    ConfigError,
    DataError,
    HyperparameterError,
    JobFailedError,
    JobStoppedError,
    JobTimeoutError,
    ModelError,
    NotFoundError,
    StateError,
)

SETTINGS = {"epochCount": 3, "batchSize": 4, "learningRate": 1e-5}


def test_a_job_from_submit_to_its_model(tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat, hyperparameters=SETTINGS)
    seen = [(info.state, info.phase) for info in job.watch()]
    assert seen[0] == (JobState.PENDING, "validation")
    assert (JobState.PENDING, "data processing") in seen
    assert (JobState.RUNNING, "training") in seen
    assert seen[-1] == (JobState.SUCCEEDED, None)
    info = job.wait().refresh()
    # Bedrock adds the defaults of what was not sent.
    asked = {"epochCount": "3", "batchSize": "4", "learningRate": "0.00001"}
    assert asked.items() <= info.hyperparameters.items()
    assert ":custom-model/amazon.nova-micro-v1:0:128k/" in job.model
    assert info.training_data.startswith(sandbox.deployment().data_locations[0])
    assert job.metrics()[0].keys() >= {"step_number", "epoch_number", "training_loss"}
    assert info.training_loss == job.metrics()[-1]["training_loss"]


def test_what_was_uploaded_is_what_was_given(tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat)
    bucket, _, key = job.refresh().training_data.removeprefix("s3://").partition("/")
    content = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    questions = [
        json.loads(line)["messages"][0]["content"][0]["text"] for line in content.splitlines()
    ]
    assert [row["messages"][0]["content"] for row in chat] == questions


def test_validation_data_gives_a_second_row_of_losses(tuner, chat):
    job = tuner.submit("nova-micro", chat, validation_data=chat[:2]).wait()
    assert "validation_loss" in job.metrics()[-1]
    assert job.refresh().validation_loss == pytest.approx(
        job.refresh().training_loss * 1.1, rel=1e-3
    )


def test_the_same_again_is_the_same_job(tuner, chat):
    first = tuner.submit("nova-micro", chat, hyperparameters=SETTINGS)
    from_elsewhere = Tuner(poll=Poll()).submit(
        "amazon.nova-micro-v1:0", chat, hyperparameters=SETTINGS
    )
    assert first.id == from_elsewhere.id
    first.wait()
    assert first.id == tuner.submit("nova-micro", chat, hyperparameters=SETTINGS).id
    assert len(list(tuner.jobs())) == 1


def test_anything_else_is_another_job(tuner, chat):
    jobs = [
        tuner.submit("nova-micro", chat),
        tuner.submit("nova-lite", chat),
        tuner.submit("nova-micro", chat[:-1]),
        tuner.submit("nova-micro", chat, validation_data=chat[:1]),
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}),
    ]
    assert len(jobs) == len({job.id for job in jobs}) == len({job.name for job in jobs})


def test_a_job_that_was_stopped_is_tried_anew_and_a_rerun_is_another(tuner, chat):
    first = tuner.submit("nova-micro", chat)
    assert first.cancel()
    with pytest.raises(JobStoppedError, match="billed"):
        first.wait()
    second = tuner.submit("nova-micro", chat)
    assert [f"{first.name[:-2]}-1", f"{first.name[:-2]}-2"] == [first.name, second.name]
    third = tuner.submit("nova-micro", chat, rerun=True)
    assert third.name.endswith("-3")
    assert third.id == tuner.submit("nova-micro", chat).id


def test_a_job_is_attached_to_from_anywhere(tuner, chat, monkeypatch):
    job = tuner.submit("nova-micro", chat)
    for name in (
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "TUNESTACK_DEPLOYMENT",
        "DSPY_BEDROCK_S3_BUCKET",
        "DSPY_BEDROCK_ROLE_ARN",
    ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert job.name == Tuner().job(job.id).name
    assert job.id == Tuner(region="us-east-1").job(job.name).id
    with pytest.raises(NotFoundError, match="check the id and the region"):
        Tuner(region="us-west-2").job(job.name)
    with pytest.raises(ConfigError, match="no region: pass region="):
        Tuner().job(job.name)


def test_jobs_are_listed_the_newest_first(tuner, chat, sandbox):
    for number in range(3):
        tuner.submit("nova-micro", chat[number:], name=f"n{number}")
        sandbox.clock.advance(1)
    assert [job.name[:2] for job in tuner.jobs()] == ["n2", "n1", "n0"]
    assert [job.name[:2] for job in tuner.jobs(name_contains="n1-")] == ["n1"]


def test_a_cancelled_job_ends_stopped_and_cancelling_again_says_so(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    assert job.cancel()
    assert job.status() == JobState.STOPPING
    assert job.cancel()
    with pytest.raises(JobStoppedError) as stopped:
        job.wait()
    assert job.id == stopped.value.job_id
    assert not job.cancel()
    assert job.model is None
    with pytest.raises(StateError, match="is stopped and has no model"):
        job.start_endpoint()


def test_a_failed_job_raises_the_vendors_words(tuner, chat):
    job = tuner.submit("nova-micro", chat[:15])
    bucket, _, key = job.refresh().training_data.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"spoilt")
    with pytest.raises(JobFailedError, match="conform to JSONL format") as failed:
        job.wait()
    assert failed.value.reason.startswith("Unable to parse Amazon S3 file")


def test_a_wait_that_is_too_short_leaves_the_job_running(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobTimeoutError, match="it continues: wait again") as late:
        job.wait(timeout=60)
    assert isinstance(late.value, TimeoutError)
    assert job.wait().info.state == JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("model", "settings", "kind", "words"),
    [
        ("anthropic.claude-3-sonnet-20240229", {}, ModelError, "nova-micro, nova-lite"),
        (
            "anthropic.claude-3-haiku-20240307-v1:0",
            {},
            ModelError,
            "retired on 2026-09-10.*nova-micro",
        ),
        ("amazon.titan-text-express-v1", {}, ModelError, "retired by 2026-08-09"),
        ("llama-3-1-8b", {}, ModelError, 'in us-east-1, only in us-west-2: set region="us-west-2"'),
        ("gpt-4", {}, ModelError, "retired on 2026-10-23"),
        ("nova-micro", {"earlyStoppingPatience": 1}, HyperparameterError, "use epochCount"),
        ("nova-micro", {"epochCount": 6}, HyperparameterError, "from 1 to 5"),
    ],
)
def test_what_can_not_be_tuned_is_refused_before_anything_is_uploaded(
    tuner, chat, objects, requests, model, settings, kind, words
):
    before, sent = objects(), requests.seen.copy()
    with pytest.raises(kind, match=words):
        tuner.submit(f"bedrock/{model}", chat, hyperparameters=settings)
    assert before == objects()
    sent = requests.seen - sent
    assert {("s3", "PutObject"), ("bedrock", "CreateModelCustomizationJob")}.isdisjoint(sent)


def test_bad_data_is_refused_before_anything_is_uploaded(tuner, chat, objects):
    before = objects()
    with pytest.raises(DataError, match="line 21"):
        tuner.submit("nova-micro", [*chat, {"messages": []}])
    assert before == objects()


@pytest.mark.parametrize("name", ["", "x" * 21, "a_b", "a--b", "-a", "-".join("a" * 11)])
def test_a_name_that_bedrock_would_refuse_is_refused(tuner, chat, name):
    with pytest.raises(ConfigError, match="1 to 20 letters and digits"):
        tuner.submit("nova-micro", chat, name=name)


def test_the_longest_names_fit():
    """Name, key, digest, and an attempt of four digits, in what Bedrock allows."""
    for model in CATALOG:
        if model.provider == "bedrock" and model.unsupported is None:
            assert len(f"{'n' * 20}-{model.key}-{'d' * 16}-9999") <= 63, model.key


def test_the_same_is_the_same_whatever_is_not_trained_with(tuner, chat, sandbox):
    """Another name, place, tag, or a default spelled out: none of it is worth a second bill."""
    folder = f"{sandbox.deployment().data_locations[0]}elsewhere/"
    first = tuner.submit("nova-micro", chat)
    for again in (
        {"name": "other"},
        {"s3_path": folder},
        {"tags": {"team": "a"}},
        {"hyperparameters": {"epochCount": "2", "learningRate": 1e-5, "batchSize": 1}},
    ):
        assert first.id == tuner.submit("nova-micro", chat, **again).id
    assert len(list(tuner.jobs())) == 1


def test_what_has_succeeded_is_not_paid_for_again_because_a_rerun_was_stopped(tuner, chat, sandbox):
    first = tuner.submit("nova-micro", chat).wait()
    rerun = tuner.submit("nova-micro", chat, rerun=True)
    rerun.cancel()
    assert first.id == tuner.submit("nova-micro", chat).id
    sandbox.clock.advance(1000)
    assert first.id == tuner.submit("nova-micro", chat).id
    assert tuner.submit("nova-micro", chat, rerun=True).name[-2:] == "-3"


def test_a_job_that_is_being_stopped_is_tried_anew(tuner, chat):
    dying = tuner.submit("nova-micro", chat)
    dying.cancel()
    anew = tuner.submit("nova-micro", chat)
    assert anew.id != dying.id
    assert anew.wait().model


def test_a_job_is_not_lost_because_it_can_not_be_seen_at_once(tuner, chat, broken):
    """Everything after the create may fail: what is paid for is in hand."""
    broken("GetModelCustomizationJob", "AccessDeniedException", times=2)
    job = tuner.submit("nova-micro", chat)
    assert (job.info.state, job.base.key) == (JobState.PENDING, "nova-micro")
    with pytest.raises(AccessError, match="tuner policy"):
        job.status()


def test_a_storm_of_errors_does_not_end_a_wait(tuner, chat, broken):
    job = tuner.submit("nova-micro", chat)
    broken("GetModelCustomizationJob", "ThrottlingException", times=12)
    assert job.wait().model


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": None},
        {"model": 5},
        {"hyperparameters": ["epochCount"]},
        {"hyperparameters": {1: 2}},
        {"tags": ["a"]},
        {"tags": {"a": 1}},
        {"tags": {1: "a"}},
        {"tags": {"a": "Zürich"}},
        {"tags": {"aws:x": "1"}},
        {"tags": {"tunestack:stage": "1"}},
        {"tags": {f"k{n}": "v" for n in range(51)}},
        {"s3_path": 5},
        {"name": None},
        {"rerun": "no"},
        {"data_format": "parquet"},
    ],
    ids=str,
)
def test_an_argument_of_the_wrong_kind_is_one_clear_error(tuner, chat, arguments, objects):
    before = objects()
    with pytest.raises(ConfigError):
        tuner.submit(**{"model": "nova-micro", "data": chat} | arguments)
    assert before == objects()


@pytest.mark.parametrize("identifier", ["", None, 5, "a b", "\ud800"])
def test_what_is_no_id_is_one_clear_error(tuner, identifier):
    for attach in (tuner.job, tuner.endpoint):
        with pytest.raises(ConfigError, match=r"specify a name|expected text"):
            attach(identifier)


@pytest.mark.parametrize("nothing", [[], iter(())])
def test_validation_data_of_nothing_is_not_ignored(tuner, chat, nothing):
    with pytest.raises(DataError, match="validation data has 0 records"):
        tuner.submit("nova-micro", chat, validation_data=nothing)


def test_what_runs_is_seen_and_stopped_without_a_deployment(
    tuner, chat, sandbox, poll, monkeypatch
):
    """The stack may be gone, what it was made for is still billed."""
    job = tuner.submit("nova-micro", chat).wait()
    job.start_endpoint()
    other = tuner.submit("nova-micro", chat[:9])
    for name in sandbox.deployment().environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    gone = Tuner("nowhere", region="us-east-1", poll=poll)
    assert len(list(gone.jobs())) == 2
    assert gone.job(other.id).cancel()
    assert gone.job(job.id).metrics()
    (endpoint,) = gone.endpoints()
    endpoint.stop()
    assert list(gone.endpoints()) == []


def test_a_tuned_model_is_tuned_further(tuner, chat):
    first = tuner.submit("nova-micro", chat).wait()
    further = tuner.submit(first.model, chat[:10])
    assert further.id != first.id
    assert ":custom-model/amazon.nova-micro-v1:0:128k/" in further.wait().model
    first.start_endpoint()
    as_dspy_calls_it = f"bedrock/converse/{first.endpoint().id}"
    assert further.id == tuner.submit(as_dspy_calls_it, chat[:10]).id
    assert first.endpoint().name == tuner.endpoint(as_dspy_calls_it).name
    first.stop_endpoint()
    with pytest.raises(ModelError, match=r"was deleted.*job\.model"):
        tuner.submit(as_dspy_calls_it, chat[:10])


def test_a_job_that_is_not_shown_at_once_is_waited_for(tuner, chat, broken):
    job = tuner.submit("nova-micro", chat)
    broken("GetModelCustomizationJob", "ResourceNotFoundException", times=3)
    assert job.wait().model
    broken("GetModelCustomizationJob", "ResourceNotFoundException")
    with pytest.raises(NotFoundError):
        job.refresh()


def test_a_cancel_goes_through_a_storm_for_as_long_as_it_is_told(tuner, chat, broken):
    job = tuner.submit("nova-micro", chat)
    broken("StopModelCustomizationJob", "ThrottlingException", times=12)
    with pytest.raises(BusyError):
        job.cancel()
    assert job.cancel(timeout=600) is True
    assert job.status() == JobState.STOPPING


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/x.y/0123456789ab",
            r"job\.model",
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:custom-model/x.y/0123456789ab", "of the catalog"),
    ],
)
def test_an_arn_that_is_no_model_is_one_clear_error(tuner, chat, model, words):
    with pytest.raises(ModelError, match=words):
        tuner.submit(model, chat)


def test_an_inference_profile_is_a_name_of_its_base_model(tuner, chat):
    profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0"
    assert tuner.submit(profile, chat).base.key == "nova-micro"


def test_a_tuner_crosses_processes_without_its_credentials(sandbox, chat):
    deployment = sandbox.deployment()
    again = pickle.loads(pickle.dumps(Tuner("dev", deployment=deployment)))
    assert deployment.data_bucket in again.submit("nova-micro", chat).info.training_data


@pytest.mark.as_root
def test_the_stage_of_a_deployment_that_was_given_is_on_everything(sandbox, chat, poll):
    prod = dataclasses.replace(sandbox.deployment(), stage="prod")
    job = Tuner(deployment=prod, poll=poll).submit("nova-micro", chat).wait()
    job.start_endpoint()
    bedrock = boto3.client("bedrock")
    for arn in (job.id, job.endpoint().id):
        tags = bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
        assert {"key": "tunestack:stage", "value": "prod"} in tags
    job.stop_endpoint()
