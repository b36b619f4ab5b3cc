"""Region, credentials and price of an LM before and after fine-tuning."""

import os

import boto3
import dspy
import openai
import pytest

from tests.sdk.desks import GPT, IGNORED_WARNINGS, LLAMA, NOVA
from tunestack import Tuner
from tunestack.dspy import BedrockProvider, OpenAIProvider, attach, stop
from tunestack.errors import AccessError, ConfigError

pytestmark = IGNORED_WARNINGS


def keys(sandbox):
    variables = sandbox.variables()
    return {
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
    }


@pytest.fixture
def invoked_regions(sandbox):
    """The regions of the requests to the Bedrock runtime."""
    regions = []

    def record_region(request):
        if request.target.startswith("/model/"):
            headers = {name.lower(): value for name, value in request.headers.items()}
            regions.append(headers["authorization"].split("/")[2])

    with sandbox.intercept(record_region):
        yield regions


def test_fine_tuned_lm_uses_the_region_of_its_model(tuner, chat, invoked_regions):
    """Base models can be invoked in regions where they can't be fine-tuned."""
    lm = dspy.LM(
        "bedrock/eu.amazon.nova-micro-v1:0",
        aws_region_name="eu-west-1",
        provider=BedrockProvider(tuner),
        cache=False,
    )
    fine_tuned = lm.finetune(chat, "chat").result(timeout=60)
    assert fine_tuned("What is number 7?") == ["It is 7."]
    assert invoked_regions == ["us-east-1"]
    assert lm.kwargs["aws_region_name"] == "eu-west-1"
    stop(fine_tuned)
    fine_tuned.launch()
    assert fine_tuned("What is number 7?") == ["It is 7."]
    assert set(invoked_regions) == {"us-east-1"}
    stop(fine_tuned)


def test_endpoint_url_of_another_region_is_removed_with_a_warning(tuner, chat, caplog):
    lm = dspy.LM(
        NOVA,
        aws_region_name="eu-west-1",
        aws_bedrock_runtime_endpoint="https://bedrock-runtime.eu-west-1.example.com",
        provider=BedrockProvider(tuner),
        cache=False,
    )
    fine_tuned = lm.finetune(chat, "chat").result(timeout=60)
    assert fine_tuned("What is number 7?") == ["It is 7."]
    assert "aws_bedrock_runtime_endpoint of the base LM is for eu-west-1" in caplog.text
    stop(fine_tuned)


@pytest.mark.as_root
def test_aws_keys_of_the_lm_are_used_for_fine_tuning(sandbox, poll, chat, monkeypatch):
    own = keys(sandbox)
    for name in own:
        monkeypatch.delenv(name.upper())
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    provider = BedrockProvider(poll=poll)
    lm = dspy.LM(NOVA, provider=provider, cache=False, **own)
    job = lm.finetune(chat, "chat")
    fine_tuned = job.result(timeout=60)
    assert fine_tuned("What is number 7?") == ["It is 7."]
    fine_tuned.launch()
    stop(fine_tuned)
    with pytest.raises(AccessError):
        dspy.LM(NOVA, provider=provider).finetune(chat, "chat").result()


@pytest.mark.as_root
def test_profile_of_the_lm_is_used_for_fine_tuning(sandbox, poll, chat, monkeypatch, tmp_path):
    path = tmp_path / "credentials"
    own = keys(sandbox)
    path.write_text("[team]\n" + "".join(f"{name} = {value}\n" for name, value in own.items()))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    for name in own:
        monkeypatch.delenv(name.upper())
    lm = dspy.LM(NOVA, provider=BedrockProvider(poll=poll), cache=False, aws_profile_name="team")
    fine_tuned = lm.finetune(chat, "chat").result(timeout=60)
    assert fine_tuned("What is number 7?") == ["It is 7."]
    stop(fine_tuned)
    # In the other direction: LMs without a profile use that of the provider.
    provider = BedrockProvider(session=boto3.Session(profile_name="team"), poll=poll)
    assert provider.lm(NOVA).kwargs["aws_profile_name"] == "team"
    base = dspy.LM(NOVA, provider=provider, cache=False, aws_access_key_id="AKIAOTHER")
    again = base.finetune(chat, "chat").result(timeout=60)
    assert tuple(again.kwargs.get(name) for name in ("aws_profile_name", "aws_access_key_id")) == (
        "team",
        None,
    )
    assert again("What is number 7?") == ["It is 7."]
    stop(again)


