"""Promotion of models to endpoints with names that applications use, and the way back."""

import dataclasses
import json

import boto3
import pytest

from tests.parameters import every
from tunestack import EndpointState
from tunestack.backends.bedrock.backend import BedrockBackend
from tunestack.errors import (
    ConfigError,
    EndpointFailedError,
    EndpointTimeoutError,
    GateError,
    NotFoundError,
    StateError,
)

NAME = "support-bot"
QUESTION = "What is number 3?"


@pytest.fixture
def other(tuner, chat):
    """Return a job whose model answers otherwise."""
    rows = [
        {"messages": [row["messages"][0], {"role": "assistant", "content": "No."}]} for row in chat
    ]
    return tuner.submit("nova-micro", rows).wait()


def read_tags(arn):
    rows = boto3.client("bedrock").list_tags_for_resource(resourceARN=arn)["tags"]
    return {row["key"]: row["value"] for row in rows}


def test_endpoint_is_created_updated_and_returned(tuner, job, other, request):
    name = "support-bot-with-records"  # other tests leave records of theirs in the data bucket
    first = tuner.promote(job.id, name)
    endpoint = tuner.endpoint(name)
    assert (first.model, first.previous, first.id) == (job.model, None, endpoint.id)
    assert endpoint.invoke(QUESTION) == "It is 3."
    second = tuner.promote(other.model, endpoint.id)
    assert second.name == name
    assert (second.model, second.previous, second.id) == (other.model, job.model, endpoint.id)
    assert endpoint.invoke(QUESTION) == "No."
    tags = read_tags(endpoint.id)
    assert tags["tunestack:previous-model"] == job.model
    caller = "user/tuner" if request.config.option.as_tuner else "root"
    assert tags["tunestack:promoted-by"] == f"arn:aws:iam::123456789012:{caller}"
    assert tags["tunestack:promoted-at"].endswith("Z")
    assert tags["tunestack:stage"] == "dev"
    back = tuner.rollback(name)
    assert (back.model, back.previous, back.is_rollback) == (job.model, other.model, True)
    assert endpoint.invoke(QUESTION) == "It is 3."
    assert tuner.rollback(endpoint.id).model == other.model
    assert [*tuner.promotions(endpoint.id)] == [*tuner.promotions(name)]
    recorded = list(tuner.promotions(name))
    assert recorded[0] == dataclasses.replace(
        second, previous=job.model, is_rollback=True, at=recorded[0].at
    )
    assert [row.model for row in recorded] == [other.model, job.model, other.model, job.model]
    assert [row.is_rollback for row in recorded] == [True, True, False, False]
    job.stop_endpoint()
    other.stop_endpoint()
    assert [one.name for one in tuner.endpoints()] == [name], "it belongs to no job"
    endpoint.stop()


def test_promotion_of_the_same_model_again_keeps_the_previous_one(tuner, job, other):
    tuner.promote(job.id, NAME)
    for _ in range(3):
        assert tuner.promote(other.id, NAME).previous == job.model
    assert tuner.rollback(NAME).model == job.model
    tuner.endpoint(NAME).stop()


def test_failed_update_keeps_the_old_model_and_can_be_repeated(tuner, job, other, sandbox):
    tuner.promote(job.id, NAME)
    sandbox.faults.add("endpoint-failure", times=1)
    with pytest.raises(EndpointFailedError, match="still serves"):
        tuner.promote(other.id, NAME)
    with pytest.raises(StateError, match="serves its previous model .* already"):
        tuner.rollback(NAME)
    assert tuner.promote(other.id, NAME).previous == job.model
    tuner.endpoint(NAME).stop()


def test_process_that_ends_during_the_update_loses_nothing(tuner, job, other):
    tuner.promote(job.id, NAME)
    with pytest.raises(EndpointTimeoutError):
        tuner.promote(other.id, NAME, timeout=1)
    assert tuner.endpoint(NAME).state is EndpointState.UPDATING
    assert tuner.promote(other.id, NAME).previous == job.model
    assert tuner.rollback(NAME).model == job.model
    tuner.endpoint(NAME).stop()


@pytest.mark.parametrize("reference", every(2, ["result", "id", "uri", "file"]))
def test_evaluation_allows_the_promotion(tuner, job, chat, tmp_path, reference):
    evaluation = job.evaluate(
        chat,
        against=["base"],
        start_endpoint=True,
        cache=tmp_path / "cache",
        output=tmp_path / "results",
        require=["exact_match>=base+0.5"],
    )
    references = {
        "result": evaluation,
        "id": evaluation.id,
        "uri": evaluation.uri,
        "file": str(tmp_path / "results"),
    }
    promotion = tuner.promote(job.id, NAME, evaluation=references[reference])
    assert promotion.evaluation == evaluation.uri
    assert promotion.sentences == tuple(evaluation.sentences)
    assert read_tags(promotion.id)["tunestack:evaluation"] == evaluation.uri
    tuner.endpoint(NAME).stop()


