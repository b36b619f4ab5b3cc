"""Submitting, attaching, following and stopping jobs, on the sandbox."""

import dataclasses
import gc
import json
import os
import pickle
import weakref
from datetime import timedelta

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


def test_job_from_submit_to_custom_model(tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat, hyperparameters=SETTINGS)
    observations = [(info.state, info.phase) for info in job.watch(timedelta(hours=9))]
    assert observations[0] == (JobState.PENDING, "validation")
    assert (JobState.PENDING, "data processing") in observations
    assert (JobState.RUNNING, "training") in observations
    assert observations[-1] == (JobState.SUCCEEDED, None)
    info = job.wait().refresh()
    # Bedrock adds the defaults of hyperparameters that were not sent.
    sent = {"epochCount": "3", "batchSize": "4", "learningRate": "0.00001"}
    assert sent.items() <= info.hyperparameters.items()
    assert ":custom-model/amazon.nova-micro-v1:0:128k/" in job.model
    assert info.training_data.startswith(sandbox.deployment().data_locations[0])
    assert job.metrics()[0].keys() >= {"step_number", "epoch_number", "training_loss"}
    assert info.training_loss == job.metrics()[-1]["training_loss"]


def test_unused_tuner_leaves_no_clients(sandbox):
    clients = []

    class Session(boto3.Session):
        def client(self, *arguments, **options):
            client = super().client(*arguments, **options)
            clients.append(weakref.ref(client))
            return client

    tuner = Tuner(session=Session())
    list(tuner.jobs())
    assert clients
    del tuner
    gc.collect()
    assert [client() for client in clients] == [None] * len(clients)


def test_uploaded_data_has_all_records(tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat)
    bucket, _, key = job.refresh().training_data.removeprefix("s3://").partition("/")
    content = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    questions = [
        json.loads(line)["messages"][0]["content"][0]["text"] for line in content.splitlines()
    ]
    assert [row["messages"][0]["content"] for row in chat] == questions


def test_validation_data_adds_validation_losses(tuner, chat):
    job = tuner.submit("nova-micro", chat, validation_data=chat[:2]).wait()
    assert "validation_loss" in job.metrics()[-1]
    assert job.refresh().validation_loss == pytest.approx(
        job.refresh().training_loss * 1.1, rel=1e-3
    )


def test_identical_submission_returns_the_same_job(tuner, chat):
    first = tuner.submit("nova-micro", chat, hyperparameters=SETTINGS)
    second = Tuner(poll=Poll()).submit("amazon.nova-micro-v1:0", chat, hyperparameters=SETTINGS)
    assert first.id == second.id
    first.wait()
    assert first.id == tuner.submit("nova-micro", chat, hyperparameters=SETTINGS).id
    assert len(list(tuner.jobs())) == 1


def test_different_submission_creates_another_job(tuner, chat):
    jobs = [
        tuner.submit("nova-micro", chat),
        tuner.submit("nova-lite", chat),
        tuner.submit("nova-micro", chat[:-1]),
        tuner.submit("nova-micro", chat, validation_data=chat[:1]),
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}),
    ]
    assert len(jobs) == len({job.id for job in jobs}) == len({job.name for job in jobs})


def test_stopped_job_is_submitted_again_and_rerun_creates_another(tuner, chat):
    first = tuner.submit("nova-micro", chat)
    assert first.cancel()
    with pytest.raises(JobStoppedError, match="billed"):
        first.wait()
    second = tuner.submit("nova-micro", chat)
    assert [f"{first.name[:-2]}-1", f"{first.name[:-2]}-2"] == [first.name, second.name]
    third = tuner.submit("nova-micro", chat, rerun=True)
    assert third.name.endswith("-3")
    assert third.id == tuner.submit("nova-micro", chat).id


def test_job_can_be_attached_with_its_id_or_name(tuner, chat, monkeypatch):
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


def test_jobs_are_listed_newest_first(tuner, chat, sandbox):
    for number in range(3):
        tuner.submit("nova-micro", chat[number:], name=f"n{number}")
        sandbox.clock.advance(1)
    assert [job.name[:2] for job in tuner.jobs()] == ["n2", "n1", "n0"]
    assert [job.name[:2] for job in tuner.jobs(name_contains="n1-")] == ["n1"]


def test_cancelled_job_is_stopped_and_cancel_returns_false(tuner, chat):
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


