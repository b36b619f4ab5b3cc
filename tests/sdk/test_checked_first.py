"""Checks that do not depend on data run before a program is called, with the code of `Tuner.submit`."""

import dspy
import pytest

from tests.sdk.desks import GPT, IGNORED_WARNINGS, LLAMA, NOVA, TRAIN, Desk, is_correct
from tunestack import Tuner
from tunestack.dspy import BedrockProvider, BetterTogether, BootstrapFinetune, OpenAIProvider
from tunestack.errors import (
    ConfigError,
    CostError,
    DeploymentError,
    HyperparameterError,
    ModelError,
    QuotaError,
)
from tunestack_sandbox import Quotas

pytestmark = IGNORED_WARNINGS


class CountingProgram(dspy.Module):
    """A program that counts its calls."""

    def __init__(self, lm):
        super().__init__()
        self.sort = dspy.Predict(Desk)
        self.calls = 0
        self.set_lm(lm)

    def forward(self, ticket):
        self.calls += 1
        return self.sort(ticket=ticket)


INVALID = {
    "value": (NOVA, {"epochCount": 99}, HyperparameterError),
    "hyperparameter": (NOVA, {"epochs": 3}, HyperparameterError),
    "argument": (NOVA, {"s3path": "x"}, ConfigError),
    "name": (NOVA, {"name": "a b"}, ConfigError),
    "tags": (NOVA, {"tags": {"aws:x": "y"}}, ConfigError),
    "s3_path": (NOVA, {"s3_path": "s3://other-bucket/x/"}, ConfigError),
    "format": (NOVA, {"record_format": "completion"}, ConfigError),
    "on_loss": (NOVA, {"on_loss": "ignore"}, ConfigError),
    "rule": (NOVA, {"ignore": ["no-such-rule"]}, ConfigError),
    "max_cost": (NOVA, {"max_cost": "20 $"}, ConfigError),
    "queue": (NOVA, {"queue": "1h"}, ConfigError),
    "timeout": (NOVA, {"timeout": "1h"}, ConfigError),
    "suffix": (NOVA, {"suffix": "x"}, ConfigError),
    "seed": (GPT, {"seed": -1}, ConfigError),
    "validation": (
        "bedrock/us.amazon.nova-2-lite-v1:0",
        {"validation_data": [{}]},
        ConfigError,
    ),
    "model": ("bedrock/us.amazon.nova-premier-v1:0", {}, ModelError),
    "region": (LLAMA, {}, ModelError),
}


def create_lm(tuner, model):
    provider = OpenAIProvider(tuner) if model == GPT else BedrockProvider(tuner)
    return dspy.LM(model, provider=provider, cache=False)


@pytest.mark.parametrize(("model", "train_kwargs", "kind"), INVALID.values(), ids=INVALID)
def test_invalid_settings_are_rejected_before_the_program_is_called(
    tuner, model, train_kwargs, kind
):
    student = CountingProgram(create_lm(tuner, model))
    with pytest.raises(kind):
        BootstrapFinetune(train_kwargs=train_kwargs).compile(student, trainset=TRAIN[:12])
    together = BetterTogether(metric=is_correct, w=BootstrapFinetune(train_kwargs=train_kwargs))
    with pytest.raises(kind):
        together.compile(student, trainset=TRAIN[:12], valset=TRAIN[:2], strategy="w")
    assert student.calls == 0
    assert list(tuner.jobs()) == []


def test_train_kwargs_of_the_lm_are_checked(tuner):
    student = CountingProgram(
        dspy.LM(NOVA, provider=BedrockProvider(tuner), train_kwargs={"epochCount": 99})
    )
    with pytest.raises(HyperparameterError):
        BootstrapFinetune().compile(student, trainset=TRAIN[:12])
    assert student.calls == 0


@pytest.mark.as_root  # the tuner policy allows reading the deployment of its own stage only
def test_missing_deployment_is_detected_before_the_program_is_called(poll, sandbox):
    student = CountingProgram(create_lm(Tuner("none", poll=poll), NOVA))
    with pytest.raises(DeploymentError):
        BootstrapFinetune().compile(student, trainset=TRAIN[:12])
    assert student.calls == 0


@pytest.mark.as_root  # the tuner policy does not allow reading quotas
def test_job_quota_of_zero_is_detected_before_the_program_is_called(tuner, sandbox):
    sandbox.quotas = Quotas(jobs=0)
    student = CountingProgram(create_lm(tuner, NOVA))
    with pytest.raises(QuotaError, match="at most 0 by quota"):
        BootstrapFinetune().compile(student, trainset=TRAIN[:12])
    assert student.calls == 0


def test_max_cost_is_checked_when_the_data_exists(tuner):
    student = CountingProgram(create_lm(tuner, NOVA))
    tuner.check("nova-micro", max_cost=0.000001)
    with pytest.raises(CostError):
        BootstrapFinetune(train_kwargs={"max_cost": 0.000001}).compile(student, trainset=TRAIN[:12])
    assert student.calls > 0
    assert list(tuner.jobs()) == []


@pytest.mark.parametrize(
    ("model", "train_kwargs", "kind"),
    [row for name, row in INVALID.items() if name not in ("argument", "timeout")],
)
def test_check_and_submit_raise_the_same_error(tuner, chat, model, train_kwargs, kind):
    options = {**train_kwargs}
    values = {name: options.pop(name) for name in ("epochCount", "epochs") if name in options}
    with pytest.raises(kind) as checked:
        tuner.check(model, hyperparameters=values, **options)
    with pytest.raises(kind) as submitted:
        tuner.submit(model, chat, hyperparameters=values, **options)
    assert str(checked.value) == str(submitted.value)


def test_valid_check_creates_nothing(tuner, list_training_files):
    before = list_training_files()
    assert tuner.check("nova-micro", hyperparameters={"epochCount": 2}, name="mine") is None
    assert (list(tuner.jobs()), list_training_files()) == ([], before)
    with pytest.raises(TypeError, match="s3path"):
        tuner.check("nova-micro", s3path="x")


def test_invalid_job_has_failed_when_finetune_returns(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner)).finetune(chat, "chat", {"epochs": 3})
    assert job.done()
    with pytest.raises(HyperparameterError):
        job.result()
    job.thread.join(10)
    assert not job.thread.is_alive()
    assert job.status() == "failed"


@pytest.mark.parametrize("kind", [BedrockProvider, OpenAIProvider])
def test_provider_class_instead_of_an_instance_raises_config_error(kind, chat):
    lm = dspy.LM(NOVA, provider=kind)
    message = (
        rf"provider={kind.__name__} is a class: pass an instance, provider={kind.__name__}\(\)"
    )
    with pytest.raises(ConfigError, match=message):
        lm.finetune(chat, "chat")
    with pytest.raises(ConfigError, match=message):
        BootstrapFinetune().compile(CountingProgram(lm), trainset=TRAIN[:12])
    assert not hasattr(kind, "finetunable"), "code that inspects the class still works"
