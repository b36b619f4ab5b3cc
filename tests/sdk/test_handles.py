"""`Job` and `Endpoint` can be pickled, copied, and compared; without credentials, and of use in another process."""

import copy
import os
import pickle
import subprocess
import sys

import boto3
import cloudpickle
import openai
import pytest

from tunestack import Deployment, Poll, Tuner
from tunestack.endpoints.endpoint import Endpoint
from tunestack.jobs.job import Job

WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "in a list": lambda value: copy.deepcopy([value])[0],
}
GPT = "gpt-4o-mini-2024-07-18"


@pytest.fixture(params=["bedrock", "openai"])
def handle(request, tuner, chat):
    """A finished job of either provider."""
    return tuner.submit("nova-micro" if request.param == "bedrock" else GPT, chat).wait()


@pytest.mark.parametrize("way", WAYS)
def test_a_job_is_the_same_job_again_and_works(handle, way):
    again = WAYS[way](handle)
    assert type(again) is Job
    assert again is not handle
    assert (handle, hash(handle)) == (again, hash(again))
    assert {handle} == {handle, again}
    assert handle.info == again.info
    assert handle.refresh().model == again.refresh().model
    assert handle.metrics() == again.metrics()
    # What pauses is of this process, and not kept: the sandbox's clock is turned by the first handle.
    handle.start_endpoint()
    assert again.start_endpoint() == handle.endpoint()
    assert handle.endpoint() == again.endpoint()


@pytest.mark.parametrize("way", WAYS)
def test_an_endpoint_is_the_same_endpoint_again_and_works(handle, way):
    handle.start_endpoint()
    endpoint = handle.endpoint()
    again = WAYS[way](endpoint)
    assert type(again) is Endpoint
    assert again is not endpoint
    assert (endpoint, hash(endpoint)) == (again, hash(again))
    assert again.invoke("What is number 7?") == "It is 7."


def test_handles_of_others_are_not_equal(tuner, chat, job):
    other = tuner.submit("nova-micro", chat[:9])
    assert job != other
    assert job != job.id
    assert job == tuner.job(job.id)
    assert job in list(tuner.jobs())
    assert len({job, other, tuner.job(job.id), *tuner.jobs()}) == 2


def test_a_job_that_was_just_submitted_can_be_pickled(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    again = pickle.loads(pickle.dumps(job))
    assert job == again
    assert again.status()


def test_what_was_specified_is_kept(sandbox, chat):
    deployment = sandbox.deployment()
    tuner = Tuner("dev", deployment=deployment, poll=Poll(first=2, longest=3, events=False))
    again = pickle.loads(pickle.dumps(tuner.submit("nova-micro", chat)))
    assert (again._poll.first, again._poll.longest, again._poll.events) == (2, 3, False)
    assert deployment == again.backend._deployment
    assert isinstance(again.backend._deployment, Deployment)


def test_no_credentials_are_kept(sandbox, poll, chat):
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


def test_in_another_process_they_find_credentials_and_work(handle):
    handle.start_endpoint()
    data = pickle.dumps((handle, handle.endpoint()))
    code = (
        "import pickle, sys\n"
        "job, endpoint = pickle.loads(sys.stdin.buffer.read())\n"
        "print(job.wait().refresh().model, endpoint.invoke('What is number 7?'))\n"
        "print(job.endpoint() == endpoint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert f"{handle.model} It is 7.\nTrue\n" == done.stdout.decode()
