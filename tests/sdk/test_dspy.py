"""BedrockProvider and TuningJob with DSPy's own LM and litellm, in the sandbox."""

import copy
import dataclasses
import subprocess
import sys
import threading

import dspy
import pytest
from dspy.clients.utils_finetune import TrainingStatus

from tunestack import EndpointCostWarning, Tuner
from tunestack.dspy import BedrockProvider, TrainDataFormat, TuningJob
from tunestack.errors import (
    ConfigError,
    HyperparameterError,
    JobStoppedError,
    JobTimeoutError,
    ModelError,
    NotFoundError,
    TunestackError,
)

SETTINGS = {"epochCount": 3, "batchSize": 4, "learningRate": 1e-5}
NOVA, LLAMA = "bedrock/amazon.nova-micro-v1:0", "bedrock/meta.llama3-1-8b-instruct-v1:0"

pytestmark = [
    # From litellm: deprecations in its dependencies, and sockets that are not closed explicitly.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def provider(tuner):
    return BedrockProvider(tuner)


def test_finetune_then_start_and_stop_the_endpoint(provider, chat, tuner):
    lm = dspy.LM(model=NOVA, provider=provider, cache=False)
    job = lm.finetune(
        train_data=chat, train_data_format=TrainDataFormat.CHAT, train_kwargs=SETTINGS
    )
    fine_tuned = job.result(timeout=60)
    assert job.status() == "succeeded"
    assert ":custom-model/" in job.model
    assert fine_tuned("What is number 7?") == ["It is 7."]
    name = job.start_endpoint()
    assert [endpoint.name for endpoint in tuner.endpoints()] == [name]
    assert fine_tuned.model == f"bedrock/converse/{job.endpoint().id}"
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []
    assert fine_tuned.model == f"bedrock/converse/{job.model}"
    with pytest.raises(NotFoundError, match="has no endpoint"):
        job.endpoint()


def test_provisioned_model_can_be_invoked_after_start_endpoint(west, completions):
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    job = lm.finetune(completions, TrainDataFormat.COMPLETION, {"batchSize": 1})
    fine_tuned = job.result(timeout=60)
    assert list(west.endpoints()) == []
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint()
    assert fine_tuned("What is number 7?") == ["It is 7."]
    job.stop_endpoint()


def test_train_kwargs_are_passed_to_the_job(provider, chat, sandbox):
    folder = f"{sandbox.deployment().data_locations[0]}from-dspy/"
    job = dspy.LM(NOVA, provider=provider).finetune(
        chat,
        TrainDataFormat.CHAT,
        {"epochCount": 1, "s3_path": folder, "name": "mine", "validation_data": chat[:2]},
    )
    job.result(timeout=60)
    info = job.job.refresh()
    assert info.training_data.startswith(folder)
    assert info.name.startswith("mine-nova-micro-")
    assert info.validation_loss
    assert info.hyperparameters["epochCount"] == "1"
    job.stop_endpoint()


@pytest.mark.parametrize(
    ("model", "settings", "kind"),
    [
        ("bedrock/anthropic.claude-3-sonnet-20240229", {}, ModelError),
        (LLAMA, {}, ModelError),
        (NOVA, {"epochs": 3}, HyperparameterError),
    ],
)
def test_result_raises_the_error_of_the_job(provider, chat, model, settings, kind):
    job = dspy.LM(model, provider=provider).finetune(chat, TrainDataFormat.CHAT, settings)
    with pytest.raises(kind):
        job.result(timeout=60)
    assert isinstance(job.exception(), kind)
    assert job.status() == TrainingStatus.failed
    assert not job.cancel()
    with pytest.raises(kind):
        job.start_endpoint()


class Gate:
    """Blocks the polling of a job until `go` is set."""

    def __init__(self, advance):
        self.waiting, self.go, self.advance = threading.Event(), threading.Event(), advance

    def sleep(self, seconds):
        self.waiting.set()
        assert self.go.wait(30)
        self.advance(seconds)


@pytest.fixture
def blocked(sandbox, poll):
    """A provider whose jobs are blocked, and the gate that blocks them."""
    gate = Gate(sandbox.clock.advance)
    provider = BedrockProvider(Tuner(poll=dataclasses.replace(poll, sleep=gate.sleep)))
    yield provider, gate
    gate.go.set()


def test_running_job_has_a_status_and_can_be_cancelled(blocked, chat, sandbox):
    provider, gate = blocked
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {})
    assert gate.waiting.wait(30)
    assert job.status() == TrainingStatus.pending
    assert job.running()
    with pytest.raises(ConfigError, match=r"call job.result\(\) first"):
        job.start_endpoint()
    sandbox.clock.advance(500)
    assert job.status() == TrainingStatus.running
    assert job.cancel() is True
    gate.go.set()
    with pytest.raises(JobStoppedError, match="was stopped"):
        job.result(timeout=60)
    assert job.status() == "cancelled"
    job.thread.join(10)
    assert not job.thread.is_alive()


def test_job_cancelled_before_it_starts_is_not_submitted(tuner, chat):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    assert job.status() == TrainingStatus.not_started
    assert job.cancel() is True
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner))
    lm._run_finetune_job(job)
    assert job.status() == TrainingStatus.cancelled
    assert list(tuner.jobs()) == []


