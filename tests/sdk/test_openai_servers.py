"""Servers of other makers with OpenAI's fine-tuning API, and what they do differently."""

import json
import pickle
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import openai
import pytest

from tunestack import Tuner
from tunestack.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InvalidRequestError,
    JobFailedError,
    NotFoundError,
    ProviderError,
)
from tunestack_sandbox.messages import Response

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The package's own: sockets that it leaves to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_pauses"),
]


class Other:
    """Another maker's server before the sandbox: its answers, by method and the end of the path."""

    def __init__(self, intercepted, answers):
        self.answers, self.asked = answers, []
        intercepted(self)

    def __call__(self, request):
        for (method, ending), answer in self.answers.items():
            # Of the two that are supported, one version of the package quotes slashes in names.
            path = unquote(request.target.partition("?")[0])
            if request.method == method and path.startswith("/v1/") and path.endswith(ending):
                self.asked.append((method, request.target))
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                kind = "text/html" if body.startswith(b"<") else "application/json"
                return Response(status=200, headers={"Content-Type": kind}, body=body)
        return None


def theirs(**changes):
    """A job as other servers describe it."""
    return {
        "id": "job-2",
        "object": "fine_tuning.job",
        "model": "org/Llama",
        "created_at": 1_800_000_000,
        "status": "queued",
        "metadata": None,
        **changes,
    }


MODEL = {"id": "org/Llama", "object": "model", "created": 1, "owned_by": "someone"}


EMPTY = {"object": "list", "data": [], "has_more": False}


def test_a_server_that_keeps_files_for_ever_is_fine(tuner, chat, intercepted):
    def refuse(request):
        if (request.method, request.target) == ("POST", "/v1/files") and b"expires" in request.body:
            error = {"message": "Unknown parameter: 'expires_after'", "type": "x", "code": None}
            return Response(status=400, body=json.dumps({"error": error}).encode())
        return None

    intercepted(refuse)
    assert tuner.submit(BASE, chat).wait().model
    (file,) = openai.OpenAI().files.list(purpose="fine-tune")
    assert file.expires_at is None


def test_a_model_of_another_server_is_taken_as_it_is(tuner, chat, intercepted, wire):
    def other(request):
        if request.target == "/v1/models/llama-3.1-8b":
            row = {"id": "llama-3.1-8b", "object": "model", "created": 1, "owned_by": "someone"}
            return Response(status=200, body=json.dumps(row).encode())
        return None

    intercepted(other)
    with pytest.raises(AccessError, match="not available for fine-tuning"):
        tuner.submit("openai/llama-3.1-8b", chat, hyperparameters={"n_epochs": 1})
    (body,) = [
        body for method, path, body in wire if (method, path) == ("POST", "/fine_tuning/jobs")
    ]
    assert body["model"] == "llama-3.1-8b"


def test_a_job_that_fails_at_once_is_one_job_and_says_why(tuner, chat, intercepted):
    failed = theirs(status="failed", error={"code": "oom", "message": "CUDA out of memory"})
    other = Other(
        intercepted,
        {
            ("GET", "/models/org/Llama"): MODEL,
            ("GET", "/fine_tuning/jobs"): EMPTY,
            ("POST", "/fine_tuning/jobs"): failed,
            ("GET", "/fine_tuning/jobs/job-2"): failed,
        },
    )
    job = tuner.submit("openai/org/Llama", chat)
    with pytest.raises(JobFailedError, match="CUDA out of memory"):
        job.wait()
    assert len([method for method, _ in other.asked if method == "POST"]) == 1


