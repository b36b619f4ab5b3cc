"""`Job` and `Endpoint` can be pickled without credentials, copied, compared, and used in another process."""

import copy
import os
import pickle
import subprocess
import sys

import boto3
import cloudpickle
import openai
import pytest

from tests.parameters import every
from tunestack import Deployment, Poll, Tuner
from tunestack.endpoints.endpoint import Endpoint
from tunestack.jobs.job import Job

COPY_METHODS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "in a list": lambda value: copy.deepcopy([value])[0],
}
GPT = "gpt-4o-mini-2024-07-18"


@pytest.fixture(params=["bedrock", "openai"])
def handle(request, tuner, chat):
    """Return a finished job of each provider."""
    return tuner.submit("nova-micro" if request.param == "bedrock" else GPT, chat).wait()


@pytest.mark.parametrize("method", every(2, COPY_METHODS))
def test_copied_job_is_equal_and_can_be_used(handle, method):
    copied = COPY_METHODS[method](handle)
    assert type(copied) is Job
    assert copied is not handle
    assert (handle, hash(handle)) == (copied, hash(copied))
    assert {handle} == {handle, copied}
    assert handle.info == copied.info
    assert handle.refresh().model == copied.refresh().model
    assert handle.metrics() == copied.metrics()
    # The sleep function is not copied, so the first handle advances the sandbox's clock.
    handle.start_endpoint()
    assert copied.start_endpoint() == handle.endpoint()
    assert handle.endpoint() == copied.endpoint()


@pytest.mark.parametrize("method", every(2, COPY_METHODS))
def test_copied_endpoint_is_equal_and_can_be_used(handle, method):
    handle.start_endpoint()
    endpoint = handle.endpoint()
    copied = COPY_METHODS[method](endpoint)
    assert type(copied) is Endpoint
    assert copied is not endpoint
    assert (endpoint, hash(endpoint)) == (copied, hash(copied))
    assert copied.invoke("What is number 7?") == "It is 7."


def test_handles_of_different_jobs_are_not_equal(tuner, chat, job):
    other = tuner.submit("nova-micro", chat[:9])
    assert job != other
    assert job != job.id
    assert job == tuner.job(job.id)
    assert job in list(tuner.jobs())
    assert len({job, other, tuner.job(job.id), *tuner.jobs()}) == 2


def test_new_job_can_be_pickled(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    copied = pickle.loads(pickle.dumps(job))
    assert job == copied
    assert copied.status()


def test_pickled_job_keeps_poll_and_deployment(sandbox, chat):
    deployment = sandbox.deployment()
    tuner = Tuner("dev", deployment=deployment, poll=Poll(first=2, longest=3, events=False))
    copied = pickle.loads(pickle.dumps(tuner.submit("nova-micro", chat)))
    assert (copied._poll.first, copied._poll.longest, copied._poll.events) == (2, 3, False)
    assert deployment == copied.backend._deployment
    assert isinstance(copied.backend._deployment, Deployment)


def test_pickled_handles_have_no_credentials(sandbox, poll, chat):
    session = boto3.Session(
        aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key="a-secret-of-this-test",
        aws_session_token=os.environ.get("AWS_SESSION_TOKEN"),
    )
    client = openai.OpenAI(api_key="sk-my-own-key")
    tuner = Tuner(session=session, openai=client, poll=poll)
    secrets = ["sk-my-own-key", "a-secret-of-this-test"]
    for model in ("nova-micro", GPT):
        job = tuner.submit(model, chat).wait()
        job.start_endpoint()
        for value in (job, job.endpoint()):
            data = pickle.dumps(value)
            assert not [secret for secret in secrets if secret.encode() in data]


def test_unpickled_handles_can_be_used_in_another_process(handle):
    handle.start_endpoint()
    data = pickle.dumps((handle, handle.endpoint()))
    code = (
        "import pickle, sys\n"
        "job, endpoint = pickle.loads(sys.stdin.buffer.read())\n"
        "print(job.wait().refresh().model, endpoint.invoke('What is number 7?'))\n"
        "print(job.endpoint() == endpoint)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True
    )
    assert f"{handle.model} It is 7.\nTrue\n" == process.stdout.decode()
