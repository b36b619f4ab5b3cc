"""What can be known without data is checked before a program is called, by the same code as `Tuner.submit`."""

import dspy
import pytest

from tests.sdk.desks import GPT, LLAMA, NOVA, QUIET, TRAIN, Desk, right
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

pytestmark = QUIET


class Counted(dspy.Module):
    """A program that counts its calls."""

    def __init__(self, lm):
        super().__init__()
        self.sort = dspy.Predict(Desk)
        self.calls = 0
        self.set_lm(lm)

    def forward(self, ticket):
        self.calls += 1
        return self.sort(ticket=ticket)


WRONG = {
    "value": (NOVA, {"epochCount": 99}, HyperparameterError),
    "hyperparameter": (NOVA, {"epochs": 3}, HyperparameterError),
    "argument": (NOVA, {"s3path": "x"}, ConfigError),
    "name": (NOVA, {"name": "a b"}, ConfigError),
    "tags": (NOVA, {"tags": {"aws:x": "y"}}, ConfigError),
    "s3_path": (NOVA, {"s3_path": "s3://other-bucket/x/"}, ConfigError),
    "format": (NOVA, {"record_format": "prompt-completion"}, ConfigError),
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


def lm_of(tuner, model):
    provider = OpenAIProvider(tuner) if model == GPT else BedrockProvider(tuner)
    return dspy.LM(model, provider=provider, cache=False)


@pytest.mark.parametrize(("model", "train_kwargs", "kind"), WRONG.values(), ids=WRONG)
def test_no_program_is_called_for_what_can_not_be_fine_tuned(tuner, model, train_kwargs, kind):
    student = Counted(lm_of(tuner, model))
    with pytest.raises(kind):
        BootstrapFinetune(train_kwargs=train_kwargs).compile(student, trainset=TRAIN[:12])
    together = BetterTogether(metric=right, w=BootstrapFinetune(train_kwargs=train_kwargs))
    with pytest.raises(kind):
        together.compile(student, trainset=TRAIN[:12], valset=TRAIN[:2], strategy="w")
    assert 0 == student.calls
    assert [] == list(tuner.jobs())


def test_train_kwargs_of_the_lm_are_checked_as_well(tuner):
    student = Counted(
        dspy.LM(NOVA, provider=BedrockProvider(tuner), train_kwargs={"epochCount": 99})
    )
    with pytest.raises(HyperparameterError):
        BootstrapFinetune().compile(student, trainset=TRAIN[:12])
    assert 0 == student.calls


def test_a_stage_that_is_not_deployed_is_found_first(poll, sandbox):
    student = Counted(lm_of(Tuner("none", poll=poll), NOVA))
    with pytest.raises(DeploymentError):
        BootstrapFinetune().compile(student, trainset=TRAIN[:12])
    assert 0 == student.calls


@pytest.mark.as_root  # the tuner policy does not let read quotas
def test_an_account_without_jobs_is_found_first(tuner, sandbox):
    sandbox.quotas = Quotas(jobs=0)
    student = Counted(lm_of(tuner, NOVA))
    with pytest.raises(QuotaError, match="at most 0 by quota"):
        BootstrapFinetune().compile(student, trainset=TRAIN[:12])
    assert 0 == student.calls


def test_what_depends_on_the_data_is_checked_when_it_exists(tuner):
    student = Counted(lm_of(tuner, NOVA))
    tuner.check("nova-micro", max_cost=0.000001)
    with pytest.raises(CostError):
        BootstrapFinetune(train_kwargs={"max_cost": 0.000001}).compile(student, trainset=TRAIN[:12])
    assert 0 < student.calls
    assert [] == list(tuner.jobs())


@pytest.mark.parametrize(
    ("model", "train_kwargs", "kind"),
    [row for name, row in WRONG.items() if name not in ("argument", "timeout")],
)
def test_check_and_submit_refuse_the_same_with_the_same_words(
    tuner, chat, model, train_kwargs, kind
):
    options = {**train_kwargs}
    values = {name: options.pop(name) for name in ("epochCount", "epochs") if name in options}
    with pytest.raises(kind) as checked:
        tuner.check(model, hyperparameters=values, **options)
    with pytest.raises(kind) as submitted:
        tuner.submit(model, chat, hyperparameters=values, **options)
    assert str(checked.value) == str(submitted.value)


def test_check_passes_for_what_submit_takes_and_creates_nothing(tuner, objects):
    before = objects()
    assert None is tuner.check("nova-micro", hyperparameters={"epochCount": 2}, name="mine")
    assert ([], before) == (list(tuner.jobs()), objects())
    with pytest.raises(TypeError, match="s3path"):
        tuner.check("nova-micro", s3path="x")


def test_finetune_has_failed_when_it_returns(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner)).finetune(chat, "chat", {"epochs": 3})
    assert job.done()
    with pytest.raises(HyperparameterError):
        job.result()
    job.thread.join(10)
    assert not job.thread.is_alive()
    assert "failed" == job.status()


@pytest.mark.parametrize("kind", [BedrockProvider, OpenAIProvider])
def test_the_class_of_a_provider_is_a_clear_error(kind, chat):
    lm = dspy.LM(NOVA, provider=kind)
    message = (
        rf"provider={kind.__name__} is a class: pass an instance, provider={kind.__name__}\(\)"
    )
    with pytest.raises(ConfigError, match=message):
        lm.finetune(chat, "chat")
    with pytest.raises(ConfigError, match=message):
        BootstrapFinetune().compile(Counted(lm), trainset=TRAIN[:12])
    assert not hasattr(kind, "finetunable"), "whatever inspects the class goes on"
