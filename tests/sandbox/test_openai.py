"""OpenAI in the sandbox, called with the openai package; each response is checked against its types."""

import json
import urllib.request

import openai
import pytest

from tunestack_sandbox.messages import Response
from tunestack_sandbox.openai.operations import OPERATIONS
from tunestack_sandbox.openai.response_types import RESPONSE_TYPES, ResponseTypes

MODEL = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def client(sandbox):
    return openai.OpenAI(max_retries=0)


def lines(count=10, **more):
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What is number {number}?"},
                {"role": "assistant", "content": f"It is {number}."},
            ],
            **more,
        }
        for number in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def uploaded(client, content, **how):
    return client.files.create(file=("train.jsonl", content), purpose="fine-tune", **how).id


@pytest.fixture
def trained(client, sandbox):
    job = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=uploaded(client, lines()),
        validation_file=uploaded(client, lines(2)),
    )
    sandbox.clock.advance(10_000)
    return client.fine_tuning.jobs.retrieve(job.id)


def test_every_operation_returns_its_type(client, trained, sandbox, monkeypatch):
    """Call the whole API once: the sandbox validates each response and finds no violations."""
    validated = set()
    validate = ResponseTypes.validate

    def record(self, name, response):
        validated.add(name)
        return validate(self, name, response)

    monkeypatch.setattr(ResponseTypes, "validate", record)
    jobs, file = client.fine_tuning.jobs, uploaded(client, lines())
    client.files.retrieve(file)
    assert lines() == client.files.content(file).read()
    assert len(list(client.files.list())) == 4
    half = client.uploads.create(
        bytes=8, filename="x.jsonl", mime_type="text/jsonl", purpose="fine-tune"
    )
    parts = [client.uploads.parts.create(half.id, data=data).id for data in (b"5678", b"1234")]
    done = client.uploads.complete(half.id, part_ids=parts[::-1])
    assert client.files.content(done.file.id).read() == b"12345678"
    other = client.uploads.create(
        bytes=8, filename="x.jsonl", mime_type="text/jsonl", purpose="fine-tune"
    )
    assert client.uploads.cancel(other.id).status == "cancelled"
    job = jobs.create(model=MODEL, training_file=file)
    sandbox.clock.advance(1000)
    assert jobs.pause(job.id).status == "paused"
    assert jobs.resume(job.id).status == "running"
    assert jobs.cancel(job.id).status == "cancelled"
    assert [job.id, trained.id] == [row.id for row in jobs.list()]
    assert trained.id == jobs.retrieve(trained.id).id
    assert next(iter(jobs.list_events(trained.id))).message == "The job has successfully completed"
    assert len(list(jobs.checkpoints.list(trained.id))) == 3
    names = [model.id for model in client.models.list()]
    assert {MODEL, trained.fine_tuned_model} <= set(names)
    assert client.models.retrieve(MODEL).shutdown_date == "2027-01-14"
    answer = client.chat.completions.create(
        model=trained.fine_tuned_model, messages=[{"role": "user", "content": "Number 7?"}]
    )
    assert answer.choices[0].message.content == "It is 7."
    client.models.delete(trained.fine_tuned_model)
    client.files.delete(file)
    operations = {operation.name for operation in OPERATIONS}
    assert operations - validated == set()
    assert RESPONSE_TYPES.keys() == operations - {"downloadFile"}


def test_a_response_with_a_wrong_type_is_detected():
    """Check that the type check detects errors."""
    broken = Response(status=200, body=json.dumps({"id": 1, "object": "file"}).encode())
    (found,) = ResponseTypes().validate("retrieveFile", broken)
    assert "answer of retrieveFile" in found
    listed = Response(status=200, body=json.dumps({"object": "list", "data": [{"id": 1}]}).encode())
    assert len(ResponseTypes().validate("listPaginatedFineTuningJobs", listed)) == 1


