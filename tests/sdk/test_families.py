"""Every model family is fine-tuned from chat records and invoked, on a date on which it can be fine-tuned."""

import dataclasses
import gzip
import json
from typing import Any

import boto3
import pytest

from tests.day import AS_OF, SPRING
from tests.parameters import every
from tests.records.samples import TOOLS
from tunestack import Poll, Tuner
from tunestack.catalog import CATALOG, Content, LifecycleState, RecordFormat
from tunestack_sandbox import Sandbox

MODELS = [
    model
    for model in CATALOG
    if model.provider == "bedrock" and not model.unsupported and model.hyperparameters
]


@pytest.fixture(scope="module")
def spring(count_traffic):
    with Sandbox(speed=1, as_of=SPRING) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.violations == []


@pytest.fixture
def create_tuner(tunestack_sandbox, spring, monkeypatch):
    """Return a function that creates a tuner on a date, and in a region, in which a model can be fine-tuned."""

    def create(model):
        is_active = model.lifecycle.state(AS_OF.date()) is LifecycleState.ACTIVE
        sandbox = tunestack_sandbox if is_active else spring
        sandbox.reset()
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        poll = Poll(longest=900, sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
        # The stage allows all models.
        deployment = dataclasses.replace(sandbox.deployment(model.regions[0]), base_models=())
        return Tuner(deployment=deployment, poll=poll)

    return create


def build_record(number, model):
    """Return a record with all kinds of content that the model supports."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You count."},
        {"role": "user", "content": f"What is number {number}?"},
        {"role": "assistant", "content": f"It is {number}."},
        {"role": "user", "content": f"And what is beside {number}?"},
        {"role": "assistant", "content": f"Beside it is {number + 1}."},
    ]
    record: dict[str, Any] = {"messages": messages}
    if Content.TOOLS in model.supports:
        call = {"name": "weather", "arguments": '{"city": "Bonn"}'}
        messages[2:2] = [
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ]  # fmt: skip
        record["tools"] = TOOLS
    if Content.REASONING in model.supports:
        messages[-1]["reasoning_content"] = "one more"
    if Content.IMAGE in model.supports:
        image = {"type": "image_url", "image_url": {"url": f"s3://pictures/{number}.png"}}
        messages[1]["content"] = [{"type": "text", "text": messages[1]["content"]}, image]
    return record


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("model", every(4, MODELS), ids=lambda model: model.key)
def test_model_is_fine_tuned_from_chat_and_invoked(create_tuner, model):
    tuner = create_tuner(model)
    count = model.limits.validator_min_records or 100
    rows = [build_record(number, model) for number in range(count)]
    job = tuner.submit(model.key, rows).wait()
    name = job.start_endpoint().name
    endpoint = job.endpoint()
    answer = endpoint.invoke(
        [
            {"role": "user", "content": "What is number 41?"},
            {"role": "assistant", "content": "It is 41."},
            {"role": "user", "content": "And what is beside 41?"},
        ]
    )
    assert "Beside it is 42." in answer
    job.stop_endpoint()
    assert [other for other in tuner.endpoints() if other.name == name] == []


def test_titan_supports_prompt_and_completion_records(create_tuner):
    tuner = create_tuner(CATALOG["titan-text-express"])
    rows = [{"prompt": f"number {n}?", "completion": f"{n}"} for n in range(10)]
    first = tuner.submit("titan-text-express", rows)
    other = tuner.submit("titan-text-express", rows, record_format="completion")
    assert first.id != other.id
    assert first.wait().status() == "succeeded"
    assert other.wait().status() == "succeeded"


def test_data_in_s3_is_read(create_tuner, tunestack_sandbox):
    model = CATALOG["nova-micro"]
    assert RecordFormat.CONVERSE is model.record_format
    tuner = create_tuner(model)
    deployment = tunestack_sandbox.deployment(model.regions[0])
    s3 = boto3.Session().client("s3", model.regions[0])
    body = "".join(json.dumps(build_record(number, model)) + "\n" for number in range(10)).encode()
    files = {"data/in.jsonl": body, "data/in.jsonl.gz": gzip.compress(body)}
    for key, content in files.items():
        s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=content)
    jobs = {tuner.submit(model.key, f"s3://{deployment.data_bucket}/{key}").id for key in files}
    assert len(jobs) == 1
