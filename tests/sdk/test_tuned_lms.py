"""A fine-tuned LM after its job: launch, stop, copy, save, attach, and use in another process."""

import dataclasses
import json
import subprocess
import sys
from datetime import datetime, timedelta

import boto3
import dspy
import pytest

from tests.sdk.desks import (
    GPT,
    IGNORED_WARNINGS,
    LLAMA,
    NOVA,
    TRAIN,
    Desk,
    endpoint_names,
    is_correct,
    ticket_program,
)
from tunestack import Tuner
from tunestack.dspy import (
    BedrockProvider,
    BootstrapFinetune,
    OpenAIProvider,
    attach,
    stop,
)
from tunestack.dspy.lm_state import LMState
from tunestack.errors import ConfigError

pytestmark = IGNORED_WARNINGS


USE_SAVED_PROGRAM = """
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
    "provider", [pytest.param("bedrock", marks=pytest.mark.campaign), "openai"], indirect=True
)
def test_saved_program_can_be_used_in_another_process(
    configured, tuner, provider, tmp_path, sandbox
):
    fine_tuned = BootstrapFinetune(metric=is_correct).compile(
        ticket_program(configured), trainset=TRAIN
    )
    fine_tuned.save(tmp_path / "program.json")
    stop(fine_tuned)
    environment = {**sandbox.environment(), "PYTHONPATH": "."}
    done = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", USE_SAVED_PROGRAM, str(tmp_path / "program.json")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    while done.poll() is None:
        sandbox.clock.advance(600)
        try:
            done.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert done.stdout is not None
    with done.stdout as answer:
        desk, finetunable, kept = json.loads(answer.read())
    assert (desk, finetunable) == ("billing", True)
    assert kept["adapter"] == "ChatAdapter"
    assert kept["base"] == ("nova-micro" if provider == "bedrock" else "gpt-4o-mini-2024-07-18")
    assert kept["job"] == next(iter(tuner.jobs(provider=provider))).id
    assert kept["data"]
    stop(fine_tuned)
    assert endpoint_names(tuner) == []


def test_attach_warns_about_a_different_adapter(configured, tuner, chat, caplog):
    rows = [
        {
            "messages": [
                *row["messages"][:1],
                {"role": "assistant", "content": "[[ ## completed ## ]]\n"},
            ]
        }
        for row in chat
    ]
    fine_tuned = configured.finetune(rows, "chat", {}).result()
    with dspy.context(adapter=dspy.JSONAdapter()):
        attach(fine_tuned)
    assert "was written by ChatAdapter, but DSPy is configured with JSONAdapter" in caplog.text
    stop(fine_tuned)


def test_attach_does_not_change_lms_of_other_providers(tuner):
    other = dspy.LM("anthropic/claude", cache=False)
    before = other.provider
    assert attach(other) is other
    assert other.provider is before
    mine = OpenAIProvider(tuner)
    assert attach(dspy.LM(GPT), mine).provider is mine


def test_state_of_an_lm_does_not_apply_to_a_copy_with_another_model(tuner, chat):
    """The state is valid only for the routes that are stored in it."""
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    first = lm.finetune(chat, "chat", {}).result()
    again = first.finetune(chat[:12], "chat", {}).result()
    kept = [one.launch_kwargs["tunestack"]["model"] for one in (first, again)]
    assert len(set(kept)) == 2
    elsewhere = first.copy(model=NOVA)
    elsewhere.launch()
    elsewhere.kill()
    assert elsewhere.model == NOVA
    assert "tunestack" not in lm.launch_kwargs
    for one in (first, again):
        stop(one)
    assert endpoint_names(tuner) == []


def test_state_of_a_program_saved_by_an_earlier_version_is_read():
    """The keys in `launch_kwargs` are a file format: they can't change."""
    route = "openai/ft:gpt-4o-mini-2024-07-18:acme::abc"
    saved = {
        "model": "ft:gpt-4o-mini-2024-07-18:acme::abc",
        "routes": [route],
        "job": "ftjob-abc",
        "base": "gpt-4o-mini-2024-07-18",
        "data": "file-abc",
        "adapter": "ChatAdapter",
    }
    state = LMState.of(dspy.LM(route, launch_kwargs={"tunestack": saved}))
    assert state is not None
    assert dataclasses.asdict(state) == {**saved, "routes": (route,), "rendering": ""}


