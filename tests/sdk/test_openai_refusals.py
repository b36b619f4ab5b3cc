"""Requests that Tunestack or OpenAI rejects raise an error of Tunestack with a remedy."""

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
    # The openai package leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("no_retry_delays"),
]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
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
def test_invalid_arguments_are_rejected_before_a_job_is_created(
    tuner, chat, arguments, kind, message
):
    with pytest.raises(kind, match=message):
        tuner.submit(BASE, chat, **arguments)
    assert list(tuner.jobs(provider="openai")) == []
    assert list(openai.OpenAI().files.list()) == []


def test_arguments_for_openai_are_rejected_for_bedrock(tuner, chat):
    with pytest.raises(ConfigError, match="seed=1 is an argument for OpenAI only"):
        tuner.submit("nova-micro", chat, seed=1)
    with pytest.raises(ConfigError, match="does not support the record format"):
        tuner.submit("nova-micro", chat, method="dpo")
    job = tuner.submit("nova-micro", chat)
    for method in (job.pause, job.resume):
        with pytest.raises(ConfigError, match="Bedrock does not support that"):
            method()
    assert [*job.checkpoints()] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openai/gpt-3.5-turbo", "retired on 2026-10-23"),
        ("o4-mini", "only reinforcement fine-tuning"),
        ("openai/gpt-6-luna", "models that can be fine-tuned today: gpt-4.1"),
        ("openai/no-such-model", "models that can be fine-tuned today: gpt-4.1"),
    ],
)
def test_error_about_an_unsupported_model_names_supported_models(tuner, chat, name, message):
    with pytest.raises(ModelError, match=message):
        tuner.submit(name, chat)


def test_submit_warns_about_the_shutdown_of_a_model(tuner, chat, caplog):
    tuner.submit(BASE, chat)
    assert "is shut down on 2027-01-14, with all models fine-tuned from it" in caplog.text


def test_nothing_is_uploaded_after_the_last_day_for_new_jobs(tuner, chat, sandbox):
    """The date is that of OpenAI's clock, not of this machine."""
    after = datetime(2027, 1, 7, tzinfo=UTC)
    sandbox.clock.advance((after - sandbox.clock.now()).total_seconds())
    with pytest.raises(
        ModelError,
        match="has not accepted new jobs since 2027-01-06, and its end of life is 2027-01-14",
    ):
        tuner.submit(BASE, chat)
    (check,) = (row for row in tuner.preflight(BASE) if row.name.startswith("model "))
    assert "has not accepted new jobs since 2027-01-06" in check.detail
    assert list(openai.OpenAI().files.list()) == []


def test_error_for_a_denied_organization_has_the_date_of_the_rule(tuner, chat, sandbox):
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
def test_error_code_has_its_class(tuner, chat, sandbox, code, kind):
    job = tuner.submit(BASE, chat)
    sandbox.faults.add("error", operation="retrieveFineTuningJob", code=code)
    with pytest.raises(kind) as caught:
        job.refresh()
    assert isinstance(caught.value.__cause__, openai.APIStatusError)
    assert caught.value.code == code
    assert f"getting job '{job.id}'" in str(caught.value)


def test_every_error_of_the_openai_package_is_mapped():
    """Each class that a call can raise, or its base class, is mapped."""
    other = {
        openai.OpenAIError,  # the root, for example for a missing key
        openai.APIError,  # base classes of the mapped errors
        openai.APIStatusError,
        openai.LengthFinishReasonError,  # for parsed responses, which the SDK does not use
        openai.ContentFilterFinishReasonError,
        openai.InvalidWebhookSignatureError,  # for webhooks
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


def test_missing_key_and_unreachable_server_are_clear_errors(tuner, chat, monkeypatch, poll):
    unreachable = openai.OpenAI(api_key="sk-x", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(NetworkError, match="check the network and the base URL"):
        Tuner(openai=unreachable, poll=poll).job("ftjob-1")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(AccessError, match="set OPENAI_API_KEY"):
        tuner.submit(BASE, chat)


def test_unknown_provider_is_rejected(tuner):
    with pytest.raises(ConfigError, match="use 'bedrock' or 'openai'"):
        tuner.jobs(provider="azure")


def test_every_failed_operation_raises_an_error_of_tunestack(tuner, chat, sandbox):
    for operation in ("retrieveModel", "listFiles", "createFile", "listPaginatedFineTuningJobs"):
        sandbox.faults.clear()
        sandbox.faults.add("error", operation=operation, code="invalid_api_key")
        with pytest.raises(TunestackError):
            tuner.submit(BASE, chat)