def test_cancel_during_submit_stops_the_job_once_it_exists(tuner, chat):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    job.train_data = _cancel_before_last_row(job, chat)
    dspy.LM(NOVA, provider=BedrockProvider(tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    (submitted,) = tuner.jobs()
    assert submitted.status() == "stopped"


def _cancel_before_last_row(job, rows):
    yield from rows[:-1]
    assert job.cancel() is True
    yield rows[-1]


def test_copies_of_an_lm_have_the_same_provider(provider):
    lm = dspy.LM(NOVA, provider=provider)
    assert copy.deepcopy(lm).provider is provider
    assert lm.copy(model="x").provider is provider
    assert BedrockProvider.is_provider_model(NOVA)
    assert not BedrockProvider.is_provider_model("openai/gpt-4o")


def test_lm_invokes_the_endpoint_that_was_started(provider, chat, tuner):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {})
    fine_tuned = job.result(timeout=60)
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    assert ":provisioned-model/" in fine_tuned.model
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_job_goes_on_after_the_timeout(provider, chat, sandbox):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {"timeout": 60})
    with pytest.raises(JobTimeoutError):
        job.result(timeout=60)
    assert job.status() == TrainingStatus.pending
    assert job.cancel() is True
    assert job.status() == TrainingStatus.running, "it is being stopped"
    sandbox.clock.advance(1000)
    assert job.status() == TrainingStatus.cancelled


def test_status_is_succeeded_if_the_job_succeeds_after_the_timeout(provider, chat, sandbox):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {"timeout": 60})
    assert isinstance(job.exception(timeout=60), JobTimeoutError)
    sandbox.clock.advance(10_000)
    assert job.status() == TrainingStatus.succeeded
    assert job.start_endpoint()
    job.stop_endpoint()


def test_invalid_timeout_is_rejected_before_submission(provider, chat, tuner):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {"timeout": "60"})
    with pytest.raises(ConfigError, match="use seconds"):
        job.result(timeout=60)
    assert list(tuner.jobs()) == []


def test_cancel_during_deployment_leaves_no_endpoint(tuner, chat, create_racing_tuner):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    cancelling_tuner = create_racing_tuner("CreateCustomModelDeployment", job._cancelled.set)
    dspy.LM(NOVA, provider=BedrockProvider(cancelling_tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    assert list(tuner.endpoints()) == []


def test_repeated_server_errors_do_not_fail_the_job(provider, chat, inject_error):
    inject_error("GetModelCustomizationJob", "InternalServerException", times=12)
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {})
    assert job.result(timeout=60)
    job.stop_endpoint()


def test_throttled_cancel_is_retried_until_it_succeeds(tuner, chat, inject_error):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    job.train_data = _cancel_before_last_row(job, chat)
    inject_error("StopModelCustomizationJob", "ThrottlingException", times=7)
    dspy.LM(NOVA, provider=BedrockProvider(tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    (submitted,) = tuner.jobs()
    assert submitted.status() == "stopped"


def test_cancel_of_a_succeeded_job_starts_no_endpoint(tuner, chat):
    tuner.submit("nova-micro", chat).wait()
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    job.train_data = _cancel_before_last_row(job, chat)
    dspy.LM(NOVA, provider=BedrockProvider(tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    assert list(tuner.endpoints()) == []


def test_job_copies_its_data_and_settings():
    data, settings = [{"prompt": "a"}], {"epochCount": 3}
    job = TuningJob(model=NOVA, train_data=data, train_data_format="chat", train_kwargs=settings)
    data.clear()
    settings["epochCount"] = 1
    assert (job.train_data, job.train_kwargs) == ([{"prompt": "a"}], {"epochCount": 3})


@pytest.mark.parametrize(
    ("data_format", "settings"),
    [("parquet", {}), ("CHAT", {}), ("chat", ["epochCount"]), ("chat", "x")],
)
def test_invalid_arguments_raise_config_error(provider, chat, data_format, settings):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, data_format, settings)
    with pytest.raises(ConfigError):
        job.result(timeout=60)


def test_unknown_setting_is_rejected():
    with pytest.raises(TypeError, match="regoin"):
        BedrockProvider(regoin="us-east-1")


def test_system_exit_in_the_data_fails_the_job(provider):
    def rows():
        yield {}
        raise SystemExit

    job = dspy.LM(NOVA, provider=provider).finetune(rows(), TrainDataFormat.CHAT, {})
    with pytest.raises(TunestackError, match="fine-tuning was interrupted by SystemExit"):
        job.result(timeout=60)


def test_provider_can_be_pickled(sandbox):
    cloudpickle = pytest.importorskip("cloudpickle")
    loaded = cloudpickle.loads(cloudpickle.dumps(BedrockProvider(stage="dev", region="us-east-1")))
    assert loaded.finetunable
    loaded_west = cloudpickle.loads(cloudpickle.dumps(BedrockProvider(Tuner(region="us-west-2"))))
    assert loaded_west._tuner._accounts.bedrock._region == "us-west-2"
    with pytest.raises(ConfigError, match="not both"):
        BedrockProvider(Tuner(), region="us-west-2")
    assert list(loaded._tuner.jobs()) == []


def test_import_without_dspy_names_the_extra():
    code = "import sys; sys.modules['dspy'] = None\nimport tunestack.dspy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        "MissingExtraError: the package 'dspy' is not installed: run `pip install 'dspy"
        in done.stderr
    )