def test_keep_capabilities(tuner, chat, sandbox):
    plain = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    provider = BedrockProvider(tuner, keep_capabilities=True)
    lm = dspy.LM(NOVA, provider=provider, cache=False)
    assert plain.supports_function_calling
    assert not plain.finetune(chat, "chat", {}).result().supports_function_calling
    job = lm.finetune(chat, "chat", {})
    fine_tuned = job.result()
    assert fine_tuned.supports_function_calling
    assert fine_tuned.model == NOVA
    assert fine_tuned("What is number 7?") == ["It is 7."]
    assert "model_id" not in lm.kwargs
    next_job = fine_tuned.finetune(chat[:12], "chat", {})
    assert next_job.result().supports_function_calling
    assert next_job.result().kwargs["model_id"] != fine_tuned.kwargs["model_id"]
    created = sandbox.bedrock_region("us-east-1").jobs[next_job.job.id].params
    assert job.job.model == created["baseModelIdentifier"]
    for done in (job, next_job):
        done.stop_endpoint()
    assert endpoint_names(tuner) == []
    fine_tuned.launch()
    assert fine_tuned.supports_function_calling
    assert fine_tuned("What is number 8?") == ["It is 8."]
    stop(fine_tuned)
    assert endpoint_names(tuner) == []


def test_launch_of_a_deleted_endpoint_raises_an_error(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False).finetune(chat, "chat", {})
    route = job.result().model
    alive = dspy.LM(route, provider=BedrockProvider(tuner))
    alive.launch()
    assert alive.model == route
    job.stop_endpoint()
    with pytest.raises(ConfigError, match="was deleted, and its model is unknown"):
        dspy.LM(route, provider=BedrockProvider(tuner)).launch()


def test_invalid_launch_options_are_rejected(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False).finetune(chat, "chat", {})
    fine_tuned = job.result()
    with pytest.raises(ConfigError, match="unknown option 'units' in launch_kwargs"):
        fine_tuned.launch({"units": 2})
    with pytest.raises(ConfigError, match="invalid ttl 'long': use seconds or a timedelta"):
        fine_tuned.launch({"ttl": "long"})
    stop(fine_tuned)


def test_ttl_is_saved_with_the_program(west, sandbox, tmp_path):
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
    remaining = datetime.fromisoformat(end) - sandbox.clock.now()
    assert timedelta(0) < remaining <= timedelta(hours=1)
    loaded.lm.kill()


def interrupt(*_):
    raise KeyboardInterrupt


def test_interrupted_launch_can_be_stopped(west, poll):
    job = west.submit("llama-3-1-8b", [{"prompt": f"{n}?", "completion": "x"} for n in range(100)])
    route = f"bedrock/converse/{job.wait().model}"
    provider = BedrockProvider(
        Tuner(region="us-west-2", poll=dataclasses.replace(poll, sleep=interrupt))
    )
    with pytest.raises(KeyboardInterrupt):
        dspy.LM(route, provider=provider).launch()
    assert len(endpoint_names(west)) == 1
    provider._tuner = west
    assert provider.launched == {job.model}
    provider.stop_launched(but=provider.launched)
    assert len(endpoint_names(west)) == 1
    provider.stop_launched()
    assert endpoint_names(west) == []
    one = dspy.LM(route, provider=provider)
    other = one.copy()
    one.launch()
    other.kill()
    assert endpoint_names(west) == []
    assert other.model == f"bedrock/llama/{job.model}"


def test_invalid_endpoint_arguments_start_and_stop_nothing(west, chat):
    job = west.submit("llama-3-1-8b", [{"prompt": f"{n}?", "completion": "x"} for n in range(100)])
    model = job.wait().model
    for timeout in (-1, "60"):
        with pytest.raises(ConfigError, match="timeout"):
            west.start_endpoint(model, timeout=timeout)
    assert endpoint_names(west) == []
    with pytest.raises(ConfigError, match="invalid serving 'provisoned'"):
        west.stop_endpoint(model, "provisoned")


def test_endpoint_not_started_by_tunestack_is_used_but_not_stopped(west, poll, caplog):
    """`launch` does not create another endpoint, and `kill` does not stop this one."""
    rows = [{"prompt": f"{n}?", "completion": "x"} for n in range(100)]
    model = west.submit("llama-3-1-8b", rows).wait().model
    bedrock = boto3.client("bedrock", "us-west-2")
    arn = bedrock.create_provisioned_model_throughput(
        provisionedModelName="bought-by-hand", modelId=model, modelUnits=1
    )["provisionedModelArn"]
    lm = dspy.LM(f"bedrock/converse/{arn}", provider=BedrockProvider(west), cache=False)
    lm.launch()
    assert endpoint_names(west) == ["bought-by-hand"]
    assert lm("7?") == ["x"]
    lm.kill()
    assert "bought-by-hand was not started by Tunestack, and is not stopped" in caplog.text
    assert lm("7?") == ["x"]
    stop(lm)
    west.endpoint(arn).stop()
    lm.kill()
    stop(lm)
    with pytest.raises(ConfigError, match="was deleted"):
        lm.launch()
