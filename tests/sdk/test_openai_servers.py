"""OpenAI-compatible servers that behave differently from OpenAI."""

import json
import pickle
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import openai
import pytest

from tunestack import Tuner
from tunestack.backends.base import InferenceSettings
from tunestack.backends.openai.wire import endpoint_info
from tunestack.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InvalidRequestError,
    JobFailedError,
    NotFoundError,
    ProviderError,
)
from tunestack.records.conversation import from_messages
from tunestack_sandbox.messages import Response

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The openai package leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_retry_delays"),
]


class CompatibleServer:
    """An OpenAI-compatible server in front of the sandbox, with responses by method and end of the path."""

    def __init__(self, intercept, responses):
        self.responses, self.requests = responses, []
        intercept(self)

    def __call__(self, request):
        for (method, ending), response in self.responses.items():
            # One of the supported versions of the openai package quotes slashes in names.
            path = unquote(request.target.partition("?")[0])
            if request.method == method and path.startswith("/v1/") and path.endswith(ending):
                self.requests.append((method, request.target))
                body = response if isinstance(response, bytes) else json.dumps(response).encode()
                kind = "text/html" if body.startswith(b"<") else "application/json"
                return Response(status=200, headers={"Content-Type": kind}, body=body)
        return None


def build_job(**changes):
    """Return a job in the format of a compatible server."""
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


def test_server_without_file_expiry_is_supported(tuner, chat, intercept):
    def reject_expiry(request):
        if (request.method, request.target) == ("POST", "/v1/files") and b"expires" in request.body:
            error = {"message": "Unknown parameter: 'expires_after'", "type": "x", "code": None}
            return Response(status=400, body=json.dumps({"error": error}).encode())
        return None

    intercept(reject_expiry)
    assert tuner.submit(BASE, chat).wait().model
    (file,) = openai.OpenAI().files.list(purpose="fine-tune")
    assert file.expires_at is None


def test_model_id_of_another_server_is_sent_unchanged(tuner, chat, intercept, sent_requests):
    def serve_model(request):
        if request.target == "/v1/models/llama-3.1-8b":
            row = {"id": "llama-3.1-8b", "object": "model", "created": 1, "owned_by": "someone"}
            return Response(status=200, body=json.dumps(row).encode())
        return None

    intercept(serve_model)
    with pytest.raises(AccessError, match="not available for fine-tuning"):
        tuner.submit("openai/llama-3.1-8b", chat, hyperparameters={"n_epochs": 1})
    (body,) = [
        body
        for method, path, body in sent_requests
        if (method, path) == ("POST", "/fine_tuning/jobs")
    ]
    assert body["model"] == "llama-3.1-8b"


