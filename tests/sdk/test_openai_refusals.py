"""What is refused, by us before anything is sent, or by OpenAI: one of our errors, with what to do."""

from datetime import UTC, datetime

import openai
import pytest

from tunestack import Tuner
from tunestack.backends.openai import errors as openai_errors
from tunestack.errors import (
    AccessError,
    BusyError,
    ConfigError,
    HyperparameterError,
    ModelError,
    NetworkError,
    NotFoundError,
    ProviderError,
    QuotaError,
    TunestackError,
)

BASE = "openai/gpt-4o-mini-2024-07-18"

pytestmark = [
    # The package's own: sockets that it leaves to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_pauses"),
]


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ({"hyperparameters": {"learningRate": 1e-5}}, HyperparameterError, "learning_rate_multi"),
        ({"hyperparameters": {"n_epochs": 1, "epochCount": 1}}, HyperparameterError, "twice"),
        ({"hyperparameters": {"n_epochs": 51}}, HyperparameterError, "from 1 to 50, or 'auto'"),
        ({"hyperparameters": {"beta": 1}}, HyperparameterError, "unknown hyperparameter 'beta'"),
        ({"s3_path": "s3://bucket/data/"}, ConfigError, "remove s3_path"),
        ({"method": "reinforcement"}, ConfigError, "use 'supervised' or 'dpo'"),
        ({"method": "dpo"}, ConfigError, "does not support the record format"),
        ({"method": "supervised", "record_format": "preference"}, ConfigError, "another"),
        ({"seed": "1"}, ConfigError, "invalid seed '1': expected an integer, not str"),
        ({"seed": -1}, ConfigError, "integer from 0"),
        ({"suffix": "x" * 65}, ConfigError, "1 to 64"),
        ({"tags": {f"t{number}": "x" for number in range(12)}}, ConfigError, "at most 11"),
        ({"tags": {"t" * 65: "x"}}, ConfigError, "64 characters"),
        ({"max_cost": 0.0001}, ConfigError, "more than max_cost"),
    ],
)
def test_what_is_not_possible_is_refused_before_a_job_is_made(tuner, chat, how, kind, says):
    with pytest.raises(kind, match=says):
        tuner.submit(BASE, chat, **how)
    assert list(tuner.jobs(provider="openai")) == []
    assert list(openai.OpenAI().files.list()) == []


def test_what_openai_alone_takes_is_refused_elsewhere(tuner, chat):
    with pytest.raises(ConfigError, match="seed=1 is an argument for OpenAI only"):
        tuner.submit("nova-micro", chat, seed=1)
    with pytest.raises(ConfigError, match="does not support the record format"):
        tuner.submit("nova-micro", chat, method="dpo")
    job = tuner.submit("nova-micro", chat)
    for refused in (job.pause, job.resume):
        with pytest.raises(ConfigError, match="Bedrock does not support that"):
            refused()
    assert [*job.messages(), *job.checkpoints()] == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("openai/gpt-3.5-turbo", "retired on 2026-10-23"),
        ("o4-mini", "only reinforcement fine-tuning"),
        ("openai/gpt-6-luna", "models that can be fine-tuned today: gpt-4.1"),
        ("openai/no-such-model", "models that can be fine-tuned today: gpt-4.1"),
    ],
)
def test_what_can_not_be_tuned_names_what_can(tuner, chat, name, says):
    with pytest.raises(ModelError, match=says):
        tuner.submit(name, chat)


def test_the_end_of_a_model_is_told_before_it_is_paid_for(tuner, chat, caplog):
    tuner.submit(BASE, chat)
    assert "is shut down on 2027-01-14, with all models fine-tuned from it" in caplog.text


def test_after_the_last_day_nothing_is_sent(tuner, chat, sandbox):
    """By OpenAI's clock, not this machine's."""
    after = datetime(2027, 1, 7, tzinfo=UTC)
    sandbox.clock.advance((after - sandbox.clock.now()).total_seconds())
    with pytest.raises(
        ModelError, match="no new jobs since 2027-01-06, and its end of life is 2027-01-14"
    ):
        tuner.submit(BASE, chat)
    (check,) = (row for row in tuner.preflight(BASE) if row.name.startswith("model "))
    assert "no new jobs since 2027-01-06" in check.detail
    assert list(openai.OpenAI().files.list()) == []


def test_an_organization_that_may_not_is_told_since_when(tuner, chat, sandbox):
    sandbox.faults.add("error", operation="createFineTuningJob", code="permission_denied", times=1)
    with pytest.raises(AccessError, match="since 2026-05-07 organizations that never fine-tuned"):
        tuner.submit(BASE, chat)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_quota", QuotaError),
        ("invalid_api_key", AccessError),
        ("model_not_found", NotFoundError),
        ("rate_limit_exceeded", BusyError),
        ("overloaded", BusyError),
        ("server_error", BusyError),
    ],
)
def test_each_error_is_one_of_ours(tuner, chat, sandbox, code, kind):
    job = tuner.submit(BASE, chat)
    sandbox.faults.add("error", operation="retrieveFineTuningJob", code=code)
    with pytest.raises(kind) as caught:
        job.refresh()
    assert isinstance(caught.value.__cause__, openai.APIStatusError)
    assert caught.value.code == code
    assert f"getting job '{job.id}'" in str(caught.value)


def test_every_error_of_the_package_is_mapped():
    """Of each class that a call can raise, or of its base."""
    other = {
        openai.OpenAIError,  # the root: no key
        openai.APIError,  # the roots of those below
        openai.APIStatusError,
        openai.LengthFinishReasonError,  # of parsed answers, which nobody asks for here
        openai.ContentFilterFinishReasonError,
        openai.InvalidWebhookSignatureError,  # of webhooks
    }
    kinds = {
        kind
        for name in openai.__all__
        if isinstance(kind := getattr(openai, name), type) and issubclass(kind, openai.OpenAIError)
    }
    sockets = {kind for kind in kinds if kind.__name__.startswith("WebSocket")}
    missing = {
        kind.__name__
        for kind in kinds - other - sockets
        if not any(issubclass(kind, known) for known in openai_errors.BY_CLASS)
    }
    assert set() == missing
    for kind, hint in [*openai_errors.BY_CLASS.values(), *openai_errors.BY_CODE.values()]:
        assert issubclass(kind, ProviderError)
        assert hint


def test_without_a_key_or_a_server_it_is_one_clear_error(tuner, chat, monkeypatch, poll):
    nobody = openai.OpenAI(api_key="sk-x", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(NetworkError, match="check the network and the base URL"):
        Tuner(openai=nobody, poll=poll).job("ftjob-1")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(AccessError, match="set OPENAI_API_KEY"):
        tuner.submit(BASE, chat)


def test_a_provider_that_there_is_not(tuner):
    with pytest.raises(ConfigError, match="use 'bedrock' or 'openai'"):
        tuner.jobs(provider="azure")


def test_all_that_is_raised_is_ours(tuner, chat, sandbox):
    for operation in ("retrieveModel", "listFiles", "createFile", "listPaginatedFineTuningJobs"):
        sandbox.faults.clear()
        sandbox.faults.add("error", operation=operation, code="invalid_api_key")
        with pytest.raises(TunestackError):
            tuner.submit(BASE, chat)
