"""What is true for OpenAI only is not claimed for other servers, and servers that can't be supported are refused."""

import json
from datetime import UTC, datetime

import openai
import pytest

from tests.sdk.test_openai_servers import CompatibleServer, build_job
from tunestack import Poll, Tuner
from tunestack.backends.openai.servers import is_openai
from tunestack.errors import BusyError, ConfigError, JobFailedError, JobStoppedError, ModelError
from tunestack_sandbox.messages import Response

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The openai package leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_retry_delays"),
]


@pytest.fixture
def other_server(intercept):
    """Serve OpenAI's model as a server that is not OpenAI."""
    details = {"id": BASE.removeprefix("openai/"), "object": "model", "created": 1}
    row = {**details, "owned_by": "someone"}
    succeeded = build_job(status="succeeded", fine_tuned_model="mine", metadata={})
    return CompatibleServer(
        intercept,
        {
            ("GET", f"/models/{row['id']}"): row,
            ("POST", "/fine_tuning/jobs"): succeeded,
            ("GET", "/fine_tuning/jobs/job-2"): succeeded,
        },
    )


@pytest.fixture
def after_the_last_day(sandbox):
    last = datetime(2027, 1, 7, tzinfo=UTC)
    sandbox.clock.advance((last - sandbox.clock.now()).total_seconds())


@pytest.mark.usefixtures("after_the_last_day")
def test_dates_of_openai_apply_to_openai_only(tuner, chat, poll, request, caplog):
    with pytest.raises(ModelError, match="has not accepted new jobs since 2027-01-06"):
        tuner.submit(BASE, chat)
    request.getfixturevalue("other_server")
    caplog.clear()
    tuner = Tuner(poll=poll)
    assert tuner.submit(BASE, chat).wait().model == "mine"
    assert "is shut down on" not in caplog.text
    (check,) = (row for row in tuner.preflight(BASE) if row.name.startswith("model "))
    assert "2027" not in check.detail


def test_cost_estimate_for_another_server_ignores_the_dates_of_openai(chat, monkeypatch):
    monkeypatch.setattr("tunestack._utils.clock.today", datetime(2027, 2, 1, tzinfo=UTC).date)
    with pytest.raises(ModelError, match="was retired on 2027-01-14"):
        Tuner(openai=openai.OpenAI(base_url="https://eu.api.openai.com/v1", api_key="key")).cost(
            BASE, chat
        )
    assert Tuner(openai=openai.OpenAI(base_url="https://models.example/v1", api_key="key")).cost(
        BASE, chat
    )


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.openai.com/v1/", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://api.openai.com.example/v1", False),
        ("https://gateway.example/api.openai.com/v1", False),
        ("http://127.0.0.1:8000", False),
    ],
)
def test_openai_is_detected_from_the_host(base_url, expected):
    assert is_openai(base_url) is expected


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("https://resource.openai.azure.com/openai/v1/", "Azure OpenAI is not supported: .* hour"),
        ("https://resource.services.ai.azure.com/openai/v1/", "Azure OpenAI is not supported"),
        ("https://bedrock-mantle.us-east-1.api.aws/v1", "only reinforcement fine-tuning there"),
    ],
)
def test_unsupported_servers_are_refused_before_a_request(chat, base_url, message):
    tuner = Tuner(openai=openai.OpenAI(base_url=base_url, api_key="key"))
    for call in (tuner.submit, tuner.cost):
        with pytest.raises(ConfigError, match=message):
            call(BASE, chat)


def test_azure_client_is_refused(chat):
    client = openai.AzureOpenAI(
        azure_endpoint="https://resource.openai.azure.com", api_key="key", api_version="2024-10-21"
    )
    with pytest.raises(ConfigError, match="Azure OpenAI is not supported"):
        Tuner(openai=client).submit(BASE, chat)


def test_job_of_a_server_that_says_pending_waits_as_in_a_queue(intercept):
    clock = [0.0]
    poll = Poll(
        sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds), clock=lambda: clock[0]
    )
    states = iter(["pending"] * 40 + ["running", "succeeded"])

    def serve(request):
        if "/fine_tuning/jobs/job-2" not in request.target:
            return None
        word = next(states)
        model = "gpt.ft-0123" if word == "succeeded" else None
        body = build_job(status=word, fine_tuned_model=model)
        return Response(status=200, body=json.dumps(body).encode())

    intercept(serve)
    job = Tuner(poll=poll).job("openai/job-2").wait(timeout=12 * 3600)
    assert job.model == "gpt.ft-0123"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": "canceled", "finished_at": None}, JobStoppedError),
        ({"status": "aborted", "finished_at": 1_800_000_100}, JobFailedError),
    ],
)
def test_end_of_a_job_is_detected_by_other_words(tuner, intercept, changes, error):
    CompatibleServer(intercept, {("GET", "/fine_tuning/jobs/job-2"): build_job(**changes)})
    with pytest.raises(error):
        tuner.job("openai/job-2").wait(timeout=60)


def test_unknown_word_of_a_finished_job_with_a_model_is_success(tuner, intercept):
    finished = build_job(status="done", finished_at=1_800_000_100, fine_tuned_model="org/mine")
    CompatibleServer(intercept, {("GET", "/fine_tuning/jobs/job-2"): finished})
    job = tuner.job("openai/job-2").wait(timeout=60)
    assert (job.model, job.info.raw_state) == ("org/mine", "done")


class SlowFiles:
    """A server that refuses jobs until it was asked for the file this many times."""

    def __init__(self, intercept, times, status="pending"):
        self.times, self.status, self.creates = times, status, 0
        intercept(self)

    def __call__(self, request):
        path = request.target.partition("?")[0]
        if (request.method, path) == ("POST", "/v1/fine_tuning/jobs"):
            self.creates += 1
            if self.times > 0:
                error = {"message": "The file is not ready.", "type": "x", "code": "invalidPayload"}
                return Response(status=400, body=json.dumps({"error": error}).encode())
        elif request.method == "GET" and path.startswith("/v1/files/"):
            self.times -= 1
            row = {"id": path.rsplit("/", 1)[1], "object": "file", "status": self.status}
            return Response(status=200, body=json.dumps(row).encode())
        return None


def test_job_waits_until_its_file_is_processed(tuner, chat, intercept):
    server = SlowFiles(intercept, 3)
    assert tuner.submit(BASE, chat).wait().model
    assert server.creates == 4
    assert len(list(tuner.jobs(provider="openai"))) == 1


def test_wait_for_a_file_ends_with_an_error_that_names_it(tuner, chat, intercept):
    SlowFiles(intercept, 10_000)
    with pytest.raises(BusyError, match=r"still processing training_file file-\w+ \(pending\)"):
        tuner.submit(BASE, chat)


def test_job_with_an_invalid_file_is_refused_at_once(tuner, chat, intercept):
    server = SlowFiles(intercept, 10_000, status="error")
    with pytest.raises(Exception, match="The file is not ready"):
        tuner.submit(BASE, chat)
    assert server.creates == 1
