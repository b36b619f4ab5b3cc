"""A job whose custom model was deleted is no result: the same submitted again trains again, if that is certain."""

import json
import logging

import boto3
import openai
import pytest

from tunestack import Tuner
from tunestack.errors import CostError, NotFoundError
from tunestack_sandbox.messages import Response

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.fixture
def deleted(job):
    """A job whose model was deleted."""
    boto3.client("bedrock").delete_custom_model(modelIdentifier=job.model)
    return job


@pytest.fixture
def fine_tuned(tuner, chat):
    return tuner.submit(GPT, chat).wait()


def jobs(tuner, provider="bedrock"):
    return [job.id for job in tuner.jobs(provider=provider)]


def test_the_same_is_trained_again_once_and_it_is_logged_why(deleted, tuner, chat, caplog):
    with caplog.at_level(logging.WARNING):
        again = tuner.submit("nova-micro", chat)
    assert again.id != deleted.id
    assert f"its custom model {deleted.model} was deleted" in caplog.text
    assert "a new job is started, and billed" in caplog.text
    again.wait().start_endpoint()
    assert again.endpoint().invoke("What is number 7?") == "It is 7."
    again.stop_endpoint()
    assert again.id == tuner.submit("nova-micro", chat).id
    assert [again.id, deleted.id] == jobs(tuner)


def test_the_same_is_trained_again_once_at_openai(fine_tuned, tuner, chat, caplog):
    openai.OpenAI().models.delete(fine_tuned.model)
    with caplog.at_level(logging.WARNING):
        again = tuner.submit(GPT, chat).wait()
    assert f"its custom model {fine_tuned.model} was deleted" in caplog.text
    assert tuner.invoke(again.model, "What is number 7?") == "It is 7."
    assert again.id == tuner.submit(GPT, chat).id
    assert [again.id, fine_tuned.id] == jobs(tuner, "openai")


def test_an_earlier_attempt_that_has_its_model_is_returned(job, tuner, chat):
    later = tuner.submit("nova-micro", chat, rerun=True).wait()
    assert later.id == tuner.submit("nova-micro", chat).id
    tuner.custom_model(later.model).delete()
    assert job.id == tuner.submit("nova-micro", chat).id


def test_max_cost_counts_for_the_new_job(deleted, tuner, chat):
    with pytest.raises(CostError):
        tuner.submit("nova-micro", chat, max_cost=1e-9)
    assert [deleted.id] == jobs(tuner)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ThrottlingException", "ValidationException"]
)
def test_what_is_not_certain_starts_no_second_job(deleted, tuner, chat, broken, code, caplog):
    broken("GetCustomModel", code, times=1000)
    with caplog.at_level(logging.WARNING):
        assert deleted.id == tuner.submit("nova-micro", chat).id
    assert "still exists is unknown" in caplog.text
    assert [deleted.id] == jobs(tuner)


def test_a_model_that_is_not_visible_yet_is_waited_for(job, tuner, chat, broken):
    broken("GetCustomModel", "ResourceNotFoundException", times=2)
    assert job.id == tuner.submit("nova-micro", chat).id


def test_a_refused_new_job_is_not_answered_with_the_old_one(deleted, tuner, chat, broken):
    broken("CreateModelCustomizationJob", "ConflictException", times=1000)
    with pytest.raises(Exception, match="creating job"):
        tuner.submit("nova-micro", chat)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Not Found"},
        {"error": {"message": "Invalid URL (GET /v1/models/x)", "code": None}},
        {"error": {"message": "no", "code": "permission"}},
    ],
)
def test_a_server_without_a_route_for_models_starts_no_second_job(
    fine_tuned, tuner, chat, intercepted, body
):
    def lacks(request):
        if request.method == "GET" and "/v1/models/ft" in request.target:
            kind = {"Content-Type": "application/json"}
            return Response(status=404, headers=kind, body=json.dumps(body).encode())
        return None

    intercepted(lacks)
    assert fine_tuned.id == tuner.submit(GPT, chat).id
    assert [fine_tuned.id] == jobs(tuner, "openai")


def test_start_endpoint_says_what_to_do(deleted, tuner):
    for start in (deleted.start_endpoint, lambda: tuner.start_endpoint(deleted.model)):
        with pytest.raises(NotFoundError, match="was probably deleted: submit the same data again"):
            start()


def test_start_endpoint_says_what_to_do_at_openai(fine_tuned):
    openai.OpenAI().models.delete(fine_tuned.model)
    with pytest.raises(NotFoundError, match="was probably deleted: submit the same data again"):
        fine_tuned.start_endpoint()


def test_two_who_submit_again_at_once_train_once(deleted, meanwhile, chat, tuner, poll):
    others = []
    slower = meanwhile(
        "CreateModelCustomizationJob",
        lambda: others.append(Tuner(poll=poll).submit("nova-micro", chat).id),
    )
    mine = slower.submit("nova-micro", chat).id
    assert [mine] == others
    assert len(jobs(tuner)) == 2


def test_dspy_trains_again(deleted, tuner, chat):
    import dspy

    from tunestack.dspy import BedrockProvider

    lm = dspy.LM("bedrock/amazon.nova-micro-v1:0", provider=BedrockProvider(tuner), cache=False)
    tuned = lm.finetune(chat, "chat").result()
    assert tuned("What is number 3?") == ["It is 3."]
    assert len(jobs(tuner)) == 2
