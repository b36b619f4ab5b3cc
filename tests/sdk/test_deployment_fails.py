"""A job that has succeeded, but whose model can't be deployed: the LM is returned, and can be deployed later."""

import boto3
import dspy
import pytest
from dspy.clients.utils_finetune import TrainingStatus

from tests.sdk.desks import IGNORED_WARNINGS, NOVA, endpoint_names
from tunestack.dspy import BedrockProvider
from tunestack_sandbox import Quotas

pytestmark = IGNORED_WARNINGS


@pytest.fixture
def lm(tuner):
    return dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)


def test_deployment_quota_does_not_fail_the_job(lm, chat, sandbox, tuner, caplog):
    first = lm.finetune(chat[:10], "chat").result(timeout=60)
    sandbox.quotas = Quotas(deployments=1)
    job = lm.finetune(chat, "chat")
    fine_tuned = job.result(timeout=60)
    assert job.status() == TrainingStatus.succeeded
    assert fine_tuned.model == f"bedrock/converse/{job.model}"
    (name,) = endpoint_names(tuner)
    (warning,) = [record for record in caplog.records if "is not deployed" in record.message]
    assert f"the oldest first: {name}" in warning.message
    assert "1 by quota 'Total custom model deployments'" not in warning.message, (
        "the quota can't be read"
    )
    assert "10 by quota 'Total custom model deployments', the documented default" in warning.message
    assert "lm.launch() or job.start_endpoint()" in warning.message
    first.provider.stop(first)
    fine_tuned.launch()
    assert fine_tuned("What is number 7?") == ["It is 7."]
    job.stop_endpoint()
    assert endpoint_names(tuner) == []


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ServiceQuotaExceededException", "ValidationException"]
)
def test_deployment_error_does_not_fail_the_job(lm, chat, tuner, inject_error, code, caplog):
    inject_error("CreateCustomModelDeployment", code)
    job = lm.finetune(chat, "chat")
    fine_tuned = job.result(timeout=60)
    assert (job.status(), job.exception()) == (TrainingStatus.succeeded, None)
    assert ":custom-model/" in fine_tuned.model
    assert "is not deployed" in caplog.text
    assert job.start_endpoint().startswith("tunestack-")
    assert fine_tuned("What is number 7?") == ["It is 7."]
    job.stop_endpoint()
    assert endpoint_names(tuner) == []


def test_throttled_deployment_does_not_fail_the_job(lm, chat, inject_error, tuner):
    inject_error("CreateCustomModelDeployment", "ThrottlingException", times=20)
    job = lm.finetune(chat, "chat")
    assert ":custom-model/" in job.result(timeout=60).model
    assert endpoint_names(tuner) == []


def test_deployment_waits_for_deployments_in_progress(lm, chat, sandbox, tuner, caplog):
    """Two deployments can be in progress at a time: of three jobs of one program, the third waits."""
    models = [tuner.submit("nova-micro", chat[:count]).wait().model for count in (10, 11)]
    bedrock = boto3.client("bedrock")
    for number, model in enumerate(models):
        bedrock.create_custom_model_deployment(modelDeploymentName=f"d{number}", modelArn=model)
    third = tuner.submit("nova-micro", chat).wait()
    for number in range(2):  # the earlier ones are ready now
        bedrock.create_custom_model_deployment(
            modelDeploymentName=f"e{number}", modelArn=models[number]
        )
    third.start_endpoint()
    assert "waiting for another deployment to be ready" in caplog.text
    assert "(L-C02E1E99)" in caplog.text
    assert len(endpoint_names(tuner)) == 5