def test_a_succeeded_job_has_hyperparameters_and_result_files(client, trained):
    assert trained.status == "succeeded"
    assert (trained.hyperparameters.to_dict()) == {
        "n_epochs": 10,
        "batch_size": 1,
        "learning_rate_multiplier": 2.0,
    }
    assert trained.trained_tokens > 0
    assert trained.finished_at > trained.created_at
    (result,) = trained.result_files
    assert client.files.retrieve(result).purpose == "fine-tune-results"
    assert not client.files.content(result).read().startswith(b"step"), "base64, as OpenAI's"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": "gpt-3.5-turbo"}, "no longer available"),
        ({"model": "no-such"}, "not available for fine-tuning or does not exist"),
        ({"model": "o4-mini"}, "not available for fine-tuning"),
        ({"training_file": "file-none"}, "invalid training_file: file-none"),
        ({"validation_file": "file-none"}, "invalid validation_file: file-none"),
        ({"suffix": "x" * 65}, "Invalid 'suffix'"),
        ({"seed": "x"}, "Invalid 'seed'"),
        ({"metadata": {"x" * 65: "y"}}, "Invalid 'metadata"),
        ({"metadata": {str(number): "y" for number in range(17)}}, "at most 16"),
        ({"method": {"type": "reinforcement"}}, "Invalid 'method.type'"),
        ({"method": {"type": "dpo"}}, "Method dpo is not available"),
        ({"method": {"type": "supervised", "dpo": {}}}, "Invalid 'method'"),
        ({"hyperparameters": {"n_epochs": 0}}, "Invalid 'hyperparameters.n_epochs'"),
        ({"hyperparameters": {"n_epochs": 1.5}}, "Invalid 'hyperparameters.n_epochs'"),
        ({"hyperparameters": {"epochCount": 1}}, "Unrecognized hyperparameter: epochCount"),
        ({"extra_body": {"nonsense": 1}}, "Unrecognized request argument supplied: nonsense"),
    ],
)
def test_invalid_job_parameters_are_rejected(client, params, message):
    usual = {"model": MODEL, "training_file": uploaded(client, lines())}
    with pytest.raises(openai.APIStatusError, match=message) as caught:
        client.fine_tuning.jobs.create(**(usual | params))
    assert caught.value.status_code in (400, 403)
    assert list(client.fine_tuning.jobs.list()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines(9), "must have at least 10 examples"),
        (b"\n", "is empty"),
        (b"{}\n" * 10, "Line 1: 'messages' is missing"),
        (lines(9) + b"no json\n", "Line 10"),
        (lines(nonsense=1), "unexpected keys"),
        (lines().replace(b'"assistant"', b'"robot"'), "unexpected role"),
        (lines().replace(b'"assistant"', b'"user"'), "expected a message with role 'assistant'"),
        (lines().replace(b'"content": "It is', b'"weight": 2, "content": "It is'), "weight"),
        (b'{"messages": []}\n' * 10, "not empty"),
    ],
)
def test_an_invalid_file_fails_the_job(client, sandbox, content, message):
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=uploaded(client, content))
    sandbox.clock.advance(10_000)
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert failed.status == "failed"
    assert message in failed.error.message
    assert failed.error.param == "training_file"
    assert failed.fine_tuned_model is None


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda client: client.files.retrieve("file-none"), 404),
        (lambda client: client.files.list(limit=0), 400),
        (lambda client: client.files.list(after="file-none"), 400),
        (lambda client: client.files.create(file=("x.txt", b"x"), purpose="fine-tune"), 400),
        (lambda client: client.files.create(file=("x.txt", b"x"), purpose="fun"), 400),
        (lambda client: uploaded(client, b"x", expires_after={"anchor": "now", "seconds": 9}), 400),
        (lambda client: client.uploads.complete("upload-none", part_ids=[]), 404),
        (lambda client: client.fine_tuning.jobs.retrieve("ftjob-none"), 404),
        (lambda client: client.fine_tuning.jobs.list_events("ftjob-none"), 404),
        (lambda client: client.models.retrieve("no-such"), 404),
        (lambda client: client.models.delete(MODEL), 404),
        (lambda client: client.chat.completions.create(model="no", messages=[]), 400),
        (
            lambda client: client.chat.completions.create(model="no", messages=[{"role": "user"}]),
            404,
        ),
        (lambda client: client.embeddings.create(model="x", input="y"), 404),
    ],
)
def test_missing_and_forbidden_objects_are_rejected(client, call, status):
    with pytest.raises(openai.APIStatusError) as caught:
        call(client)
    assert status == caught.value.status_code
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]


def test_ended_jobs_do_not_change(client, trained):
    for call in (client.fine_tuning.jobs.cancel, client.fine_tuning.jobs.pause):
        with pytest.raises(openai.BadRequestError):
            call(trained.id)
    with pytest.raises(openai.BadRequestError, match="can't be resumed"):
        client.fine_tuning.jobs.resume(trained.id)