def test_evaluation_that_did_not_pass_changes_nothing(tuner, job, other, chat, tmp_path, cli):
    arguments = {"start_endpoint": True, "cache": tmp_path}
    failed = other.evaluate(chat, require=["exact_match>=0.5"], **arguments)
    passed = job.evaluate(chat, require=["exact_match>=0.5"], **arguments)
    with pytest.raises(GateError, match="did not pass: exact_match>=0.5: exact_match 0 is not"):
        tuner.promote(other.id, NAME, evaluation=failed)
    with pytest.raises(GateError, match="is of .*, not of"):
        tuner.promote(other.id, NAME, evaluation=passed)
    with pytest.raises(ConfigError, match="evaluation 'nothing' .* can't be read"):
        tuner.promote(other.id, NAME, evaluation="nothing")
    code, _, err = cli("promote", other.id, "--to", NAME, "--evaluation", failed.id)
    assert (code, "did not pass" in err) == (1, True)
    assert list(tuner.endpoints()) == []


RESULT = {
    "id": "0123",
    "passed": True,
    "models": [{"model": "MODEL"}],
    "gates": [{"gate": "errors<1", "passed": True, "detail": ""}],
    "sentences": [],
    "records": 1,
    "total": 1,
}


@pytest.mark.parametrize(
    "content",
    [
        "5",
        "{",
        "[" * 5000,
        json.dumps({name: value for name, value in RESULT.items() if name != "gates"}),
        json.dumps(RESULT | {"models": []}),
        json.dumps(RESULT | {"models": [1]}),
        json.dumps(RESULT | {"gates": [1]}),
        json.dumps(RESULT | {"records": "1"}),
        json.dumps(RESULT | {"sentences": 5}),
    ],
    ids=lambda content: content[-40:],
)
def test_file_that_is_not_an_evaluation_is_an_error(tuner, job, tmp_path, content):
    path = tmp_path / "evaluation.json"
    path.write_text(content.replace("MODEL", job.model))
    with pytest.raises(ConfigError, match="can't be read: .*: expected its id, or the path of"):
        tuner.promote(job.id, NAME, evaluation=str(path))
    assert list(tuner.endpoints()) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": [{"model": "arn"}]}, "evaluation 0123 is of 'arn', not of"),
        ({"total": 2}, "answered 1 of 2 records"),
        ({"gates": [{"gate": "x", "passed": False, "detail": "y"}]}, "did not pass: x: y"),
    ],
)
def test_evaluation_in_a_file_is_checked(tuner, job, tmp_path, changed, message):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(RESULT | changed).replace("MODEL", job.model))
    with pytest.raises(GateError, match=message):
        tuner.promote(job.id, NAME, evaluation=str(path))


def test_model_of_another_base_model_is_an_error(tuner, job, chat):
    tuner.promote(job.id, NAME)
    lite = tuner.submit("nova-lite", chat).wait()
    with pytest.raises(ConfigError, match="serves a fine-tuned Nova Micro, and can't be updated"):
        tuner.promote(lite.id, NAME)
    tuner.endpoint(NAME).stop()


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
def test_provisioned_throughput_is_updated_in_place(west, llama, completions):
    with pytest.raises(
        ConfigError, match="needs provisioned throughput, which is billed by the hour"
    ):
        west.promote(llama.id, NAME)
    name = llama.start_endpoint().name
    another = west.submit("llama-3-1-8b", completions[::-1]).wait()
    assert west.promote(another.id, name).previous == llama.model
    assert west.rollback(name).model == llama.model
    llama.stop_endpoint()


def test_invalid_promotions_are_errors(tuner, job, chat):
    with pytest.raises(ConfigError, match="'us.amazon.nova-micro-v1:0' is a base model"):
        tuner.promote("nova-micro", NAME)
    with pytest.raises(ConfigError, match="can't start with 'tunestack-'"):
        tuner.promote(job.id, "tunestack-x")
    with pytest.raises(NotFoundError):
        tuner.rollback(NAME)
    job.start_endpoint()
    with pytest.raises(StateError, match="has no previous model"):
        tuner.rollback(job.endpoint().name)
    job.stop_endpoint()
    openai = tuner.submit("gpt-4o-mini-2024-07-18", chat).wait()
    with pytest.raises(ConfigError, match="OpenAI has no endpoints with names of your own"):
        tuner.promote(openai.id, NAME)


def test_caller_with_characters_that_tags_can_not_have(tuner, job, monkeypatch):
    """An IAM user name may have a comma."""
    arn = "arn:aws:iam::123456789012:user/" + "a,b" * 100
    monkeypatch.setattr(BedrockBackend, "caller", lambda _: arn)
    promotion = tuner.promote(job.id, NAME)
    tag = read_tags(promotion.id)["tunestack:promoted-by"]
    assert promotion.by == arn
    assert tag == arn.replace(",", "_")[:256]
    tuner.endpoint(NAME).stop()


def test_command_line(tuner, job, other, cli, monkeypatch):
    # That of the command would wait in real time.
    monkeypatch.setattr("tunestack.cli.options.new_tuner", lambda *_: tuner)
    code, out, err = cli("promote", job.id, "--to", NAME, "--json")
    assert (code, json.loads(out)["model"]) == (0, job.model), err
    assert cli("promote", other.id, "--to", NAME, "--id-only")[1].strip() == json.loads(out)["id"]
    code, out, _ = cli("rollback", NAME, "--json")
    assert (code, json.loads(out)["model"]) == (0, job.model)
    tuner.endpoint(NAME).stop()