def test_job_that_fails_immediately_is_created_once(tuner, chat, intercept):
    failed = build_job(status="failed", error={"code": "oom", "message": "CUDA out of memory"})
    server = CompatibleServer(
        intercept,
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
    assert len([method for method, _ in server.requests if method == "POST"]) == 1


def test_lost_response_of_a_server_without_metadata_creates_no_second_job(
    tuner, chat, intercept, sandbox, caplog
):
    jobs: list[dict[str, Any]] = []

    def create_without_metadata(request):
        if (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs"):
            file = json.loads(request.body)["training_file"]
            jobs.append(build_job(id=f"job-{len(jobs)}", training_file=file))
            if len(jobs) == 1:
                return Response(status=504, body=b"{}")
            return Response(status=200, body=json.dumps(jobs[-1]).encode())
        if request.target.startswith("/v1/fine_tuning/jobs?"):
            return Response(status=200, body=json.dumps({**EMPTY, "data": jobs}).encode())
        return None

    intercept(create_without_metadata)
    with pytest.raises(ConflictError, match="job-0 may be this job"):
        tuner.submit(BASE, chat)
    assert len(jobs) == 1
    tuner.submit(BASE, chat)
    assert "this server stores no metadata" in caplog.text


def test_model_and_job_of_another_server_are_requested_from_it(tuner, chat, intercept):
    succeeded = build_job(status="succeeded", fine_tuned_model="org/Llama-tuned", id="job-2")
    CompatibleServer(
        intercept,
        {
            ("GET", "/models/openai/gpt-oss-20b"): {**MODEL, "id": "openai/gpt-oss-20b"},
            ("GET", "/models/org/Llama-tuned"): {**MODEL, "id": "org/Llama-tuned"},
            ("GET", "/fine_tuning/jobs"): EMPTY,
            ("POST", "/fine_tuning/jobs"): succeeded,
            ("GET", "/fine_tuning/jobs/job-2"): succeeded,
        },
    )
    job = tuner.submit("openai/openai/gpt-oss-20b", chat, hyperparameters={"n_epochs": 1}).wait()
    assert job.start_endpoint().name == "org/Llama-tuned"
    job.stop_endpoint()
    assert tuner.job("openai/job-2").id == "job-2"


def test_jobs_are_sorted_in_any_order_of_the_server(tuner, intercept):
    rows = [build_job(id=f"job-{day}", created_at=86_400 * day) for day in (1, 3, 2)]
    CompatibleServer(intercept, {("GET", "/fine_tuning/jobs"): {**EMPTY, "data": rows}})
    since = datetime.fromtimestamp(86_400 * 2, UTC)
    jobs = tuner.jobs(provider="openai", created_after=since)
    assert [job.id for job in jobs] == ["job-3", "job-2"]


def test_endless_list_is_not_read_to_its_end(tuner, chat, intercept):
    file = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "x"}
    page = {"object": "list", "data": [{**file, "purpose": "fine-tune", "status": "processed"}]}
    server = CompatibleServer(intercept, {("GET", "/files"): {**page, "has_more": True}})
    assert tuner.submit(BASE, chat)
    assert len(server.requests) <= 3


@pytest.mark.parametrize(
    "response",
    [
        b"<html>Welcome</html>",
        b"{}",
        b'{"id": "job-2", "status": "queued", "method": {}}',
        b'{"id": "job-2", "status": "queued", "created_at": "now", "model": "x"}',
        b'{"cut',
    ],
)
def test_invalid_response_raises_provider_error(tuner, intercept, response):
    CompatibleServer(intercept, {("GET", "/fine_tuning/jobs/ftjob-1"): response})
    with pytest.raises(ProviderError):
        tuner.job("ftjob-1").cancel()


def test_error_does_not_contain_the_request(tuner, intercept):
    def echo(request):
        if request.target.endswith("/chat/completions"):
            return Response(status=422, body=b'{"detail": [{"input": "my secret question"}]}')
        return None

    intercept(echo)
    with pytest.raises(InvalidRequestError) as caught:
        tuner._accounts.openai.backend().complete(
            endpoint_info("ft:x", None),
            from_messages([{"role": "user", "content": "my secret question"}]),
            InferenceSettings(),
        )
    assert "secret" not in str(caught.value)


def test_unpickled_tuner_uses_the_same_server(poll):
    client = openai.OpenAI(api_key="sk-mine", base_url="http://127.0.0.1:9/v1", project="proj_1")
    saved = pickle.dumps(Tuner(openai=client))
    assert b"sk-mine" not in saved
    loaded = pickle.loads(saved)._accounts.openai._connected_client
    assert (str(loaded.base_url), loaded.project) == ("http://127.0.0.1:9/v1/", "proj_1")


def test_invalid_base_url_raises_config_error():
    from tunestack.backends.openai.client import create_client

    with pytest.raises(ConfigError, match="base URL '::bad'"):
        create_client({"api_key": "sk-x", "base_url": "::bad"})


def test_given_client_is_used_for_all_calls(chat, poll, tuner):
    other_tuner = Tuner(openai=openai.OpenAI(api_key="sk-another"), poll=poll)
    job = other_tuner.submit(BASE, chat)
    with pytest.raises(NotFoundError):
        tuner.job(job.id)
    model = job.wait().model
    assert model is not None
    assert other_tuner.invoke(model, "What is number 7?") == "It is 7."
    with pytest.raises(AccessError, match="Incorrect API key"):
        Tuner(openai=openai.OpenAI(api_key="wrong"), poll=poll).job(job.id)