def test_an_upload_must_match_its_size_hash_and_expiry(client, sandbox):
    def begun():
        return client.uploads.create(
            bytes=4, filename="x.jsonl", mime_type="text/jsonl", purpose="fine-tune"
        ).id

    short = begun()
    part = client.uploads.parts.create(short, data=b"123").id
    with pytest.raises(openai.BadRequestError, match="3 bytes, expected 4"):
        client.uploads.complete(short, part_ids=[part])
    other = begun()
    part = client.uploads.parts.create(other, data=b"1234").id
    with pytest.raises(openai.BadRequestError, match="md5"):
        client.uploads.complete(other, part_ids=[part], md5="0" * 32)
    late = begun()
    sandbox.clock.advance(3601)
    with pytest.raises(openai.BadRequestError, match="expired"):
        client.uploads.parts.create(late, data=b"1234")


def test_a_file_is_deleted_when_it_expires(client, sandbox):
    file = uploaded(client, lines(), expires_after={"anchor": "created_at", "seconds": 3600})
    sandbox.clock.advance(3601)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file)


def test_a_key_has_access_to_its_own_project_only(client, trained):
    stranger = openai.OpenAI(api_key="sk-somebody-else", max_retries=0)
    assert [*stranger.files.list(), *stranger.fine_tuning.jobs.list()] == []
    for key in ("", "wrong"):
        with pytest.raises(openai.APIStatusError):
            openai.OpenAI(api_key=key or "-", max_retries=0).models.list()


def test_models_end_on_their_end_of_life_date(client, trained, sandbox):
    sandbox.clock.advance(90 * 86_400)
    assert MODEL not in {model.id for model in client.models.list()}
    for name in (MODEL, trained.fine_tuned_model):
        with pytest.raises(openai.NotFoundError, match="does not exist or you do not have access"):
            client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": "Are you there?"}]
            )


def test_responses_are_labeled_as_simulated(client, trained):
    ask = client.chat.completions.with_raw_response.create
    question = [{"role": "user", "content": "What is number 7?"}]
    tuned = ask(model=trained.fine_tuned_model, messages=question)
    assert "nearest training answer" in tuned.headers["x-tunestack-sandbox"]
    base = ask(model=MODEL, messages=question)
    assert base.headers["x-tunestack-sandbox"] == "untrained base model"
    assert "answers nothing" in base.parse().choices[0].message.content


def test_responses_are_truncated_counted_and_streamed(client, trained):
    question = [{"role": "user", "content": [{"type": "text", "text": "What is number 7?"}]}]
    name = trained.fine_tuned_model
    cut = client.chat.completions.create(model=name, messages=question, max_tokens=1, n=2)
    assert [choice.finish_reason for choice in cut.choices] == ["length", "length"]
    stopped = client.chat.completions.create(model=name, messages=question, stop=[" is"])
    assert stopped.choices[0].message.content == "It"
    assert stopped.usage.total_tokens == (
        stopped.usage.prompt_tokens + stopped.usage.completion_tokens
    )
    stream = client.chat.completions.create(model=name, messages=question, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is 7."


def test_the_openai_state_can_be_exported_and_reset(client, trained, sandbox):
    with urllib.request.urlopen(f"{sandbox.admin_url}/state") as answer:
        (project,) = json.load(answer)["openai"]
    assert [trained.id] == [job["id"] for job in project["jobs"]]
    assert trained.fine_tuned_model in project["models"]
    sandbox.reset()
    assert list(client.fine_tuning.jobs.list()) == []


def test_an_internal_error_is_reported(sandbox):
    client = openai.OpenAI(max_retries=0)

    def fail(_):
        raise RuntimeError("a bug")

    with (
        sandbox.intercept(fail),
        pytest.raises(openai.InternalServerError, match="The sandbox failed"),
    ):
        client.models.list()
    assert len(sandbox.traffic.violations) == 1
    sandbox.traffic.violations.clear()


def test_invalid_bodies_are_rejected(sandbox):
    for body, kind in (
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"x", "text/plain"),
    ):
        path = "files" if kind == "text/plain" else "fine_tuning/jobs"
        url = f"{sandbox.url}/v1/{path}"
        headers = {"Authorization": "Bearer sk-x", "Content-Type": kind}
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, body, headers))
        assert caught.value.code == 400
        caught.value.close()


def test_the_environment_has_only_the_sandboxs_openai_variables(sandbox, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-real")
    environment = sandbox.environment()
    assert "OPENAI_ORG_ID" not in environment
    assert ("sk-tunestack-sandbox", f"{sandbox.url}/v1") == (
        environment["OPENAI_API_KEY"],
        environment["OPENAI_BASE_URL"],
    )