@pytest.mark.parametrize(
    "own",
    [
        {"aws_role_name": "arn:aws:iam::123456789012:role/other", "aws_session_name": "x"},
        {"api_key": "bedrock-api-key-xyz"},
        {"api_base": "https://gateway.example.com"},
        {"aws_web_identity_token": "xyz"},
        {"aws_profile_name": "no-such-profile"},
        {"aws_access_key_id": "AKIAONLY"},
    ],
    ids=lambda own: next(iter(own)),
)
def test_credentials_that_can_not_fine_tune_are_rejected(tuner, chat, own):
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False, **own)
    job = lm.finetune(chat, "chat")
    assert job.done()
    with pytest.raises(ConfigError) as caught:
        job.result()
    assert "xyz" not in str(caught.value)
    assert list(tuner.jobs()) == []


def test_session_of_the_provider_takes_precedence(poll, chat):
    """For example, one role invokes models and another one fine-tunes."""
    provider = BedrockProvider(session=boto3.Session(), poll=poll)
    lm = dspy.LM(NOVA, provider=provider, aws_role_name="arn:aws:iam::123456789012:role/invoker")
    job = lm.finetune(chat, "chat")
    job.result(timeout=60)
    job.stop_endpoint()


def test_openai_key_of_the_lm_is_used_for_fine_tuning(sandbox, chat, poll):
    lm = dspy.LM(GPT, provider=OpenAIProvider(Tuner(poll=poll)), api_key="sk-mine", cache=False)
    fine_tuned = lm.finetune(chat, "chat").result(timeout=60)
    assert len(list(openai.OpenAI(api_key="sk-mine").fine_tuning.jobs.list())) == 1
    assert list(openai.OpenAI().fine_tuning.jobs.list()) == []
    assert fine_tuned("What is number 7?") == ["It is 7."]


@pytest.mark.parametrize("keep_capabilities", [False, True])
def test_on_demand_call_has_the_price_of_the_base_model(tuner, chat, keep_capabilities, tmp_path):
    """Price List: Nova Micro, $0.035 and $0.14 per million tokens (litellm 1.106.2)."""
    provider = BedrockProvider(tuner, keep_capabilities=keep_capabilities)
    fine_tuned = (
        dspy.LM(NOVA, provider=provider, cache=False).finetune(chat, "chat").result(timeout=60)
    )
    program = dspy.Predict("question -> answer")
    program.set_lm(fine_tuned)
    program.save(tmp_path / "program.json")
    loaded = dspy.Predict("question -> answer")
    loaded.load(tmp_path / "program.json")
    for lm in (fine_tuned, fine_tuned.copy(), loaded.lm, attach(loaded, provider).lm):
        lm("What is number 7?")
        usage = lm.history[-1]["usage"]
        expected = usage["prompt_tokens"] * 0.035e-6 + usage["completion_tokens"] * 0.14e-6
        assert lm.history[-1]["cost"] == pytest.approx(expected)
    again = fine_tuned.finetune(chat[:12], "chat").result(timeout=60)
    again("What is number 7?")
    assert again.history[-1]["cost"]
    stop(fine_tuned)
    stop(again)


def test_attach_sets_the_price_of_an_lm_from_an_earlier_version(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False).finetune(chat, "chat")
    lm = job.result(timeout=60)
    del lm.kwargs["base_model"]
    lm("What is number 7?")
    assert lm.history[-1]["cost"] is None
    attach(lm, BedrockProvider(tuner))
    lm("What is number 7?")
    cost = lm.history[-1]["cost"]
    assert cost is not None
    assert cost > 0
    stop(lm)
    assert "base_model" not in lm.kwargs, "the model has no endpoint"


def test_call_of_provisioned_throughput_has_no_price(west, completions):
    """Provisioned throughput is billed by the hour."""
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    fine_tuned = lm.finetune(completions, "completion").result(timeout=60)
    fine_tuned.launch()
    fine_tuned("What is number 7?")
    assert fine_tuned.history[-1]["cost"] is None
    fine_tuned.kill()
