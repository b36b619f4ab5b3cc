"""A job whose custom model was certainly deleted is trained again by an identical submission."""

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
def job_without_model(job):
    """Delete the custom model of a job and return the job."""
    boto3.client("bedrock").delete_custom_model(modelIdentifier=job.model)
    return job


@pytest.fixture
def fine_tuned(tuner, chat):
    return tuner.submit(GPT, chat).wait()


def list_job_ids(tuner, provider="bedrock"):
    return [job.id for job in tuner.jobs(provider=provider)]


def test_deleted_model_is_trained_again_once_with_a_warning(job_without_model, tuner, chat, caplog):
    with caplog.at_level(logging.WARNING):
        new_job = tuner.submit("nova-micro", chat)
    assert new_job.id != job_without_model.id
    assert f"its custom model {job_without_model.model} was deleted" in caplog.text
    assert "a new job is created, and billed" in caplog.text
    new_job.wait().start_endpoint()
    assert new_job.endpoint().invoke("What is number 7?") == "It is 7."
    new_job.stop_endpoint()
    assert new_job.id == tuner.submit("nova-micro", chat).id
    assert [new_job.id, job_without_model.id] == list_job_ids(tuner)


def test_deleted_model_is_trained_again_once_at_openai(fine_tuned, tuner, chat, caplog):
    openai.OpenAI().models.delete(fine_tuned.model)
    with caplog.at_level(logging.WARNING):
        new_job = tuner.submit(GPT, chat).wait()
    assert f"its custom model {fine_tuned.model} was deleted" in caplog.text
    assert tuner.invoke(new_job.model, "What is number 7?") == "It is 7."
    assert new_job.id == tuner.submit(GPT, chat).id
    assert [new_job.id, fine_tuned.id] == list_job_ids(tuner, "openai")


def test_earlier_attempt_with_a_model_is_returned(job, tuner, chat):
    later = tuner.submit("nova-micro", chat, rerun=True).wait()
    assert later.id == tuner.submit("nova-micro", chat).id
    tuner.custom_model(later.model).delete()
    assert job.id == tuner.submit("nova-micro", chat).id


def test_max_cost_applies_to_the_new_job(job_without_model, tuner, chat):
    with pytest.raises(CostError):
        tuner.submit("nova-micro", chat, max_cost=1e-9)
    assert [job_without_model.id] == list_job_ids(tuner)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ThrottlingException", "ValidationException"]
)
def test_unknown_state_of_a_model_starts_no_second_job(
    job_without_model, tuner, chat, inject_error, code, caplog
):
    inject_error("GetCustomModel", code, times=1000)
    with caplog.at_level(logging.WARNING):
        assert job_without_model.id == tuner.submit("nova-micro", chat).id
    assert "still exists is unknown" in caplog.text
    assert [job_without_model.id] == list_job_ids(tuner)


def test_submit_waits_for_a_model_that_is_not_visible_yet(job, tuner, chat, inject_error):
    inject_error("GetCustomModel", "ResourceNotFoundException", times=2)
    assert job.id == tuner.submit("nova-micro", chat).id


def test_rejected_new_job_does_not_return_the_old_job(job_without_model, tuner, chat, inject_error):
    inject_error("CreateModelCustomizationJob", "ConflictException", times=1000)
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
def test_server_without_a_models_route_starts_no_second_job(
    fine_tuned, tuner, chat, intercept, body
):
    def return_not_found(request):
        if request.method == "GET" and "/v1/models/ft" in request.target:
            kind = {"Content-Type": "application/json"}
            return Response(status=404, headers=kind, body=json.dumps(body).encode())
        return None

    intercept(return_not_found)
    assert fine_tuned.id == tuner.submit(GPT, chat).id
    assert [fine_tuned.id] == list_job_ids(tuner, "openai")


def test_start_endpoint_of_a_deleted_model_suggests_another_submission(job_without_model, tuner):
    for start in (
        job_without_model.start_endpoint,
        lambda: tuner.start_endpoint(job_without_model.model),
    ):
        with pytest.raises(NotFoundError, match="was probably deleted: submit the same data again"):
            start()


def test_start_endpoint_of_a_deleted_openai_model_suggests_another_submission(fine_tuned):
    openai.OpenAI().models.delete(fine_tuned.model)
    with pytest.raises(NotFoundError, match="was probably deleted: submit the same data again"):
        fine_tuned.start_endpoint()


def test_two_simultaneous_submissions_train_again_once(
    job_without_model, create_racing_tuner, chat, tuner, poll
):
    other_ids = []
    slow_tuner = create_racing_tuner(
        "CreateModelCustomizationJob",
        lambda: other_ids.append(Tuner(poll=poll).submit("nova-micro", chat).id),
    )
    own_id = slow_tuner.submit("nova-micro", chat).id
    assert [own_id] == other_ids
    assert len(list_job_ids(tuner)) == 2


def test_dspy_trains_a_deleted_model_again(job_without_model, tuner, chat):
    import dspy

    from tunestack.dspy import BedrockProvider

    lm = dspy.LM("bedrock/amazon.nova-micro-v1:0", provider=BedrockProvider(tuner), cache=False)
    new_lm = lm.finetune(chat, "chat").result()
    assert new_lm("What is number 3?") == ["It is 3."]
    assert len(list_job_ids(tuner)) == 2
