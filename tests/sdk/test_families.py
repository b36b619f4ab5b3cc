"""Every family from a caller's chat records to its answers, through the SDK, on a day when it could be tuned."""

import dataclasses
import gzip
import json
from typing import Any

import boto3
import pytest

from tests.day import AS_OF, SPRING
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
def there(tunestack_sandbox, spring, monkeypatch):
    """A tuner on a day when a model could be tuned, in its region."""

    def go(model):
        living = model.lifecycle.state(AS_OF.date()) is LifecycleState.ACTIVE
        sandbox = tunestack_sandbox if living else spring
        sandbox.reset()
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        poll = Poll(longest=900, sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
        # Whatever models the stage allows.
        deployment = dataclasses.replace(sandbox.deployment(model.regions[0]), base_models=())
        return Tuner(deployment=deployment, poll=poll)

    return go


def chat(number, model):
    """A record with all that a model learns from, as far as one record can have it."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You count."},
        {"role": "user", "content": f"What is number {number}?"},
        {"role": "assistant", "content": f"It is {number}."},
        {"role": "user", "content": f"And what is beside {number}?"},
        {"role": "assistant", "content": f"Beside it is {number + 1}."},
    ]
    record: dict[str, Any] = {"messages": messages}
    if Content.TOOLS in model.takes:
        call = {"name": "weather", "arguments": '{"city": "Bonn"}'}
        messages[2:2] = [
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ]  # fmt: skip
        record["tools"] = TOOLS
    if Content.REASONING in model.takes:
        messages[-1]["reasoning_content"] = "one more"
    if Content.IMAGE in model.takes:
        image = {"type": "image_url", "image_url": {"url": f"s3://pictures/{number}.png"}}
        messages[1]["content"] = [{"type": "text", "text": messages[1]["content"]}, image]
    return record


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_a_family_is_tuned_from_chat_served_and_asked(there, model):
    tuner = there(model)
    rows = [chat(number, model) for number in range(100)]
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
    assert [left for left in tuner.endpoints() if left.name == name] == []


def test_titan_learns_from_prompt_and_completion_as_well(there):
    tuner = there(CATALOG["titan-text-express"])
    rows = [{"prompt": f"number {n}?", "completion": f"{n}"} for n in range(10)]
    first = tuner.submit("titan-text-express", rows)
    other = tuner.submit("titan-text-express", rows, record_format="completion")
    assert first.id != other.id
    assert first.wait().status() == "succeeded"
    assert other.wait().status() == "succeeded"


def test_data_in_s3_is_read_there(there, tunestack_sandbox):
    model = CATALOG["nova-micro"]
    assert RecordFormat.CONVERSE is model.record_format
    tuner = there(model)
    deployment = tunestack_sandbox.deployment(model.regions[0])
    s3 = boto3.Session().client("s3", model.regions[0])
    body = "".join(json.dumps(chat(number, model)) + "\n" for number in range(10)).encode()
    places = {"data/in.jsonl": body, "data/in.jsonl.gz": gzip.compress(body)}
    for key, content in places.items():
        s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=content)
    jobs = {tuner.submit(model.key, f"s3://{deployment.data_bucket}/{key}").id for key in places}
    assert len(jobs) == 1
