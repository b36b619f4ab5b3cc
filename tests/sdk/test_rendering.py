"""Models that are trained on prompts are invoked with prompts that are written as in their training data."""

import json
from contextlib import ExitStack
from datetime import timedelta
from urllib.parse import unquote

import boto3
import dspy
import pytest

from tests.sdk.desks import IGNORED_WARNINGS
from tunestack.dspy import BedrockProvider

pytestmark = IGNORED_WARNINGS

SINGLE = [("user", "What is number 7?")]
SYSTEM = [("system", "Answer with a number."), *SINGLE]
TURNS = [*SYSTEM, ("assistant", "7"), ("user", "  and twice that?\n")]
CONVERSATIONS = {"single question": SINGLE, "system prompt": SYSTEM, "several turns": TURNS}
LLAMA = "llama-3-1-8b"


def to_messages(turns):
    return [{"role": role, "content": content} for role, content in turns]


def training_records():
    """A hundred records, the first of which are the conversations that are sent later."""
    answer = {"role": "assistant", "content": "14"}
    rows = [{"messages": [*to_messages(turns), answer]} for turns in CONVERSATIONS.values()]
    others = [{"messages": [*to_messages([("user", f"{n}?")]), answer]} for n in range(97)]
    return rows + others


@pytest.fixture
def requests(sandbox):
    """Return a list that records the operation and the body of each request to a model."""
    recorded = []

    def record(request):
        path = unquote(request.target)
        if path.startswith("/model/"):
            recorded.append((path.rsplit("/", 1)[1], json.loads(request.body)))

    with ExitStack() as stack:
        stack.enter_context(sandbox.intercept(record))
        yield recorded


def trained_prompts(job):
    """Return the prompts of the training file."""
    bucket, _, key = job.info.training_data.removeprefix("s3://").partition("/")
    content = boto3.client("s3", "us-west-2").get_object(Bucket=bucket, Key=key)["Body"].read()
    return [json.loads(line)["prompt"] for line in content.splitlines()]


@pytest.fixture
def trained(west):
    """Return a job that was trained on conversations, and its endpoint."""
    job = west.submit(LLAMA, training_records()).wait()
    job.start_endpoint(ttl=timedelta(hours=1))
    return job


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_invoke_sends_the_prompt_of_the_training_data(trained, requests, name):
    index = list(CONVERSATIONS).index(name)
    answer = trained.endpoint().invoke(to_messages(CONVERSATIONS[name]))
    assert answer == "14"
    ((operation, body),) = requests
    assert (operation, body["prompt"]) == ("invoke", trained_prompts(trained)[index])


def test_command_line_sends_the_prompt_of_the_training_data(trained, requests, cli):
    prompts = trained_prompts(trained)
    region = ("--region", "us-west-2")
    assert cli("endpoints", "invoke", trained.endpoint().name, SINGLE[0][1], *region)[0] == 0
    system = ("--system", SYSTEM[0][1])
    assert (
        cli("endpoints", "invoke", trained.endpoint().name, SINGLE[0][1], *system, *region)[0] == 0
    )
    assert [body["prompt"] for _, body in requests] == prompts[:2]


def test_dspy_sends_the_prompt_of_the_training_data(west, requests):
    base = dspy.LM(f"bedrock/{LLAMA}", provider=BedrockProvider(west), cache=False)
    job = base.finetune(training_records(), "chat", {})
    fine_tuned = job.result()
    job.start_endpoint(ttl=timedelta(hours=1))
    for turns in CONVERSATIONS.values():
        assert fine_tuned(messages=to_messages(turns)) == ["14"]
    assert {operation for operation, _ in requests} == {"invoke"}
    assert [body["prompt"] for _, body in requests] == trained_prompts(job.job)[:3]


def test_dspy_sends_raw_prompts_to_a_model_trained_on_them(west, completions, requests):
    base = dspy.LM(f"bedrock/{LLAMA}", provider=BedrockProvider(west), cache=False)
    job = base.finetune(completions, "completion", {})
    fine_tuned = job.result()
    job.start_endpoint(ttl=timedelta(hours=1))
    assert fine_tuned(completions[3]["prompt"]) == [completions[3]["completion"]]
    ((_, body),) = requests
    assert body["prompt"] == trained_prompts(job.job)[3] == completions[3]["prompt"]


def test_saved_lm_keeps_the_rendering(west, requests, tmp_path):
    base = dspy.LM(f"bedrock/{LLAMA}", provider=BedrockProvider(west), cache=False)
    job = base.finetune(training_records(), "chat", {})
    job.result()
    job.start_endpoint(ttl=timedelta(hours=1))
    program = dspy.Predict("question -> answer")
    program.set_lm(job.result())
    program.save(tmp_path / "program.json")
    loaded = dspy.Predict("question -> answer")
    loaded.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
    loaded.lm(messages=to_messages(TURNS))
    assert requests[-1][1]["prompt"] == trained_prompts(job.job)[2]


def test_launched_lm_without_state_gets_the_rendering(west, trained, requests):
    lm = dspy.LM(f"bedrock/converse/{trained.model}", provider=BedrockProvider(west), cache=False)
    lm.launch({"ttl": 3600})
    lm(messages=to_messages(SYSTEM))
    ((operation, body),) = requests
    assert (operation, body["prompt"]) == ("invoke", trained_prompts(trained)[1])


def test_prompt_that_has_the_template_already_is_sent_unchanged(trained, requests):
    prompt = trained_prompts(trained)[2]
    trained.endpoint().invoke(prompt)
    assert requests[0][1]["prompt"] == prompt


def test_raw_model_gets_conversations_with_a_warning(west, completions, requests, caplog):
    job = west.submit(LLAMA, completions).wait()
    job.start_endpoint(ttl=timedelta(hours=1))
    endpoint = job.endpoint()
    endpoint.invoke(completions[0]["prompt"])
    assert "not trained on such prompts" not in caplog.text
    endpoint.invoke(to_messages(SYSTEM))
    assert "is written as 'chat-template', and the training data" in caplog.text
    assert requests[0][1]["prompt"] == completions[0]["prompt"]
    assert requests[1][1]["prompt"].startswith("<|begin_of_text|>")


def test_model_of_unknown_origin_is_invoked_with_converse_and_a_warning(
    west, trained, requests, caplog
):
    bedrock = boto3.client("bedrock", "us-west-2")
    bedrock.untag_resource(resourceARN=trained.model, tagKeys=["tunestack:rendering"])
    endpoint = trained.endpoint()
    assert west.custom_model(trained.model).rendering is None
    endpoint.invoke(to_messages(SINGLE))
    assert "is unknown, so Bedrock writes the prompt" in caplog.text
    endpoint.invoke(to_messages(SINGLE), rendering="chat-template")
    assert [operation for operation, _ in requests] == ["converse", "invoke"]


def test_rendering_is_read_once(west, trained, sandbox):
    endpoint = trained.endpoint()
    endpoint.invoke(to_messages(SINGLE))
    before = sandbox.traffic.requests
    endpoint.invoke(to_messages(SINGLE))
    assert sandbox.traffic.requests - before == 1


def test_models_trained_on_messages_are_invoked_with_converse(job, requests):
    job.start_endpoint()
    job.endpoint().invoke("What is number 7?")
    assert [operation for operation, _ in requests] == ["converse"]
    assert job.endpoint().model == job.model
