"""A tuned LM after its job: launched, stopped, copied, saved, attached, asked tomorrow."""

import dataclasses
import json
import subprocess
import sys
from datetime import datetime, timedelta

import boto3
import dspy
import pytest

from tests.sdk.desks import GPT, LLAMA, NOVA, QUIET, TRAIN, Desk, left, program, right
from tunestack import Tuner
from tunestack.dspy import (
    BedrockProvider,
    BootstrapFinetune,
    OpenAIProvider,
    attach,
    stop,
)
from tunestack.errors import ConfigError

pytestmark = QUIET


TOMORROW = """
import sys, json, dspy
from tests.sdk.desks import Desk
from tunestack.dspy import attach

program = dspy.Predict(Desk)
program.load(sys.argv[1])
attach(program)
program.lm.launch()
kept = program.lm.launch_kwargs["tunestack"]
print(json.dumps([program(ticket="the invoice, and my card").desk, program.lm.provider.finetunable, kept]))
"""


@pytest.mark.parametrize(
    "vendor", [pytest.param("bedrock", marks=pytest.mark.campaign), "openai"], indirect=True
)
def test_a_program_is_used_tomorrow_in_another_process(
    configured, tuner, vendor, tmp_path, sandbox
):
    tuned = BootstrapFinetune(metric=right).compile(program(configured), trainset=TRAIN)
    tuned.save(tmp_path / "program.json")
    stop(tuned)  # its deployment is gone by tomorrow
    fast = {**sandbox.environment(), "PYTHONPATH": "."}
    done = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TOMORROW, str(tmp_path / "program.json")],
        env=fast,
        stdout=subprocess.PIPE,
        text=True,
    )
    while done.poll() is None:
        sandbox.clock.advance(600)
        try:
            done.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    with done.stdout as answer:
        desk, finetunable, kept = json.loads(answer.read())
    assert ("billing", True) == (desk, finetunable)
    assert "ChatAdapter" == kept["adapter"]
    assert kept["base"] == ("nova-micro" if vendor == "bedrock" else "gpt-4o-mini-2024-07-18")
    assert kept["job"] == next(iter(tuner.jobs(provider=vendor))).id
    assert kept["data"]
    stop(tuned)
    assert [] == left(tuner)


def test_an_adapter_that_is_another_is_told_of(configured, tuner, chat, caplog):
    asked = [
        {
            "messages": [
                *row["messages"][:1],
                {"role": "assistant", "content": "[[ ## completed ## ]]\n"},
            ]
        }
        for row in chat
    ]
    tuned = configured.finetune(asked, "chat", {}).result()
    with dspy.context(adapter=dspy.JSONAdapter()):
        attach(tuned)
    assert (
        "tuned with what ChatAdapter wrote, and DSPy is configured with JSONAdapter" in caplog.text
    )
    stop(tuned)


def test_attach_leaves_others_alone(tuner):
    other = dspy.LM("anthropic/claude", cache=False)
    before = other.provider
    assert attach(other) is other
    assert other.provider is before
    mine = OpenAIProvider(tuner)
    assert attach(dspy.LM(GPT), mine).provider is mine


def test_a_copy_of_a_tuned_lm_does_not_take_it_for_the_first(tuner, chat):
    """State is by the LM's model: what is kept with one is not taken for another that is copied from it."""
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    first = lm.finetune(chat, "chat", {}).result()
    again = first.finetune(chat[:12], "chat", {}).result()
    kept = [one.launch_kwargs["tunestack"]["model"] for one in (first, again)]
    assert 2 == len(set(kept))
    elsewhere = first.copy(model=NOVA)
    elsewhere.launch()
    elsewhere.kill()
    assert elsewhere.model == NOVA
    assert "tunestack" not in lm.launch_kwargs
    for one in (first, again):
        stop(one)
    assert [] == left(tuner)


def test_capabilities_are_kept_if_asked_for(tuner, chat, sandbox):
    plain = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    provider = BedrockProvider(tuner, keep_capabilities=True)
    lm = dspy.LM(NOVA, provider=provider, cache=False)
    assert plain.supports_function_calling
    assert not plain.finetune(chat, "chat", {}).result().supports_function_calling
    job = lm.finetune(chat, "chat", {})
    tuned = job.result()
    assert tuned.supports_function_calling
    assert NOVA == tuned.model
    assert ["It is 7."] == tuned("What is number 7?")
    assert "model_id" not in lm.kwargs
    further = tuned.finetune(chat[:12], "chat", {})
    assert further.result().supports_function_calling
    assert further.result().kwargs["model_id"] != tuned.kwargs["model_id"]
    created = sandbox.bedrock_region("us-east-1").jobs[further.job.id].params
    assert job.job.model == created["baseModelIdentifier"]
    for done in (job, further):
        done.stop_endpoint()
    assert [] == left(tuner)
    tuned.launch()
    assert tuned.supports_function_calling
    assert ["It is 8."] == tuned("What is number 8?")
    stop(tuned)
    assert [] == left(tuner)


