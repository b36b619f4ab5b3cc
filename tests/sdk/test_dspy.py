"""DSPy's contract, with DSPy's own LM and litellm, on the sandbox."""

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
    TunestackError,
)

SETTINGS = {"epochCount": 3, "batchSize": 4, "learningRate": 1e-5}
NOVA, LLAMA = "bedrock/amazon.nova-micro-v1:0", "bedrock/meta.llama3-1-8b-instruct-v1:0"

pytestmark = [
    # litellm's own: deprecations of its dependencies, and sockets that it leaves to the collector.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def provider(tuner):
    return BedrockProvider(tuner)


def test_the_specifications_example(provider, chat, tuner):
    lm = dspy.LM(model=NOVA, provider=provider, cache=False)
    job = lm.finetune(
        train_data=chat, train_data_format=TrainDataFormat.CHAT, train_kwargs=SETTINGS
    )
    tuned = job.result(timeout=60)
    assert job.status() == "succeeded"
    assert ":custom-model/" in job.model
    assert ["It is 7."] == tuned("What is number 7?")
    name = job.start_endpoint()
    assert [name] == [endpoint.name for endpoint in tuner.endpoints()]
    assert tuned.model == f"bedrock/converse/{job.endpoint().id}"
    job.stop_endpoint()
    assert [] == list(tuner.endpoints())
    assert tuned.model == f"bedrock/converse/{job.model}"


def test_a_model_that_needs_throughput_answers_after_start_endpoint(west, completions):
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    job = lm.finetune(completions, TrainDataFormat.COMPLETION, {"batchSize": 1})
    tuned = job.result(timeout=60)
    assert [] == list(west.endpoints())
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint()
    assert ["It is 7."] == tuned("What is number 7?")
    job.stop_endpoint()


def test_options_in_train_kwargs_reach_the_job(provider, chat, sandbox):
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
    assert "1" == info.hyperparameters["epochCount"]
    job.stop_endpoint()


@pytest.mark.parametrize(
    ("model", "settings", "kind"),
    [
        ("bedrock/anthropic.claude-3-sonnet-20240229", {}, ModelError),
        (LLAMA, {}, ModelError),
        (NOVA, {"epochs": 3}, HyperparameterError),
    ],
)
def test_what_goes_wrong_is_raised_by_result(provider, chat, model, settings, kind):
    job = dspy.LM(model, provider=provider).finetune(chat, TrainDataFormat.CHAT, settings)
    with pytest.raises(kind):
        job.result(timeout=60)
    assert isinstance(job.exception(), kind)
    assert TrainingStatus.failed == job.status()
    assert not job.cancel()
    with pytest.raises(kind):
        job.start_endpoint()


class Gate:
    """Holds the poll of a job until the test has looked."""

    def __init__(self, advance):
        self.waiting, self.go, self.advance = threading.Event(), threading.Event(), advance

    def sleep(self, seconds):
        self.waiting.set()
        assert self.go.wait(30)
        self.advance(seconds)


@pytest.fixture
def held(sandbox, poll):
    """A provider whose jobs wait until `go` is set."""
    gate = Gate(sandbox.clock.advance)
    provider = BedrockProvider(Tuner(poll=dataclasses.replace(poll, sleep=gate.sleep)))
    yield provider, gate
    gate.go.set()


def test_a_running_job_says_how_it_stands_and_can_be_cancelled(held, chat, sandbox):
    provider, gate = held
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {})
    assert gate.waiting.wait(30)
    assert TrainingStatus.pending == job.status()
    assert job.running()
    with pytest.raises(ConfigError, match=r"call job.result\(\) first"):
        job.start_endpoint()
    sandbox.clock.advance(500)
    assert TrainingStatus.running == job.status()
    assert job.cancel() is True
    gate.go.set()
    with pytest.raises(JobStoppedError, match="was stopped"):
        job.result(timeout=60)
    assert "cancelled" == job.status()
    job.thread.join(10)
    assert not job.thread.is_alive()


def test_a_job_that_is_cancelled_before_it_began_is_never_submitted(tuner, chat):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    assert TrainingStatus.not_started == job.status()
    assert job.cancel() is True
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner))
    lm._run_finetune_job(job)
    assert TrainingStatus.cancelled == job.status()
    assert [] == list(tuner.jobs())


def test_a_cancel_during_submit_stops_the_job_as_soon_as_there_is_one(tuner, chat):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    job.train_data = _cancelled_when_read(job, chat)
    dspy.LM(NOVA, provider=BedrockProvider(tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    (submitted,) = tuner.jobs()
    assert "stopped" == submitted.status()


def _cancelled_when_read(job, rows):
    yield from rows[:-1]
    assert job.cancel() is True
    yield rows[-1]


def test_programs_are_copied_with_their_lm(provider):
    lm = dspy.LM(NOVA, provider=provider)
    assert copy.deepcopy(lm).provider is provider
    assert lm.copy(model="x").provider is provider
    assert BedrockProvider.is_provider_model(NOVA)
    assert not BedrockProvider.is_provider_model("openai/gpt-4o")


def test_an_endpoint_that_is_asked_for_is_the_one_that_is_called(provider, chat, tuner):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {})
    tuned = job.result(timeout=60)
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    assert ":provisioned-model/" in tuned.model
    job.stop_endpoint()
    assert [] == list(tuner.endpoints())


def test_a_wait_that_is_too_short_loses_nothing(provider, chat, sandbox):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {"timeout": 60})
    with pytest.raises(JobTimeoutError):
        job.result(timeout=60)
    assert TrainingStatus.pending == job.status()
    assert job.cancel() is True
    assert TrainingStatus.running == job.status(), "it is being stopped"
    sandbox.clock.advance(1000)
    assert TrainingStatus.cancelled == job.status()