def test_on_a_server_without_metadata_a_lost_answer_makes_no_second_job(
    tuner, chat, intercepted, sandbox, caplog
):
    made: list[dict[str, Any]] = []

    def forgetful(request):
        if (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs"):
            file = json.loads(request.body)["training_file"]
            made.append(theirs(id=f"job-{len(made)}", training_file=file))
            if len(made) == 1:
                return Response(status=504, body=b"{}")
            return Response(status=200, body=json.dumps(made[-1]).encode())
        if request.target.startswith("/v1/fine_tuning/jobs?"):
            return Response(status=200, body=json.dumps({**EMPTY, "data": made}).encode())
        return None

    intercepted(forgetful)
    with pytest.raises(ConflictError, match="job-0 may be this job"):
        tuner.submit(BASE, chat)
    assert len(made) == 1
    tuner.submit(BASE, chat)
    assert "this server stores no metadata" in caplog.text


def test_what_another_server_has_is_asked_there(tuner, chat, intercepted):
    done = theirs(status="succeeded", fine_tuned_model="org/Llama-tuned", id="job-2")
    Other(
        intercepted,
        {
            ("GET", "/models/openai/gpt-oss-20b"): {**MODEL, "id": "openai/gpt-oss-20b"},
            ("GET", "/models/org/Llama-tuned"): {**MODEL, "id": "org/Llama-tuned"},
            ("GET", "/fine_tuning/jobs"): EMPTY,
            ("POST", "/fine_tuning/jobs"): done,
            ("GET", "/fine_tuning/jobs/job-2"): done,
        },
    )
    job = tuner.submit("openai/openai/gpt-oss-20b", chat, hyperparameters={"n_epochs": 1}).wait()
    assert job.start_endpoint().name == "org/Llama-tuned"
    job.stop_endpoint()
    assert tuner.job("openai/job-2").id == "job-2"


def test_in_which_order_a_server_lists_jobs_does_not_matter(tuner, intercepted):
    rows = [theirs(id=f"job-{day}", created_at=86_400 * day) for day in (1, 3, 2)]
    Other(intercepted, {("GET", "/fine_tuning/jobs"): {**EMPTY, "data": rows}})
    since = datetime.fromtimestamp(86_400 * 2, UTC)
    found = tuner.jobs(provider="openai", created_after=since)
    assert [job.id for job in found] == ["job-3", "job-2"]


def test_a_list_that_never_ends_is_left(tuner, chat, intercepted):
    file = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "x"}
    page = {"object": "list", "data": [{**file, "purpose": "fine-tune", "status": "processed"}]}
    other = Other(intercepted, {("GET", "/files"): {**page, "has_more": True}})
    assert tuner.submit(BASE, chat)
    assert len(other.asked) <= 3


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Welcome</html>",
        b"{}",
        b'{"id": "job-2", "status": "queued", "method": {}}',
        b'{"id": "job-2", "status": "queued", "created_at": "now", "model": "x"}',
        b'{"cut',
    ],
)
def test_an_answer_that_is_none_is_an_error_of_ours(tuner, intercepted, answer):
    Other(intercepted, {("GET", "/fine_tuning/jobs/ftjob-1"): answer})
    with pytest.raises(ProviderError):
        tuner.job("ftjob-1").cancel()


def test_what_was_asked_is_not_in_the_error(tuner, intercepted):
    def echo(request):
        if request.target.endswith("/chat/completions"):
            return Response(status=422, body=b'{"detail": [{"input": "my secret question"}]}')
        return None

    intercepted(echo)
    with pytest.raises(InvalidRequestError) as caught:
        tuner._accounts.openai.backend().invoke(
            "ft:x", [{"role": "user", "content": "my secret question"}]
        )
    assert "secret" not in str(caught.value)


def test_a_tuner_that_is_loaded_asks_the_same_server(poll):
    client = openai.OpenAI(api_key="sk-mine", base_url="http://127.0.0.1:9/v1", project="proj_1")
    saved = pickle.dumps(Tuner(openai=client))
    assert b"sk-mine" not in saved
    loaded = pickle.loads(saved)._accounts.openai._connected_client
    assert (str(loaded.base_url), loaded.project) == ("http://127.0.0.1:9/v1/", "proj_1")


def test_a_base_url_that_is_none_is_a_setting_to_mend():
    from tunestack.backends.openai.client import create_client

    with pytest.raises(ConfigError, match="base URL '::bad'"):
        create_client({"api_key": "sk-x", "base_url": "::bad"})


def test_the_client_that_is_given_is_the_one_that_calls(chat, poll, tuner):
    mine = Tuner(openai=openai.OpenAI(api_key="sk-another"), poll=poll)
    job = mine.submit(BASE, chat)
    with pytest.raises(NotFoundError):
        tuner.job(job.id)
    model = job.wait().model
    assert model is not None
    assert mine.invoke(model, "What is number 7?") == "It is 7."
    with pytest.raises(AccessError, match="Incorrect API key"):
        Tuner(openai=openai.OpenAI(api_key="wrong"), poll=poll).job(job.id)
