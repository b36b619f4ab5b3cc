"""A job that was paid for and has succeeded, whose model can't be deployed: it is returned, and deployed later."""

import boto3
import dspy
import pytest
from dspy.clients.utils_finetune import TrainingStatus

from tests.sdk.desks import NOVA, QUIET, left
from tunestack.dspy import BedrockProvider
from tunestack_sandbox import Quotas

pytestmark = QUIET


@pytest.fixture
def lm(tuner):
    return dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)


def test_a_full_quota_of_deployments_is_no_failure_of_the_job(lm, chat, sandbox, tuner, caplog):
    first = lm.finetune(chat[:10], "chat").result(timeout=60)
    sandbox.quotas = Quotas(deployments=1)
    job = lm.finetune(chat, "chat")
    tuned = job.result(timeout=60)
    assert TrainingStatus.succeeded == job.status()
    assert tuned.model == f"bedrock/converse/{job.model}"
    (name,) = left(tuner)
    (warning,) = [record for record in caplog.records if "is not deployed" in record.message]
    assert f"the oldest first: {name}" in warning.message
    assert "1 by quota 'Total custom model deployments'" not in warning.message, "not readable"
    assert "10 by quota 'Total custom model deployments', the documented default" in warning.message
    assert "lm.launch() or job.start_endpoint()" in warning.message
    first.provider.stop(first)
    tuned.launch()
    assert ["It is 7."] == tuned("What is number 7?")
    job.stop_endpoint()
    assert [] == left(tuner)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ServiceQuotaExceededException", "ValidationException"]
)
def test_no_error_of_the_deployment_loses_a_model(lm, chat, tuner, broken, code, caplog):
    broken("CreateCustomModelDeployment", code)
    job = lm.finetune(chat, "chat")
    tuned = job.result(timeout=60)
    assert (TrainingStatus.succeeded, None) == (job.status(), job.exception())
    assert ":custom-model/" in tuned.model
    assert "is not deployed" in caplog.text
    assert job.start_endpoint().startswith("tunestack-")
    assert ["It is 7."] == tuned("What is number 7?")
    job.stop_endpoint()
    assert [] == left(tuner)


def test_a_throttled_deployment_loses_no_model(lm, chat, broken, tuner):
    broken("CreateCustomModelDeployment", "ThrottlingException", times=20)
    job = lm.finetune(chat, "chat")
    assert ":custom-model/" in job.result(timeout=60).model
    assert [] == left(tuner)


def test_a_deployment_waits_for_those_that_are_being_deployed(lm, chat, sandbox, tuner, caplog):
    """Two at a time may be in progress: of three jobs of one program, the third waits."""
    models = [tuner.submit("nova-micro", chat[:count]).wait().model for count in (10, 11)]
    bedrock = boto3.client("bedrock")
    for number, model in enumerate(models):
        bedrock.create_custom_model_deployment(modelDeploymentName=f"d{number}", modelArn=model)
    third = tuner.submit("nova-micro", chat).wait()
    for number in range(2):  # those before are ready by now
        bedrock.create_custom_model_deployment(
            modelDeploymentName=f"e{number}", modelArn=models[number]
        )
    third.start_endpoint()
    assert "waiting for another deployment to be ready" in caplog.text
    assert "(L-C02E1E99)" in caplog.text
    assert 5 == len(left(tuner))
