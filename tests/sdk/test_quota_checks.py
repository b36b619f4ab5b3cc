"""The quotas of provisioned throughput, quotas without an applied value, and models that Bedrock does not list."""

import logging
from dataclasses import replace

import pytest

from tunestack import EndpointCostWarning
from tunestack.backends.base import Verdict
from tunestack.errors import ModelError, QuotaError
from tunestack_sandbox import Quotas

# The tuner policy does not allow reading quotas.
pytestmark = pytest.mark.as_root


def get_check(tuner, model, name):
    (check,) = [check for check in tuner.preflight(model) if check.name == name]
    return check


def test_both_quotas_of_provisioned_throughput_are_checked(sandbox, west):
    name, name_of_model = "quota of model units", "quota of model units of llama-3-1-8b"
    assert get_check(west, "llama-3-1-8b", name).verdict is Verdict.PASS
    assert get_check(west, "llama-3-1-8b", name_of_model).verdict is Verdict.PASS
    sandbox.quotas = Quotas(model_units_per_model=0)
    assert get_check(west, "llama-3-1-8b", name).verdict is Verdict.PASS
    check = get_check(west, "llama-3-1-8b", name_of_model)
    assert check.verdict is Verdict.FAIL
    assert "'Model units per provisioned model for Meta Llama 3.1 8B Instruct'" in check.detail
    assert "request an increase of L-3632DE15" in check.fix
    sandbox.quotas = Quotas(model_units=0)
    assert "L-BE77399C" in get_check(west, "llama-3-1-8b", name).fix


def test_quota_of_a_model_whose_code_is_unknown_is_named(west):
    check = get_check(west, "llama-3-1-70b", "quota of model units of llama-3-1-70b")
    assert check.verdict is Verdict.UNKNOWN
    assert "'Model units per provisioned model for Meta Llama 3.1 70B Instruct'" in check.detail
    assert "search for the name in Service Quotas" in check.detail


def test_error_of_provisioned_throughput_names_both_quotas(sandbox, llama):
    sandbox.quotas = Quotas(model_units_per_model=0)
    with pytest.raises(QuotaError) as raised, pytest.warns(EndpointCostWarning):
        llama.start_endpoint()
    assert "L-BE77399C" in str(raised.value)
    assert "Model units per provisioned model for the model" in str(raised.value)


def test_default_is_used_for_a_quota_without_an_applied_value(sandbox, tuner, west, chat):
    sandbox.quotas = Quotas(jobs=10, unapplied=frozenset({"L-0406044C", "L-BE77399C"}))
    tuner.submit("nova-micro", chat)
    jobs = get_check(tuner, "nova-micro", "quota of jobs")
    assert jobs.verdict is Verdict.PASS
    assert "1 running, at most 10 by quota" in jobs.detail
    assert "AWS's default" in jobs.detail
    units = get_check(west, "llama-3-1-8b", "quota of model units")
    assert units.verdict is Verdict.FAIL, "AWS's default is 0"


@pytest.fixture
def hidden_models(sandbox):
    """Return a set of models that Bedrock does not list."""
    hidden: set[str] = set()

    def hide(call, handler):
        answer = handler(call)
        if call.operation.name != "ListFoundationModels":
            return answer
        rows = answer.result["modelSummaries"]
        listed = [row for row in rows if not row["modelId"].startswith(tuple(hidden))]
        return replace(answer, result={**answer.result, "modelSummaries": listed})

    with sandbox.intercept_operations(hide):
        yield hidden


def test_active_model_that_bedrock_does_not_list_is_a_warning(hidden_models, tuner, chat, caplog):
    hidden_models |= {"amazon.nova-micro-v1:0"}
    with caplog.at_level(logging.WARNING, "tunestack"):
        job = tuner.submit("nova-micro", chat)
    assert job.wait().model
    assert "Bedrock does not list Nova Micro" in caplog.text
    check = get_check(tuner, "nova-micro", "model nova-micro")
    assert check.verdict is Verdict.UNKNOWN
    assert "the job may be refused" in check.detail


def test_retired_model_that_bedrock_does_not_list_is_refused(hidden_models, tuner, chat):
    hidden_models |= {"amazon.titan"}
    with pytest.raises(ModelError, match="retired by 2026-08-09"):
        tuner.submit("titan-text-lite", chat)