def test_a_job_that_succeeds_after_its_wait_has_succeeded(provider, chat, sandbox):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {"timeout": 60})
    assert isinstance(job.exception(timeout=60), JobTimeoutError)
    sandbox.clock.advance(10_000)
    assert TrainingStatus.succeeded == job.status()
    assert job.start_endpoint()
    job.stop_endpoint()


def test_a_timeout_of_the_wrong_kind_is_refused_before_anything_is_paid_for(provider, chat, tuner):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {"timeout": "60"})
    with pytest.raises(ConfigError, match="use seconds"):
        job.result(timeout=60)
    assert [] == list(tuner.jobs())


def test_a_cancel_while_the_model_is_deployed_leaves_no_endpoint(tuner, chat, meanwhile):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    slower = meanwhile("CreateCustomModelDeployment", job._cancelled.set)
    dspy.LM(NOVA, provider=BedrockProvider(slower))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    assert [] == list(tuner.endpoints())


def test_a_storm_of_errors_does_not_fail_the_job(provider, chat, broken):
    broken("GetModelCustomizationJob", "InternalServerException", times=12)
    job = dspy.LM(NOVA, provider=provider).finetune(chat, TrainDataFormat.CHAT, {})
    assert job.result(timeout=60)
    job.stop_endpoint()


def test_a_cancel_that_was_promised_is_tried_until_it_is_done(tuner, chat, broken):
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    job.train_data = _cancelled_when_read(job, chat)
    broken("StopModelCustomizationJob", "ThrottlingException", times=7)
    dspy.LM(NOVA, provider=BedrockProvider(tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    (submitted,) = tuner.jobs()
    assert "stopped" == submitted.status()


def test_a_cancel_of_what_has_succeeded_already_starts_no_endpoint(tuner, chat):
    tuner.submit("nova-micro", chat).wait()
    job = TuningJob(model=NOVA, train_data=chat, train_data_format="chat", train_kwargs={})
    job.train_data = _cancelled_when_read(job, chat)
    dspy.LM(NOVA, provider=BedrockProvider(tuner))._run_finetune_job(job)
    assert isinstance(job.exception(), JobStoppedError)
    assert [] == list(tuner.endpoints())


def test_what_the_caller_does_with_its_data_afterwards_changes_nothing():
    data, settings = [{"prompt": "a"}], {"epochCount": 3}
    job = TuningJob(model=NOVA, train_data=data, train_data_format="chat", train_kwargs=settings)
    data.clear()
    settings["epochCount"] = 1
    assert ([{"prompt": "a"}], {"epochCount": 3}) == (job.train_data, job.train_kwargs)


@pytest.mark.parametrize(
    ("data_format", "settings"),
    [("parquet", {}), ("CHAT", {}), ("chat", ["epochCount"]), ("chat", "x")],
)
def test_arguments_of_the_wrong_kind_are_one_clear_error(provider, chat, data_format, settings):
    job = dspy.LM(NOVA, provider=provider).finetune(chat, data_format, settings)
    with pytest.raises(ConfigError):
        job.result(timeout=60)


def test_a_setting_that_there_is_not_is_refused_at_once():
    with pytest.raises(TypeError, match="regoin"):
        BedrockProvider(regoin="us-east-1")


def test_data_that_ends_the_thread_ends_the_future(provider):
    def rows():
        yield {}
        raise SystemExit

    job = dspy.LM(NOVA, provider=provider).finetune(rows(), TrainDataFormat.CHAT, {})
    with pytest.raises(TunestackError, match="training ended by SystemExit"):
        job.result(timeout=60)


def test_a_provider_is_saved_with_a_program(sandbox):
    cloudpickle = pytest.importorskip("cloudpickle")
    again = cloudpickle.loads(cloudpickle.dumps(BedrockProvider(stage="dev", region="us-east-1")))
    assert again.finetunable
    given = cloudpickle.loads(cloudpickle.dumps(BedrockProvider(Tuner(region="us-west-2"))))
    assert "us-west-2" == given._tuner._accounts.bedrock._region
    with pytest.raises(ConfigError, match="not both"):
        BedrockProvider(Tuner(), region="us-west-2")
    assert [] == list(again._tuner.jobs())


def test_dspy_is_an_extra():
    code = "import sys; sys.modules['dspy'] = None\nimport tunestack.dspy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        "MissingExtraError: the package 'dspy' is not installed: run `pip install 'dspy"
        in done.stderr
    )