def test_by_an_endpoint_that_is_gone_nobody_can_tell_the_model(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False).finetune(chat, "chat", {})
    route = job.result().model
    alive = dspy.LM(route, provider=BedrockProvider(tuner))
    alive.launch()
    assert alive.model == route
    job.stop_endpoint()
    with pytest.raises(ConfigError, match="is gone, and with it what it served"):
        dspy.LM(route, provider=BedrockProvider(tuner)).launch()


def test_options_of_launch_are_checked(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False).finetune(chat, "chat", {})
    tuned = job.result()
    with pytest.raises(ConfigError, match="launch_kwargs has 'units'"):
        tuned.launch({"units": 2})
    with pytest.raises(ConfigError, match="ttl 'long' is no number"):
        tuned.launch({"ttl": "long"})
    stop(tuned)


def test_how_long_it_may_live_is_saved_with_it(west, sandbox, tmp_path):
    lm = dspy.LM(
        LLAMA,
        provider=BedrockProvider(west),
        launch_kwargs={"ttl": timedelta(hours=1)},
        cache=False,
    )
    rows = [{"prompt": f"{number}?", "completion": "x"} for number in range(100)]
    made = dspy.Predict(Desk)
    made.set_lm(lm.finetune(rows, "completion", {}).result())
    made.save(tmp_path / "program.json")
    loaded = dspy.Predict(Desk)
    loaded.load(tmp_path / "program.json")
    attach(loaded, BedrockProvider(west))
    loaded.lm.launch()
    (endpoint,) = west.endpoints()
    tags = boto3.client("bedrock", "us-west-2").list_tags_for_resource(resourceARN=endpoint.id)
    (end,) = [row["value"] for row in tags["tags"] if row["key"] == "tunestack:expires-at"]
    left = datetime.fromisoformat(end) - sandbox.clock.now()
    assert timedelta(0) < left <= timedelta(hours=1)
    loaded.lm.kill()


def interrupted(*_):
    raise KeyboardInterrupt


def test_what_is_launched_can_be_stopped_whenever_it_was_interrupted(west, poll):
    job = west.submit("llama-3-1-8b", [{"prompt": f"{n}?", "completion": "x"} for n in range(100)])
    route = f"bedrock/converse/{job.wait().model}"
    hasty = BedrockProvider(
        Tuner(region="us-west-2", poll=dataclasses.replace(poll, sleep=interrupted))
    )
    with pytest.raises(KeyboardInterrupt):
        dspy.LM(route, provider=hasty).launch()
    assert 1 == len(left(west))
    hasty._tuner = west
    assert {job.model} == hasty.launched
    hasty.stop_launched(but=hasty.launched)
    assert 1 == len(left(west))
    hasty.stop_launched()
    assert [] == left(west)
    one = dspy.LM(route, provider=hasty)
    other = one.copy()
    one.launch()
    other.kill()
    assert [] == left(west)
    assert other.model == route


def test_what_is_not_possible_starts_and_stops_nothing(west, chat):
    job = west.submit("llama-3-1-8b", [{"prompt": f"{n}?", "completion": "x"} for n in range(100)])
    model = job.wait().model
    for timeout in (None, "60"):
        with pytest.raises(ConfigError, match="timeout"):
            west.start_endpoint(model, timeout=timeout)
    assert [] == left(west)
    with pytest.raises(ConfigError, match="invalid serving 'provisoned'"):
        west.stop_endpoint(model, "provisoned")


def test_an_endpoint_of_somebody_else_is_asked_and_left_alone(west, poll, caplog):
    """Neither bought again by launch, nor taken for stopped by kill."""
    rows = [{"prompt": f"{n}?", "completion": "x"} for n in range(100)]
    model = west.submit("llama-3-1-8b", rows).wait().model
    bedrock = boto3.client("bedrock", "us-west-2")
    arn = bedrock.create_provisioned_model_throughput(
        provisionedModelName="bought-by-hand", modelId=model, modelUnits=1
    )["provisionedModelArn"]
    lm = dspy.LM(f"bedrock/converse/{arn}", provider=BedrockProvider(west), cache=False)
    lm.launch()
    assert ["bought-by-hand"] == left(west)
    assert ["x"] == lm("7?")
    lm.kill()
    assert "bought-by-hand was not started by Tunestack, and is not stopped" in caplog.text
    assert ["x"] == lm("7?")
    stop(lm)
    west.endpoint(arn).stop()
    lm.kill()
    stop(lm)
    with pytest.raises(ConfigError, match="is gone"):
        lm.launch()