def test_error_of_a_failed_job_has_the_message_of_bedrock(tuner, chat):
    job = tuner.submit("nova-micro", chat[:15])
    bucket, _, key = job.refresh().training_data.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"invalid")
    with pytest.raises(JobFailedError, match="conform to JSONL format") as failed:
        job.wait()
    assert failed.value.reason.startswith("Unable to parse Amazon S3 file")


def test_job_goes_on_after_a_wait_timed_out(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(JobTimeoutError, match="it continues: wait again") as raised:
        job.wait(timeout=60)
    assert isinstance(raised.value, TimeoutError)
    assert job.wait().info.state == JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("model", "settings", "kind", "message"),
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
def test_invalid_model_or_hyperparameter_is_rejected_before_the_upload(
    tuner, chat, list_training_files, requests, model, settings, kind, message
):
    before, sent = list_training_files(), requests.sdk_counts.copy()
    with pytest.raises(kind, match=message):
        tuner.submit(f"bedrock/{model}", chat, hyperparameters=settings)
    assert before == list_training_files()
    sent = requests.sdk_counts - sent
    assert {("s3", "PutObject"), ("bedrock", "CreateModelCustomizationJob")}.isdisjoint(sent)


def test_invalid_data_is_rejected_before_the_upload(tuner, chat, list_training_files):
    before = list_training_files()
    with pytest.raises(DataError, match="line 21"):
        tuner.submit("nova-micro", [*chat, {"messages": []}])
    assert before == list_training_files()


@pytest.mark.parametrize("name", ["", "x" * 21, "a_b", "a--b", "-a", "-".join("a" * 11)])
def test_name_that_bedrock_rejects_is_rejected(tuner, chat, name):
    with pytest.raises(ConfigError, match="1 to 20 letters and digits"):
        tuner.submit("nova-micro", chat, name=name)


def test_longest_job_names_are_accepted_by_bedrock():
    """A job name has a prefix, a model key, a digest and the number of the attempt, here with four digits."""
    for model in CATALOG:
        if model.provider == "bedrock" and model.unsupported is None:
            assert len(f"{'n' * 20}-{model.key}-{'d' * 16}-9999") <= 63, model.key


def test_arguments_that_do_not_affect_training_create_no_second_job(tuner, chat, sandbox):
    """A name, S3 location, tag or explicit default does not affect training."""
    folder = f"{sandbox.deployment().data_locations[0]}elsewhere/"
    first = tuner.submit("nova-micro", chat)
    for arguments in (
        {"name": "other"},
        {"s3_path": folder},
        {"tags": {"team": "a"}},
        {"hyperparameters": {"epochCount": "2", "learningRate": 1e-5, "batchSize": 1}},
    ):
        assert first.id == tuner.submit("nova-micro", chat, **arguments).id
    assert len(list(tuner.jobs())) == 1


def test_succeeded_job_is_returned_after_its_rerun_was_stopped(tuner, chat, sandbox):
    first = tuner.submit("nova-micro", chat).wait()
    rerun = tuner.submit("nova-micro", chat, rerun=True)
    rerun.cancel()
    assert first.id == tuner.submit("nova-micro", chat).id
    sandbox.clock.advance(1000)
    assert first.id == tuner.submit("nova-micro", chat).id
    assert tuner.submit("nova-micro", chat, rerun=True).name[-2:] == "-3"


def test_job_that_is_stopping_is_submitted_again(tuner, chat):
    stopping = tuner.submit("nova-micro", chat)
    stopping.cancel()
    second = tuner.submit("nova-micro", chat)
    assert second.id != stopping.id
    assert second.wait().model


def test_job_is_returned_if_it_can_not_be_read_after_its_creation(tuner, chat, inject_error):
    """All requests after the creation can fail, but the caller gets the job that is billed."""
    inject_error("GetModelCustomizationJob", "AccessDeniedException", times=2)
    job = tuner.submit("nova-micro", chat)
    assert (job.info.state, job.base.key) == (JobState.PENDING, "nova-micro")
    with pytest.raises(AccessError, match="tuner policy"):
        job.status()


def test_repeated_throttling_does_not_end_a_wait(tuner, chat, inject_error):
    job = tuner.submit("nova-micro", chat)
    inject_error("GetModelCustomizationJob", "ThrottlingException", times=12)
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
def test_argument_of_the_wrong_type_raises_config_error(
    tuner, chat, arguments, list_training_files
):
    before = list_training_files()
    with pytest.raises(ConfigError):
        tuner.submit(**{"model": "nova-micro", "data": chat} | arguments)
    assert before == list_training_files()


@pytest.mark.parametrize("identifier", ["", None, 5, "a b", "\ud800"])
def test_invalid_identifier_raises_config_error(tuner, identifier):
    for attach in (tuner.job, tuner.endpoint):
        with pytest.raises(ConfigError, match=r"specify a name|expected text"):
            attach(identifier)


@pytest.mark.parametrize("empty", [[], iter(())])
def test_empty_validation_data_is_rejected(tuner, chat, empty):
    with pytest.raises(DataError, match="validation data has 0 records"):
        tuner.submit("nova-micro", chat, validation_data=empty)


def test_jobs_and_endpoints_can_be_stopped_without_a_deployment(
    tuner, chat, sandbox, poll, monkeypatch, retry_at_once
):
    """Jobs and endpoints are still billed after the stack was deleted."""
    job = tuner.submit("nova-micro", chat).wait()
    job.start_endpoint()
    other = tuner.submit("nova-micro", chat[:9])
    for name in sandbox.deployment().environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    other_tuner = Tuner("nowhere", region="us-east-1", poll=poll)
    assert len(list(other_tuner.jobs())) == 2
    assert other_tuner.job(other.id).cancel()
    assert other_tuner.job(job.id).metrics()
    (endpoint,) = other_tuner.endpoints()
    endpoint.stop()
    assert list(other_tuner.endpoints()) == []


def test_custom_model_can_be_fine_tuned_again(tuner, chat):
    first = tuner.submit("nova-micro", chat).wait()
    second = tuner.submit(first.model, chat[:10])
    assert second.id != first.id
    assert ":custom-model/amazon.nova-micro-v1:0:128k/" in second.wait().model
    first.start_endpoint()
    dspy_name = f"bedrock/converse/{first.endpoint().id}"
    assert second.id == tuner.submit(dspy_name, chat[:10]).id
    assert first.endpoint().name == tuner.endpoint(dspy_name).name
    first.stop_endpoint()
    with pytest.raises(ModelError, match=r"was deleted.*job\.model"):
        tuner.submit(dspy_name, chat[:10])


def test_wait_continues_while_a_new_job_is_not_visible(tuner, chat, inject_error):
    job = tuner.submit("nova-micro", chat)
    inject_error("GetModelCustomizationJob", "ResourceNotFoundException", times=3)
    assert job.wait().model
    inject_error("GetModelCustomizationJob", "ResourceNotFoundException")
    with pytest.raises(NotFoundError):
        job.refresh()


def test_cancel_is_retried_until_its_timeout(tuner, chat, inject_error):
    job = tuner.submit("nova-micro", chat)
    inject_error("StopModelCustomizationJob", "ThrottlingException", times=12)
    with pytest.raises(BusyError):
        job.cancel()
    assert job.cancel(timeout=600) is True
    assert job.status() == JobState.STOPPING


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/x.y/0123456789ab",
            r"job\.model",
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:custom-model/x.y/0123456789ab", "of the catalog"),
    ],
)
def test_arn_that_is_not_of_a_custom_model_raises_model_error(tuner, chat, model, message):
    with pytest.raises(ModelError, match=message):
        tuner.submit(model, chat)


def test_inference_profile_is_resolved_to_its_base_model(tuner, chat):
    profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0"
    assert tuner.submit(profile, chat).base.key == "nova-micro"


def test_unpickled_tuner_submits_jobs(sandbox, chat):
    deployment = sandbox.deployment()
    unpickled = pickle.loads(pickle.dumps(Tuner("dev", deployment=deployment)))
    assert deployment.data_bucket in unpickled.submit("nova-micro", chat).info.training_data


@pytest.mark.as_root
def test_resources_are_tagged_with_the_stage_of_the_given_deployment(sandbox, chat, poll):
    prod = dataclasses.replace(sandbox.deployment(), stage="prod")
    job = Tuner(deployment=prod, poll=poll).submit("nova-micro", chat).wait()
    job.start_endpoint()
    bedrock = boto3.client("bedrock")
    for arn in (job.id, job.endpoint().id):
        tags = bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
        assert {"key": "tunestack:stage", "value": "prod"} in tags
    job.stop_endpoint()
